/** A path that leads nowhere. */

import { Empty } from "../bits.mjs";
import { html } from "../html.mjs";
import { useRoute } from "../router.mjs";

export default function Nowhere() {
  const { path } = useRoute();
  const id = /^\/(?:trace|t)\/(.*)$/.exec(path)?.[1];
  return html`<${Empty} title="There is nothing here">
    ${id
      ? html`<p><code>${id}</code> is not a trace id: it has 32 of the characters 0-9 and a-f. Its beginning is enough in <code>/t/…</code>.</p>`
      : html`<p>No page is at <code>${path}</code>.</p>`}
    <p><a href="/">Episodes</a> · <a href="/search">Search</a> · <a href="/setup">Setup</a></p>
  <//>`;
}
