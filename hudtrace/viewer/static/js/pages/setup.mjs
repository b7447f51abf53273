import { html } from "../html.mjs";

export default function Page() {
  return html`<div class="page"><h1>setup</h1></div>`;
}
