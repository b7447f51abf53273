import { html } from "../html.mjs";

export default function Page() {
  return html`<div class="page"><h1>choose</h1></div>`;
}
