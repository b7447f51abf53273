/** Rows where there is no room for columns: two lines, as one cell. */

import { useMedia } from "./bits.mjs";
import { html } from "./html.mjs";

/** Whether there is no room for columns. */
export const useNarrow = () => useMedia("(max-width: 760px)");

export const NARROW = { rowHeight: 52, class: "narrow", columns: null, least: null };

/** @param {{first: any, second: any, last?: any}} props *last* is at the end of the second line */
export function TwoLines({ first, second, last }) {
  return html`<div role="gridcell" class="two-lines"><div>${first}</div><div class="mut"><span class="cut">${second}</span>${last}</div></div>`;
}
