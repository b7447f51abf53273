/** The traces whose ids begin alike. */

import { query, useGet } from "../api.mjs";
import { Empty, Problem, Spinner } from "../bits.mjs";
import { ago, count, duration, utc, visible } from "../format.mjs";
import { html, useEffect } from "../html.mjs";
import { navigate } from "../router.mjs";

export default function Choose({ prefix }) {
  const valid = /^[0-9a-f]{1,32}$/i.test(prefix);
  const { data, error, refresh } = useGet(valid ? `/traces${query({ prefix: prefix.toLowerCase() })}` : null);
  const only = data?.rows.length === 1 && !data.cursor ? data.rows[0].trace_id : null;
  useEffect(() => void (only && navigate(`/trace/${only}${location.search}`, { replace: true })), [only]);
  if (!valid) return html`<${Empty} title="That is no trace id"><p><code>${visible(prefix)}</code> has other characters than 0-9 and a-f.</p><//>`;
  if (error) return html`<${Problem} error=${error} retry=${refresh} />`;
  if (!data || only) return html`<${Spinner} label="looking" />`;
  if (!data.rows.length) {
    return html`<${Empty} title="No such trace"><p>No trace that was stored has an id that begins with <code>${prefix}</code>. <a href="/traces">All traces</a></p><//>`;
  }
  return html`<div class="page-narrow">
    <h1>${data.cursor ? "Many traces" : count(data.rows.length, "trace")} begin with <code>${prefix}</code></h1>
    <ul class="choices">${data.rows.map((trace) => html`<li key=${trace.trace_id}>
      <a href=${`/trace/${trace.trace_id}`}><code><mark>${trace.trace_id.slice(0, prefix.length)}</mark>${trace.trace_id.slice(prefix.length)}</code>
        <span class="cut">${visible(trace.name ?? "")}</span><span class="mut">${count(trace.spans, "span")} · ${duration(trace.seconds)}</span><span class="mut" title=${utc(trace.started)}>${ago(trace.started)}</span></a>
    </li>`)}</ul>
  </div>`;
}
