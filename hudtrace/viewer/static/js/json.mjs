/** JSON that can be folded; what is folded, or long, is not drawn. */

import { html, useState } from "./html.mjs";

const MANY = 100;
const LONG = 2000;

function Leaf({ value }) {
  const [all, setAll] = useState(false);
  if (typeof value !== "string") return html`<span class="j-lit">${String(value)}</span>`;
  const cut = !all && value.length > LONG;
  return html`<span class="j-str">"${cut ? value.slice(0, LONG) : value}${cut ? "" : '"'}</span>${cut &&
  html`<button type="button" class="more" onClick=${() => setAll(true)}>… ${(value.length - LONG).toLocaleString("en-US")} more characters</button>`}`;
}

function Branch({ value, depth, open: first }) {
  const [open, setOpen] = useState(first);
  const [shown, setShown] = useState(MANY);
  const list = Array.isArray(value);
  const entries = Object.entries(value);
  const [left, right] = list ? "[]" : "{}";
  if (entries.length === 0) return html`<span class="j-lit">${left}${right}</span>`;
  return html`<button type="button" class="j-fold" aria-expanded=${open} onClick=${() => setOpen(!open)}>
      ${open ? left : html`${left} ${entries.length} ${list ? "items" : "fields"} ${right}`}
    </button>
    ${open && html`<div class="j-in">
      ${entries.slice(0, shown).map(([name, each]) => html`<div key=${name}>
        ${list ? null : html`<span class="j-key">${name}</span>: `}<${Node} value=${each} depth=${depth + 1} />
      </div>`)}
      ${entries.length > shown && html`<button type="button" class="more" onClick=${() => setShown(shown + MANY * 10)}>… ${entries.length - shown} more</button>`}
    </div>${right}`}`;
}

function Node({ value, depth }) {
  if (value === null || typeof value !== "object") return html`<${Leaf} value=${value} />`;
  const size = Object.keys(value).length;
  return html`<${Branch} value=${value} depth=${depth} open=${depth < 2 && size <= MANY} />`;
}

/** @param {{value: any}} props */
export function Json({ value }) {
  return html`<div class="json"><${Node} value=${value} depth=${0} /></div>`;
}
