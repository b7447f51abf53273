/** Every trace, of evals and of anything else that sends its spans here. */

import { Empty, Icon, Problem, Spinner, StatusIcon } from "../bits.mjs";
import { ago, clock, count, duration, number, shortId, utc, visible } from "../format.mjs";
import { html, useEffect, useRef, useState } from "../html.mjs";
import { useKeys } from "../keys.mjs";
import { VList } from "../list.mjs";
import { useLive } from "../live.mjs";
import { NARROW, TwoLines, useNarrow } from "../narrow.mjs";
import { usePaged, useRow } from "../paged.mjs";
import { navigate, useQuery } from "../router.mjs";

const COLUMNS = [
  { key: "status", label: html`<span class="sr">Status</span>`, width: "16px" },
  { key: "name", label: "Name", width: "minmax(200px, 1fr)" },
  { key: "service", label: "Service", width: "minmax(100px, 200px)" },
  { key: "id", label: "Trace", width: "84px" },
  { key: "spans", label: "Spans", width: "60px", class: "num" },
  { key: "errors", label: "Errors", width: "60px", class: "num" },
  { key: "time", label: "Time", width: "72px", class: "num" },
  { key: "started", label: "Started", width: "84px", class: "num" },
];

function cells(trace) {
  const failed = trace.errors > 0;
  return html`<span role="gridcell"><${Mark} trace=${trace} /></span>
    <span role="gridcell" class="name"><a class="stretched" tabindex="-1" href=${`/trace/${trace.trace_id}`}><b>${visible(trace.name) || "(its root has not been received)"}</b></a>${trace.episode && html`<span class="tag">episode</span>`}</span>
    <span role="gridcell" class="mut">${visible(trace.service ?? "–")}</span>
    <span role="gridcell" class="mut mono">${shortId(trace.trace_id)}</span>
    <span role="gridcell" class="num">${number(trace.spans)}</span>
    <span role="gridcell" class=${`num ${failed ? "bad" : "mut"}`}>${number(trace.errors)}</span>
    <span role="gridcell" class="num">${duration(trace.seconds)}</span>
    <span role="gridcell" class="num mut" title=${`${clock(trace.started)} · ${utc(trace.started)}`}>${ago(trace.started)}</span>`;
}

/** What there is to see of a trace first: that it runs, was cut off, or has errors. */
function Mark({ trace }) {
  if (trace.state !== "done") return html`<${StatusIcon} state=${trace.state} />`;
  const failed = trace.errors > 0;
  return html`<span class=${failed ? "bad" : "mut"}><${Icon} name=${failed ? "error" : "ok"} /><span class="sr">${failed ? "with errors" : "without errors"}</span></span>`;
}

function lines(trace) {
  return html`<${TwoLines}
    first=${html`<${Mark} trace=${trace} /><a class="stretched cut" tabindex="-1" href=${`/trace/${trace.trace_id}`}><b>${visible(trace.name) || "(its root has not been received)"}</b></a>`}
    second=${[visible(trace.service), count(trace.spans, "span"), duration(trace.seconds), trace.episode && "episode"].filter(Boolean).join(" · ")} last=${html`<span title=${utc(trace.started)}>${ago(trace.started)}</span>`} />`;
}

/** A text that goes into the URL when its writing pauses. */
function Words({ value, names, onChange }) {
  const [text, setText] = useState(value);
  const timer = useRef(0);
  useEffect(() => setText(value), [value]);
  const write = (next) => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onChange(next), 300);
  };
  return html`<input id="filter" type="text" placeholder="Name of a span" aria-label="Name of a span" list="names" value=${text} onInput=${(event) => write(event.target.value)} />
    <datalist id="names">${names.map((name) => html`<option key=${name} value=${name} />`)}</datalist>`;
}

function Bar({ get, set, services, rows }) {
  const names = [...new Set((rows ?? []).map((trace) => trace.name).filter(Boolean))].slice(0, 50);
  const picked = get("service", "");
  const known = (services ?? []).map((service) => service.name ?? service);
  const all = picked && !known.includes(picked) ? [picked, ...known] : known;
  return html`<div class="bar traces-bar">
    <select aria-label="Service" onChange=${(event) => set({ service: event.target.value })}>
      <option value="" selected=${!picked}>All services</option>
      ${all.map((name) => html`<option key=${name} value=${name} selected=${name === picked}>${visible(name)}</option>`)}
    </select>
    <${Words} value=${get("name", "")} names=${names} onChange=${(name) => set({ name })} />
    <label class="check"><input type="checkbox" checked=${get("errors") === "true"} onChange=${(event) => set({ errors: event.target.checked ? "true" : null })} /> With errors only</label>
  </div>`;
}

function None({ filtered }) {
  if (filtered) return html`<${Empty} title="No trace matches"><p>Take away the service, the name, or “With errors only”.</p><//>`;
  return html`<${Empty} title="No traces yet">
    <p>Evals appear here, and whatever else sends its spans over OTLP:</p>
    <p><a href="/setup">How to send spans here</a></p>
  <//>`;
}

/** What has come since the list was drawn: at once if nobody is looking at a row. */
function useNews(isHeld, refresh) {
  const [news, setNews] = useState(0);
  const timer = useRef(0);
  const ids = useRef(new Set()).current;
  useEffect(() => () => clearTimeout(timer.current), []);
  useLive((change) => {
    change.traces.forEach(({ id }) => ids.add(id));
    if (timer.current) return;
    timer.current = setTimeout(() => {
      timer.current = 0;
      if (isHeld()) setNews(ids.size);
      else (ids.clear(), refresh());
    }, 1000);
  });
  const take = () => (ids.clear(), setNews(0), refresh());
  return [news, take];
}

export default function Traces() {
  const [get, set] = useQuery();
  const narrow = useNarrow();
  const filter = { service: get("service"), name: get("name"), errors: get("errors") };
  const list = usePaged("/traces", filter);
  const { rows, first, cursor, error, more, refresh } = list;
  const [selected, select] = useRow(list, "row", (trace) => trace.trace_id);
  const top = useRef(0);
  const [news, take] = useNews(() => selected !== null || top.current > 0 || (rows?.length ?? 0) > 100, refresh);
  useKeys("Traces", [
    { keys: ["/"], what: "write the name of a span", run: () => document.getElementById("filter")?.focus() },
    { keys: ["."], what: "show what is new", run: () => (news ? take() : false) },
    { keys: ["Escape"], what: "leave the row", run: () => select(null) },
  ]);
  return html`<h1 class="sr">Traces</h1>
    <div class="explorer">
      <${Bar} get=${get} set=${set} services=${first?.services} rows=${rows} />
      <div class="table">
        ${news > 0 && html`<button type="button" class="fresh" onClick=${take}>↑ ${news} changed</button>`}
        ${error && !rows && html`<${Problem} error=${error} retry=${refresh} />`}
        ${!rows && !error && html`<${Spinner} label="loading traces" />`}
        ${rows?.length === 0 && html`<${None} filtered=${Object.values(filter).some(Boolean)} />`}
        ${rows?.length > 0 && html`<${VList} label="Traces" count=${rows.length} columns=${COLUMNS} least="760px" ...${narrow ? NARROW : {}} key=${narrow} row=${(index) => (narrow ? lines : cells)(rows[index])}
          selected=${selected} onSelect=${select} onOpen=${(index) => navigate(`/trace/${rows[index].trace_id}`)}
          onRange=${(_, to) => cursor && to > rows.length - 20 && more()} onScrolled=${(now) => (top.current = now)} />`}
      </div>
    </div>`;
}
