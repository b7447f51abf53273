import { html } from "./html.mjs";

export default function DiffPage({ a, b }) {
  return html`<div class="page"><h1>${a} ${b}</h1></div>`;
}
