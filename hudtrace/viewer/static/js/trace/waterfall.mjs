/**
 * The waterfall: a tree grid of which only the rows in view exist, each with its name,
 * its figures, and its bar on the axis. The rows are text first, so that they can be
 * read, selected and read aloud; a bar is never thinner than two pixels.
 */

import { duration, tokens } from "../format.mjs";
import { html, memo, useEffect, useId, useRef } from "../html.mjs";
import { placeOf, ticks } from "./axis.mjs";
import { Minimap } from "./minimap.mjs";
import { ERROR, endOf, titleOf } from "./spans.mjs";
import { showRow, useWindow } from "./windowing.mjs";

export const ROW = 24;
const HEAD = 24;

/** Microseconds as people read them. */
export const lasts = (us) => (us === 0 ? "0" : duration(us / 1e6));

/**
 * @param {{rows: any[], spans: any[], axis: any, view: [number, number], now: number,
 *   picked: string|null, critical: Set<string>|null, read: Set<string>, start: number,
 *   onPick: Function, onToggle: Function, onView: Function, onOpen: Function}} props
 */
export function Waterfall(props) {
  const { rows, spans, axis, view, now, picked, onView } = props;
  return html`<div class="wf">
    <div class="wf-top"><${Minimap} spans=${spans} axis=${axis} view=${view} now=${now} onView=${onView} /></div>
    <${Grid} ...${props} />
    ${rows.length === 0 && html`<p class="mut wf-none">No span is of these kinds.</p>`}
    <span class="sr" role="status">${picked ? "" : `${rows.length} rows`}</span>
  </div>`;
}

function Grid(props) {
  const { rows, axis, view, picked, onPick, onToggle, onOpen } = props;
  const ref = useRef(null);
  const id = useId();
  const [first, end, update] = useWindow(ref, rows.length, ROW);
  const at = rows.findIndex((row) => row.span.id === picked);
  useEffect(() => showRow(ref.current, at, ROW, HEAD), [at, picked]);
  const shown = [];
  for (let i = first; i < end; i++) {
    const row = rows[i];
    shown.push(html`<${Line} key=${row.span.id} id=${`${id}-${i}`} index=${i} row=${row} isPicked=${i === at}
      bar=${barOf(row.span, axis, view, props.now)} end=${row.span.duration === null ? endOf(row.span, props.now) : null}
      isCritical=${props.critical?.has(row.span.id) ?? false} isRead=${props.read.has(row.span.id)}
      start=${props.start} onPick=${onPick} onToggle=${onToggle} onOpen=${onOpen} />`);
  }
  const active = at >= first && at < end ? `${id}-${at}` : null;
  return html`<div class="wf-grid" ref=${ref} role="treegrid" tabindex="0" aria-label="Spans" aria-rowcount=${rows.length + 1}
    aria-colcount="4" aria-activedescendant=${active} onScroll=${update}>
    <${Ruler} axis=${axis} view=${view} start=${props.start} />
    <div class="wf-rows" role="rowgroup" style=${{ height: `${rows.length * ROW}px` }}>${shown}</div>
  </div>`;
}

function Ruler({ axis, view, start }) {
  return html`<div class="wf-row wf-ruler" role="row" aria-rowindex="1">
    <span role="columnheader" class="wf-name">span</span>
    <span role="columnheader" class="wf-tokens">tokens</span>
    <span role="columnheader" class="wf-time">time</span>
    <span role="columnheader" class="wf-track"><span class="sr">where in the trace</span>
      ${axis.breaks.map(({ from, to }) => html`<${Pause} key=${from} axis=${axis} view=${view} from=${from} to=${to} />`)}
      ${ticks(axis, ...view).map(({ time, place }) => html`<i key=${time} style=${{ left: `${place * 100}%` }}>${lasts(Math.max(0, time - start))}</i>`)}
    </span>
  </div>`;
}

/** A pause that the axis leaves out. */
function Pause({ axis, view: [low, high], from, to }) {
  const [left, right] = [from, to].map((time) => ((placeOf(axis, time) - low) / (high - low)) * 100);
  if (right < 0 || left > 100) return null;
  return html`<b class="pause" title=${`${lasts(to - from)} in which nothing ran`} style=${{ left: `${left}%`, width: `${right - left}%` }}></b>`;
}

/** Where the bar is in the view, in hundredths of its width; null if it is outside. */
function barOf(span, axis, [low, high], now) {
  const place = (time) => ((placeOf(axis, time) - low) / (high - low)) * 100;
  const left = place(span.start);
  const right = place(endOf(span, now));
  if (right < 0 || left > 100) return left > 100 ? "after" : "before";
  return `${Math.max(-1, left).toFixed(3)} ${Math.min(101, right).toFixed(3)}`;
}

const Line = memo(function Line({ id, index, row, isPicked, bar, end, isCritical, isRead, start, onPick, onToggle, onOpen }) {
  const { span, level, kids, open } = row;
  const failed = span.status === ERROR;
  const state = span.duration === null ? span.state : "";
  const took = span.duration ?? end - span.start;
  const words = `${span.name}, starts at ${lasts(span.start - start)}, lasts ${lasts(took)}${failed ? ", error" : ""}`;
  return html`<div id=${id} class=${`wf-row ${isPicked ? "picked" : ""} ${failed ? "failed" : ""}`} role="row" aria-rowindex=${index + 2}
    aria-level=${level} aria-expanded=${kids ? open : null} aria-selected=${isPicked} style=${{ top: `${index * ROW}px` }}
    onClick=${() => onPick(span.id)} onDblClick=${() => onOpen(span.id)}>
    <span role="gridcell" class="wf-name" style=${{ paddingLeft: `${Math.min(level - 1, 12) * 14 + 4}px` }}>
      ${kids ? html`<button type="button" tabindex="-1" class="fold" aria-label=${open ? "collapse" : "expand"}
        onClick=${(event) => toggled(event, span.id, onToggle)}>${open ? "▾" : "▸"}</button>` : html`<i class="fold"></i>`}
      <i class=${`dot ${span.kind}`}></i><span class="wf-title" title=${span.name}>${titleOf(span)}</span>
      ${failed && html`<b class="bad" title="error">!</b>`}
      ${state && html`<small class=${`tag ${state}`}>${state}</small>`}
      ${isRead && html`<small class="tag read" title="The grader read this span">read</small>`}
      ${kids && !open ? html`<small class="mut">${kids}</small>` : null}
    </span>
    <span role="gridcell" class="wf-tokens">${span.tokens == null ? "" : tokens(span.tokens)}</span>
    <span role="gridcell" class="wf-time">${state === "interrupted" ? "?" : lasts(took)}</span>
    <span role="gridcell" class="wf-track" title=${words}><span class="sr">${words}</span><${Bar} bar=${bar} kind=${span.kind} failed=${failed} state=${state} isCritical=${isCritical} /></span>
  </div>`;
});

function toggled(event, id, onToggle) {
  event.stopPropagation();
  onToggle(id);
}

function Bar({ bar, kind, failed, state, isCritical }) {
  if (bar === "before" || bar === "after") return html`<i class=${`beyond ${bar}`}>${bar === "before" ? "‹" : "›"}</i>`;
  const [left, right] = bar.split(" ").map(Number);
  const kinds = `bar ${kind} ${failed ? "err" : ""} ${state} ${isCritical ? "critical" : ""}`;
  return html`<i class=${kinds} style=${{ left: `${left}%`, width: `${right - left}%` }}></i>`;
}
