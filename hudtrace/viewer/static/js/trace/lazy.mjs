/** Parts of the page that are fetched when they are first looked at. */

import { Problem, Spinner } from "../bits.mjs";
import { html, useEffect, useState } from "../html.mjs";

/** @param {() => Promise<{default: any}>} load */
export function lazy(load) {
  let Loaded = null;
  return function Lazy(props) {
    const [error, setError] = useState(null);
    const [, drawn] = useState(Loaded !== null);
    useEffect(() => {
      if (Loaded) return;
      load().then((module) => {
        Loaded = module.default;
        drawn(true);
      }, setError);
    }, []);
    if (error) return html`<${Problem} error=${error} />`;
    return Loaded ? html`<${Loaded} ...${props} />` : html`<${Spinner} />`;
  };
}
