/** Everything about the picked span. */

import { get } from "../api.mjs";
import { CopyButton, Json, Problem, RewardChip, Spinner } from "../bits.mjs";
import { clock, count, durationNs, number, utc } from "../format.mjs";
import { html, useEffect, useState } from "../html.mjs";
import { Said } from "./parts.mjs";
import { parsed, pretty } from "./words.mjs";

const PAUSE = 60; // ms on a row before it is asked for

/** The span as the server has it; not asked for while one only passes by. */
export function useSpan(trace, span, version) {
  const [state, setState] = useState({ id: null, data: null, error: null });
  useEffect(() => {
    if (!span) return undefined;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      get(`/trace/${trace}/span/${span}`, { signal: abort.signal }).then(
        (data) => setState({ id: span, data, error: null }),
        (error) => abort.signal.aborted || setState({ id: span, data: null, error }),
      );
    }, PAUSE);
    return () => (clearTimeout(timer), abort.abort());
  }, [trace, span, version]);
  return state.id === span ? state : { data: null, error: null };
}

export default function Detail({ trace, span, version, onPick, onClose, onChat }) {
  const { data, error } = useSpan(trace, span.id, version);
  return html`<aside class="detail" aria-label="The picked span">
    <header class="detail-head">
      <i class=${`dot ${span.kind}`}></i><h2 title=${span.name}>${span.name}</h2>
      <${CopyButton} text=${span.id} label="Copy the span id" />
      <button type="button" class="quiet" onClick=${onClose} aria-label="Close the detail" title="Close (Esc)">✕</button>
    </header>
    ${error && html`<${Problem} error=${error} />`}
    ${!data && !error && html`<${Spinner} />`}
    ${data && html`<${Facts} data=${data} onPick=${onPick} onChat=${onChat} />`}
  </aside>`;
}

function Facts({ data, onPick, onChat }) {
  const took = data.end ? durationNs(BigInt(data.end) - BigInt(data.start)) : data.state;
  const failed = data.status.code === 2;
  return html`<div class="detail-body" tabindex="0" role="group" aria-label="Facts">
    <p class="mut">${data.kind} · ${took} · <time title=${utc(data.start)}>${clock(data.start)}</time>${data.read_by_grader ? " · read by the grader" : ""}</p>
    ${failed && html`<p class="failure"><b>error</b> ${data.status.message}</p>`}
    ${data.verdict && html`<p><${RewardChip} value=${data.verdict.value} /> ${data.verdict.explanation ?? ""}</p>`}
    ${data.conversation && html`<p><button type="button" onClick=${onChat}>Read it in the chat</button>
      <span class="mut"> ${count(data.conversation.input, "message")} in, ${data.conversation.output} out, ${count(data.conversation.tools, "tool")}</span></p>`}
    <${Attributes} key=${data.span_id} data=${data} />
    ${data.events.length > 0 && html`<section><h3>Events <small>${data.events.length}</small></h3>
      ${data.events.slice(0, 100).map((event, i) => html`<details key=${i} open=${data.events.length < 4}><summary>${event.name} <small class="mut">+${durationNs(BigInt(event.time) - BigInt(data.start))}</small></summary>
        <${Table} values=${event.attributes} /></details>`)}</section>`}
    ${data.links.length > 0 && html`<section><h3>Links <small>${data.links.length}</small></h3>
      ${data.links.slice(0, 100).map((link, i) => html`<p key=${i}><${Link} link=${link} here=${data.trace_id} onPick=${onPick} /> <span class="mut">${Object.values(link.attributes).map(String).join(" ")}</span></p>`)}</section>`}
    <section><details><summary>Resource and scope</summary><${Table} values=${{ ...data.resource, "scope": pretty(data.scope) }} /></details></section>
    <section><details class="raw-one"><summary>JSON</summary><${CopyButton} text=${() => JSON.stringify(data, null, 2)} label="Copy the JSON" /><${Json} value=${data} /></details></section>
  </div>`;
}

function Link({ link, here, onPick }) {
  if (link.trace_id !== here) return html`<a href=${link.url}>${link.trace_id.slice(0, 8)}/${link.span_id}</a>`;
  return html`<button type="button" class="quiet" onClick=${() => onPick(link.span_id)}>${link.span_id}</button>`;
}

/** The attributes, of which those are shown that have what is searched. */
function Attributes({ data }) {
  const [needle, setNeedle] = useState("");
  const [full, setFull] = useState(null);
  const values = full ?? data.attributes;
  const low = needle.toLowerCase();
  const shown = Object.entries(values).filter(([name, value]) => !low || `${name} ${pretty(value)}`.toLowerCase().includes(low));
  const loadFull = () => get(`/trace/${data.trace_id}/span/${data.span_id}?full=1`).then((whole) => setFull(whole.attributes));
  return html`<section><h3>Attributes <small>${number(Object.keys(values).length)}</small></h3>
    <input type="search" class="slim" placeholder="Search attributes" aria-label="Search attributes" value=${needle} onInput=${(e) => setNeedle(e.target.value)} />
    <${Table} values=${Object.fromEntries(shown)} onFull=${loadFull} />
  </section>`;
}

function Table({ values, onFull }) {
  const entries = Object.entries(values);
  if (entries.length === 0) return html`<p class="mut">none</p>`;
  return html`<dl class="pairs">${entries.map(([name, value]) => html`<div key=${name}><dt title=${name}>${name}</dt><dd><${Value} value=${value} onFull=${onFull} /></dd></div>`)}</dl>`;
}

function Value({ value, onFull }) {
  if (value?.$cut) {
    return html`<${Said} text=${value.head} code=${true} /><button type="button" onClick=${onFull}>Show all ${number(value.length)} characters</button>`;
  }
  if (typeof value === "string") return html`<${Said} text=${pretty(value)} code=${value.length > 60 || parsed(value) !== undefined} />`;
  if (value !== null && typeof value === "object") return html`<${Json} value=${value} />`;
  return html`<span class="said">${String(value)}</span>`;
}
