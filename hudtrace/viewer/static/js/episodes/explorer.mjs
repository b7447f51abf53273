/** Episodes to look through: the filter, the figures, what to narrow down by, the list. */

import { Icon, useMedia } from "../bits.mjs";
import { Dialog } from "../dialog.mjs";
import { count, number } from "../format.mjs";
import { html, useRef, useState } from "../html.mjs";
import { useKeys } from "../keys.mjs";
import { setQuery, useQuery } from "../router.mjs";
import { Facets, useFacets } from "./facets.mjs";
import { FilterBox } from "./filterbox.mjs";
import { useListing } from "./listing.mjs";
import { Summary } from "./summary.mjs";
import { SORT, Table, focusList } from "./table.mjs";

function Side({ wide, drawer, close, children }) {
  if (wide) return html`<aside class="side" aria-label="Narrow down">${children}</aside>`;
  if (!drawer) return null;
  return html`<${Dialog} label="Narrow down" class="drawer" close=${close}>
    <header><h2>Narrow down</h2><button type="button" class="quiet" onClick=${close}>Done</button></header>${children}
  <//>`;
}

/** What there is to say of all episodes at once. */
function Head({ listing, q, path, figures }) {
  if (!listing) return null;
  const { summary, total_capped: capped, lag } = listing.head;
  return html`${(figures || q) && html`<${Summary} summary=${summary} total=${listing.total + listing.fresh} capped=${capped} q=${q} path=${path} />`}
    ${lag > 0 && html`<p class="lag" role="status">The index is being made: ${number(lag)} spans are not in it yet.</p>`}`;
}

const change = (next, { push = false } = {}) => setQuery({ q: next }, { replace: !push });

/**
 * @param {{base?: string, path?: string, hide?: string[], figures?: boolean}} props
 *   *base* is a filter that always holds, *hide* names facets
 */
export function Explorer({ base = "", path = "/", hide = [], figures = true }) {
  const [get] = useQuery();
  const q = get("q", "");
  const list = { q, base, text: [base, q].filter(Boolean).join(" "), sort: get("sort", SORT) };
  const held = useRef(() => false);
  const found = useListing(q, list.sort, () => held.current(), base);
  const { listing } = found;
  const facets = useFacets(listing, list.text).filter(({ key }) => !hide.includes(key));
  const wide = useMedia("(min-width: 1000px)");
  const [drawer, setDrawer] = useState(false);
  useKeys("Episodes", [{ keys: ["/"], what: "write a filter", run: () => document.getElementById("filter")?.focus() }]);
  return html`<div class="explorer">
    <div class="bar">
      ${!wide && html`<button type="button" onClick=${() => setDrawer(true)}><${Icon} name="filter" />Narrow down</button>`}
      <${FilterBox} q=${q} errors=${found.wrong} facets=${facets} onChange=${change} onLeave=${focusList} />
    </div>
    <${Head} ...${{ listing, q, path, figures }} />
    <div class="below">
      <${Side} wide=${wide} drawer=${drawer} close=${() => setDrawer(false)}><${Facets} facets=${facets} q=${q} total=${listing?.total ?? 0} onChange=${change} /><//>
      <${Table} ...${{ found, list, held, change }} />
    </div>
    <p class="sr" role="status">${listing && !found.loading ? count(listing.total, "episode") : ""}</p>
  </div>`;
}
