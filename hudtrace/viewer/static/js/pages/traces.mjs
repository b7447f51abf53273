import { html } from "../html.mjs";

export default function Page() {
  return html`<div class="page"><h1>traces</h1></div>`;
}
