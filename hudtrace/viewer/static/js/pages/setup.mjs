/** How to send spans here; what is read, and from where. */

import { useGet } from "../api.mjs";
import { CopyButton, Icon, Problem, Spinner } from "../bits.mjs";
import { NONE, bytes, count, number } from "../format.mjs";
import { html } from "../html.mjs";
import { useLive } from "../live.mjs";

function Lines({ lines }) {
  const text = lines.join("\n");
  return html`<div class="sample"><pre tabindex="0"><code>${text}</code></pre><${CopyButton} text=${text} label="Copy these lines" what="Lines copied" /></div>`;
}

function Receiver({ receiver }) {
  const up = Boolean(receiver.url);
  return html`<tr>
    <th scope="row">OTLP over ${receiver.protocol === "grpc" ? "gRPC" : "HTTP"}</th>
    <td class=${up ? "ok" : "warn"}><${Icon} name=${up ? "ok" : "error"} /> ${receiver.state}</td>
    <td>${up && html`<code>${receiver.url}</code>`}</td>
  </tr>`;
}

function Fact({ name, children }) {
  return html`<tr><th scope="row">${name}</th><td colspan="2">${children}</td></tr>`;
}

function Store({ store, index }) {
  return html`<table class="plain"><tbody>
    <${Fact} name="File"><code>${store.path}</code> <${CopyButton} text=${store.path} label="Copy the path" what="Path copied" /><//>
    <${Fact} name="Size">${bytes(store.bytes)} · ${count(store.episodes, "episode")} · ${count(store.spans, "span")}<//>
    ${store.read_only && html`<${Fact} name="Mode">read-only: no spans are received<//>`}
    ${store.writers?.length > 0 && html`<${Fact} name="Written by">${store.writers.map(({ pid, host }) => `process ${pid} on ${host}`).join(", ")}<//>`}
    <${Fact} name="Index">${index.path ? html`<code>${index.path}</code>, ` : ""}${indexed(index.lag)}<//>
  </tbody></table>`;
}

function indexed(lag) {
  if (lag === null || lag === undefined) return NONE;
  return lag === 0 ? "up to date" : `${number(lag)} spans behind`;
}

export default function Setup() {
  const { data, error, refresh } = useGet("/setup");
  useLive(refresh);
  if (error && !data) return html`<${Problem} error=${error} retry=${refresh} />`;
  if (!data) return html`<${Spinner} label="loading" />`;
  const { store, index, urls, env, receivers, links, version } = data;
  return html`<div class="scroll"><div class="page-narrow setup">
    <h1>Setup</h1>
    <section>
      <h2>Evals</h2>
      <p>Whatever runs with hudtrace on this machine writes to the store below and appears here by itself.</p>
    </section>
    <section>
      <h2>Any other program, over OpenTelemetry</h2>
      ${env.length ? html`<p>Set these where it runs:</p><${Lines} lines=${env} />` : html`<p>This viewer is read-only and receives no spans.</p>`}
      ${receivers.length > 0 && html`<table class="plain"><tbody>${receivers.map((receiver, i) => html`<${Receiver} key=${i} receiver=${receiver} />`)}</tbody></table>`}
    </section>
    <section>
      <h2>Grafana, the Jaeger UI, scripts</h2>
      <p>Jaeger's query API is at <code>${urls.jaeger}</code> <${CopyButton} text=${urls.jaeger} label="Copy the address" what="Address copied" />, the viewer's own at <a href="/api/hud/v1/openapi.json">/api/hud/v1</a>. In Grafana, that is a data source of the type Jaeger.</p>
      ${links.length > 0 && html`<p>Spans are also sent to ${links.map((link, i) => html`${i > 0 && ", "}<a key=${link.name} href=${site(link.url)} target="_blank" rel="noopener noreferrer">${link.name}</a>`)}.</p>`}
    </section>
    <section>
      <h2>Store</h2>
      <${Store} store=${store} index=${index} />
    </section>
    <p class="mut">hudtrace ${version}</p>
  </div></div>`;
}

/** The site of a link that would lead to one trace. */
function site(link) {
  try {
    const { origin, protocol } = new URL(link.replace(/\{.*/, ""));
    return /^https?:$/.test(protocol) ? origin : null;
  } catch {
    return null;
  }
}
