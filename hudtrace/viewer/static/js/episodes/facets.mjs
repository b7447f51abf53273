/** What the episodes can be narrowed to, with how many there are of each. */

import { query, useGet } from "../api.mjs";
import { number, visible } from "../format.mjs";
import { html, useEffect, useRef, useState } from "../html.mjs";
import { asksFor, toggled } from "./grammar.mjs";

const FEW = 6;
const IDS = new Set(["job", "task", "group"]); // said less by their values: below the others

const COUNTED = 5000; // ms between two counts

/** Facets of what is shown; counted again some time after the list has changed. */
export function useFacets(listing, text) {
  const { data, refresh } = useGet(listing && !listing.head.filter.errors.length ? `/facets${query({ q: text })}` : null);
  const timer = useRef(0);
  const of = useRef(listing);
  const kept = useRef([]);
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => {
    if (listing && of.current === listing && !timer.current) {
      timer.current = setTimeout(() => {
        timer.current = 0;
        refresh();
      }, COUNTED);
    }
    of.current = listing;
  }, [listing?.head]);
  if (data) kept.current = data.facets;
  return kept.current;
}

function Value({ facet, entry, most, q, onChange }) {
  const value = String(entry.value);
  const on = asksFor(q, facet.key, value);
  return html`<li>
    <button type="button" aria-pressed=${on} onClick=${() => onChange(toggled(q, facet.key, value), { push: true })} title=${visible(value)}>
      <span class="share" style=${{ width: `${(entry.count / most) * 100}%` }}></span>
      <span class="cut">${visible(entry.label ?? value)}</span><small>${number(entry.count)}${entry.capped ? "+" : ""}</small>
    </button>
  </li>`;
}

function Facet({ facet, q, onChange }) {
  const [all, setAll] = useState(false);
  const most = Math.max(1, ...facet.values.map(({ count }) => count));
  const shown = all ? facet.values : facet.values.slice(0, FEW);
  return html`<section>
    <h3>${facet.label}</h3>
    <ul>${shown.map((entry) => html`<${Value} key=${entry.value} ...${{ facet, entry, most, q, onChange }} />`)}</ul>
    ${facet.values.length > FEW && html`<button type="button" class="more" onClick=${() => setAll(!all)}>${all ? "fewer" : `${facet.values.length - FEW} more`}</button>`}
  </section>`;
}

/** Whether some episodes would go with a click on it, or have gone. */
function tells({ key, values }, q, total) {
  const alone = values.length === 1;
  return values.some(({ value, count, capped }) => (count < total && !(alone && capped)) || asksFor(q, key, String(value)));
}

/**
 * @param {{facets: any[], q: string, total: number, onChange: (q: string, options: {push?: boolean}) => void}} props
 *   those that all episodes have in common are left out
 */
export function Facets({ facets, q, total, onChange }) {
  const worth = facets.filter((facet) => tells(facet, q, total)).sort((a, b) => IDS.has(a.key) - IDS.has(b.key));
  return html`<div class="facets">
    ${worth.map((facet) => html`<${Facet} key=${facet.key} ...${{ facet, q, onChange }} />`)}
    ${worth.length === 0 && html`<p class="mut">Nothing to narrow down.</p>`}
  </div>`;
}
