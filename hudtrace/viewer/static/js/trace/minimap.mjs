/** The whole trace on one small canvas; a drag across it is what to look at. */

import { html, useEffect, useLayoutEffect, useRef, useState } from "../html.mjs";
import { placeOf } from "./axis.mjs";
import { ERROR, endOf } from "./spans.mjs";

const HEIGHT = 40;
const PAINTED = ["model", "tool", "setup", "reward", "http", "other", "err"];
const LANES = { model: 0, tool: 1 };
const LANE = HEIGHT / 3;

/** @param {{spans: any[], axis: any, view: [number, number], now: number, onView: Function}} props */
export function Minimap({ spans, axis, view, now, onView }) {
  const canvas = useRef(null);
  const [drag, setDrag] = useState(null);
  const [drawn, setDrawn] = useState(0);
  useLayoutEffect(() => paint(canvas.current, spans, axis, now), [spans, axis, now, drawn]);
  useEffect(() => {
    const again = () => setDrawn((n) => n + 1);
    const watcher = new ResizeObserver(again);
    watcher.observe(canvas.current);
    const theme = new MutationObserver(again);
    theme.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "style", "class"] });
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", again);
    return () => (watcher.disconnect(), theme.disconnect(), scheme.removeEventListener("change", again));
  }, []);
  const place = (event) => {
    const edge = canvas.current.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - edge.left) / edge.width));
  };
  const begin = (event) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    setDrag([place(event), place(event)]);
  };
  const finish = () => {
    if (drag) onView(Math.abs(drag[1] - drag[0]) < 0.004 ? around(view, drag[0]) : [...drag].sort((a, b) => a - b));
    setDrag(null);
  };
  const [low, high] = drag ? [...drag].sort((a, b) => a - b) : view;
  return html`<div class="minimap" aria-hidden="true" onPointerDown=${begin} onPointerMove=${(e) => drag && setDrag([drag[0], place(e)])}
    onPointerUp=${finish} onPointerCancel=${() => setDrag(null)} onDblClick=${() => onView([0, 1])} title="Drag to zoom, double click for all">
    <canvas ref=${canvas}></canvas>
    <i class="veil" style=${{ left: 0, width: `${low * 100}%` }}></i>
    <i class="veil" style=${{ left: `${high * 100}%`, right: 0 }}></i>
    <i class="lens" style=${{ left: `${low * 100}%`, width: `${(high - low) * 100}%` }}></i>
  </div>`;
}

/** The view, moved so that *place* is its middle. */
function around([low, high], place) {
  const width = high - low;
  const start = Math.min(Math.max(0, place - width / 2), 1 - width);
  return [start, start + width];
}

/** Models above, tools below them, the rest at the bottom; errors over everything. */
function paint(canvas, spans, axis, now) {
  const width = canvas.clientWidth;
  const scale = devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = HEIGHT * scale;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const colours = Object.fromEntries(PAINTED.map((name) => [name, colourOf(canvas, name)]));
  const errors = [];
  for (const span of spans) {
    if (span.status === ERROR && !["eval", "agent", "turn"].includes(span.kind)) errors.push(span);
    if (!(span.kind in colours)) continue;
    mark(context, span, axis, now, width, colours[span.kind]);
  }
  for (const span of errors) mark(context, span, axis, now, width, colours.err);
}

/** A colour of the theme, as the canvas understands it. */
function colourOf(canvas, name) {
  canvas.style.color = `var(--${name})`;
  return getComputedStyle(canvas).color;
}

function mark(context, span, axis, now, width, colour) {
  const left = placeOf(axis, span.start) * width;
  const right = placeOf(axis, endOf(span, now)) * width;
  context.fillStyle = colour;
  context.fillRect(left, (LANES[span.kind] ?? 2) * LANE + 2, Math.max(1, right - left), LANE - 3);
}
