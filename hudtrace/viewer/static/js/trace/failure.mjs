/** What was raised, where it is shown in full. */

import { CopyButton } from "../bits.mjs";
import { visible } from "../format.mjs";
import { html } from "../html.mjs";

/** An error with its traceback. */
export function Failure({ error, open = true }) {
  return html`<div class="failure" data-span=${error.span_id ?? null} role="group" aria-label="error">
    <p class="said"><b>${visible(error.type)}</b>${error.message ? `: ${visible(error.message)}` : ""}</p>
    ${error.stacktrace && html`<details open=${open}><summary>Traceback</summary>
      <div class="said code" tabindex="0">${visible(error.stacktrace)}</div>
      <${CopyButton} text=${error.stacktrace} label="Copy the traceback" /></details>`}
  </div>`;
}
