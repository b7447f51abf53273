/** The address of an episode is good from its first moment on; its spans come later. */

import { CopyButton, Empty } from "../bits.mjs";
import { html } from "../html.mjs";

/** @param {{head: any}} props */
export default function Waiting({ head }) {
  const delivery = head.delivery;
  return html`<${Empty} title="Waiting for spans">
    <p>No span of this trace has arrived yet. The page shows them as soon as they do.</p>
    <p><code>${head.trace_id}</code> <${CopyButton} text=${head.trace_id} label="Copy the trace id" /></p>
    ${delivery?.store && html`<dl class="pairs">
      <div><dt>store</dt><dd><code>${delivery.store}</code>${delivery.exists === false ? ", which is not there yet" : ""}</dd></div>
      <div><dt>processes that write to it</dt><dd>${delivery.writers ?? "–"}</dd></div>
    </dl>`}
    <p class="mut">If they go elsewhere, HUDTRACE_STORE of the eval names another file, or OTEL_EXPORTER_OTLP_ENDPOINT another address: <a href="/setup">set-up</a>.</p>
  <//>`;
}
