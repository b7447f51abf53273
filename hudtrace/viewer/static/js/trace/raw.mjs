/** Everything as JSON, to be unfolded: a span is fetched when it is. */

import { get } from "../api.mjs";
import { CopyButton } from "../bits.mjs";
import { number } from "../format.mjs";
import { html, useEffect, useMemo, useReducer, useRef, useState } from "../html.mjs";
import { allPaths, linesOf, matching } from "./jsonlines.mjs";
import { showRow, useWindow } from "./windowing.mjs";

const ROW = 20;
const FEW = 300; // spans that a search fetches at once; so many or fewer by itself
const AT_ONCE = 6;

/** @param {{head: any, spans: any[], picked: string|null, needle: string, onPick: Function}} props */
export default function Raw({ head, spans, picked, needle, onPick }) {
  const store = useSpanStore(head.trace_id, spans);
  const value = useMemo(() => ({
    trace: head,
    spans: spans.map((span) => ({ $lazy: `${span.name} ${span.id}` })),
  }), [head, spans]);
  const [open, setOpen] = useState(() => new Set(["$", "$/spans"]));
  const at = spans.findIndex((span) => span.id === picked);
  useEffect(() => {
    if (at < 0) return;
    store.want(at);
    setOpen((old) => new Set(old).add(`$/spans/${at}`));
  }, [at]);
  useEffect(() => {
    if (needle && spans.length <= FEW) store.wantAll();
  }, [needle, spans.length]);
  const lines = useMemo(() => {
    if (!needle) return linesOf(value, open, store.at);
    return matching(linesOf(value, allPaths(value, store.at), store.at), needle);
  }, [value, open, needle, store.version]);
  const toggle = (line) => {
    const index = spanOf(line.path);
    if (line.kind === "lazy" && index !== null) {
      store.want(index);
      onPick(spans[index].id, "raw");
    }
    setOpen((old) => toggled(old, line.path));
  };
  const missing = spans.length - store.count;
  return html`<div class="raw">
    <p class="raw-head"><span class="mut" role="status">${needle ? `${number(lines.length)} lines with it or around it` : `${number(lines.length)} lines`}</span>
      ${needle && missing > 0 && html`<button type="button" onClick=${store.wantAll}>Search in ${number(Math.min(missing, FEW))} more spans</button>`}
      <span class="fill"></span><a href=${`/trace/${head.trace_id}/json`} download>Download JSON</a></p>
    <${Lines} lines=${lines} at=${lines.findIndex((line) => line.path === `$/spans/${at}`)} onToggle=${toggle} store=${store} />
  </div>`;
}

const spanOf = (path) => {
  const found = /^\$\/spans\/(\d+)$/.exec(path);
  return found ? Number(found[1]) : null;
};

function toggled(set, path) {
  const next = new Set(set);
  if (!next.delete(path)) next.add(path);
  return next;
}

/** The spans that were fetched, by their position. */
function useSpanStore(trace, spans) {
  const [version, again] = useReducer((n) => n + 1, 0);
  const known = useRef(new Map());
  const want = async (index) => {
    if (known.current.has(index) || !spans[index]) return;
    try {
      known.current.set(index, await get(`/trace/${trace}/span/${spans[index].id}`));
    } catch (error) {
      known.current.set(index, { error: error.message });
    }
    again();
  };
  const wantAll = async () => {
    const waiting = spans.map((_, i) => i).filter((i) => !known.current.has(i)).slice(0, FEW);
    const work = async () => {
      while (waiting.length) await want(waiting.shift());
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  };
  const at = (path) => known.current.get(spanOf(path) ?? -1);
  return { version, want, wantAll, at, count: known.current.size };
}

function Lines({ lines, at, onToggle, store }) {
  const ref = useRef(null);
  const [first, end, update] = useWindow(ref, lines.length, ROW, 6);
  useEffect(() => showRow(ref.current, at, ROW), [at]);
  return html`<div class="raw-lines" ref=${ref} tabindex="0" role="region" aria-label="JSON" onScroll=${update}>
    <div style=${{ height: `${lines.length * ROW}px` }}>
      ${lines.slice(first, end).map((line, i) => html`<div key=${`${line.path}${line.kind}`} class="raw-line" style=${{ top: `${(first + i) * ROW}px`, paddingLeft: `${line.depth * 16 + 8}px` }}>
        ${line.fold === null ? html`<i class="fold"></i>` : html`<button type="button" class="fold" aria-expanded=${line.fold} aria-label=${line.fold ? "fold" : "unfold"} onClick=${() => onToggle(line)}>${line.fold ? "▾" : "▸"}</button>`}
        ${line.key !== null && html`<span class="j-key">${line.key}</span>: `}<span class=${`said j-${line.kind}`}>${line.text}</span>
        ${line.kind === "open" && spanOf(line.path) !== null && html` <${CopyButton} text=${() => JSON.stringify(store.at(line.path), null, 2)} label="Copy the span as JSON" />`}
      </div>`)}
    </div>
  </div>`;
}
