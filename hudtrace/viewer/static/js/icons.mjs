/** Line drawings on a grid of 16. */

import { html } from "./html.mjs";

const PATHS = {
  ok: "M3.5 8.5l3 3 6-7",
  bad: "M4 4l8 8M12 4l-8 8",
  partial: "M3 9.5c1.7-2.6 3.3-2.6 5 0s3.3 2.6 5-0",
  error: "M8 3v6.2M8 12.2v.6",
  running: "M8 2.5a5.5 5.5 0 1 1-5.5 5.5",
  interrupted: "M5.5 4v8M10.5 4v8",
  none: "M4 8h8",
  waiting: "M8 4v4l2.5 2",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  search: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.5 10.5l3 3",
  close: "M4 4l8 8M12 4l-8 8",
  link: "M6.5 9.5l3-3M7 4.5l1.2-1.2a3 3 0 0 1 4.3 4.3L11 9M5 7L3.5 8.4a3 3 0 0 0 4.3 4.3L9 11.5",
  filter: "M2.5 4h11M4.5 8h7M6.5 12h3",
  sun: "M8 5.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5M8 1.5v1.5M8 13v1.5M1.5 8h1.5M13 8h1.5M3.4 3.4l1.1 1.1M11.5 11.5l1.1 1.1M12.6 3.4l-1.1 1.1M4.5 11.5l-1.1 1.1",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5z",
  system: "M2.5 3.5h11v7h-11zM6 13h4M8 10.5V13",
  keys: "M2 4.5h12v7H2zM4.5 7h.1M7 7h.1M9.5 7h.1M11.8 7h.1M5 9.3h6",
};

/** A line drawing, for eyes only: what it means is written beside it or in a title. */
export function Icon({ name, class: kind = "" }) {
  return html`<svg class=${`icon ${kind}`} viewBox="0 0 16 16" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}
