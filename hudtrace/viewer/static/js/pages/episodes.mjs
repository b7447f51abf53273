/** Every episode there is. */

import { Explorer } from "../episodes/explorer.mjs";
import { html } from "../html.mjs";

export default function Episodes() {
  return html`<h1 class="sr">Episodes</h1><${Explorer} />`;
}
