/** Parts of the page that are fetched when they are first looked at. */

import { Problem, Spinner } from "../bits.mjs";
import { html, useEffect, useState } from "../html.mjs";

const LATER = 500; // ms after which what may be wanted is fetched

/** @param {() => Promise<{default: any}>} load */
export function lazy(load) {
  let Loaded = null;
  function Lazy(props) {
    const [error, setError] = useState(null);
    const [, drawn] = useState(Loaded !== null);
    useEffect(() => {
      if (!Loaded) Lazy.load().then(() => drawn(true), setError);
    }, []);
    if (error) return html`<${Problem} error=${error} />`;
    return Loaded ? html`<${Loaded} ...${props} />` : html`<${Spinner} />`;
  }
  Lazy.load = () => load().then((module) => (Loaded = module.default));
  Lazy.there = () => Loaded !== null;
  return Lazy;
}

/** Whether a part has been fetched, or cannot be; one that is not *wanted* comes later. */
export function useThere(part, wanted) {
  const [tried, setTried] = useState(false);
  useEffect(() => {
    if (part.there()) return undefined;
    const fetching = () => part.load().catch(() => null).then(() => setTried(true));
    if (wanted) return void fetching();
    const timer = setTimeout(fetching, LATER);
    return () => clearTimeout(timer);
  }, [part, wanted]);
  return tried || part.there();
}
