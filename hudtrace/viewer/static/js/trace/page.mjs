import { html } from "../html.mjs";

export default function TracePage({ id }) {
  return html`<div class="page"><h1>${id}</h1></div>`;
}
