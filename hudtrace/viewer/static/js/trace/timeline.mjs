/** The timeline: its axis, zoom and kinds of spans are in the URL, what is folded is not. */

import { html, useCallback, useEffect, useMemo, useState } from "../html.mjs";
import { moved, placeOf, timeAt, timeAxis, turnAxis } from "./axis.mjs";
import { endOf } from "./spans.mjs";
import { useStable } from "./stable.mjs";
import { ancestors, criticalPath, flatten, kindFilter, withAncestors } from "./tree.mjs";
import { turnsOf } from "./walk.mjs";
import { Waterfall } from "./waterfall.mjs";

/**
 * @param {{trace: any, get: Function, set: Function, picking: any, read: Set<string>,
 *   handle: {current: any}, onOpen: Function}} props `handle` is given what keys can do
 */
export default function Timeline({ trace, get, set, picking, read, handle, onOpen }) {
  const { tree, spans, start, now } = trace;
  const axis = useAxis(trace, get("axis") === "turns", get("idle") !== "full");
  const { rows, fold, toggle } = useRows(tree, get("show", ""), picking.id);
  const critical = useMemo(() => (get("critical") === "1" ? criticalPath(tree, now) : null), [tree, now, get("critical")]);
  const view = viewOf(get, axis);
  const look = useCallback(([low, high]) => {
    const all = high - low > 0.9999;
    const time = (place) => (all ? null : milliseconds(timeAt(axis, place)));
    set({ from: time(low), to: time(high) }, { replace: true });
  }, [axis, set]);
  useEffect(() => {
    const place = picking.span ? placeOf(axis, picking.span.start) : -1;
    if (place >= 0 && (place < view[0] || place > view[1])) look(moved(view, { by: (place - (view[0] + view[1]) / 2) / (view[1] - view[0]) }));
  }, [picking.id]);
  const pick = useStable((span) => picking.pick(span, "timeline"));
  const open = useStable(onOpen);
  handle.current = { rows, fold, ...zooms({ picking, axis, view, now, look }) };
  return html`<${Waterfall} ...${{ rows, spans, axis, view, now, start, critical, read }} onOpen=${open} picked=${picking.id}
    onPick=${pick} onToggle=${toggle} onView=${look} />`;
}

function useAxis({ spans, steps, start, end, now }, byTurns, squeeze) {
  return useMemo(() => {
    const starts = turnsOf(steps).map((step) => step.span.start);
    return byTurns ? turnAxis(starts, start, end) : timeAxis(spans, start, end, now, squeeze);
  }, [spans, steps, start, end, byTurns, squeeze]);
}

/** The rows of the tree; whatever is folded, the picked span is among them. */
function useRows(tree, kinds, picked) {
  const [folded, setFolded] = useState(() => new Set());
  const rows = useMemo(() => {
    const shown = folded.size && picked ? changed(folded, ancestors(tree, picked), false) : folded;
    const keep = kinds ? withAncestors(tree, kindFilter(kinds.split(","))) : null;
    return flatten(tree, shown, keep);
  }, [tree, folded, kinds, picked]);
  const fold = (ids, close) => setFolded((old) => changed(old, ids, close));
  const toggle = useCallback((id) => setFolded((old) => changed(old, [id], !old.has(id))), []);
  return { rows, fold, toggle };
}

function changed(set, ids, add) {
  const next = new Set(set);
  for (const id of ids) add ? next.add(id) : next.delete(id);
  return next;
}

const milliseconds = (us) => String(Number((us / 1000).toFixed(3)));

/** The part of the axis that the URL says. */
function viewOf(get, axis) {
  const [from, to] = [Number(get("from", NaN)), Number(get("to", NaN))];
  if (!(to > from)) return [0, 1];
  const view = [placeOf(axis, from * 1000), placeOf(axis, to * 1000)];
  return view[1] - view[0] > 1e-9 ? view : [0, 1];
}

function zooms({ picking, axis, view, now, look }) {
  return {
    zoom: (by) => look(moved(view, { zoom: by, centre: centreOf(picking.span, axis, view, now) })),
    pan: (by) => look(moved(view, { by })),
    fit: () => fit(picking.span, axis, now, look),
    reset: () => look([0, 1]),
  };
}

/** Zoom round the picked span if it is in view, else round the middle. */
function centreOf(span, axis, [low, high], now) {
  const at = span ? placeOf(axis, (span.start + endOf(span, now)) / 2) : -1;
  return at > low && at < high ? at : (low + high) / 2;
}

/** Look at one span, with a little around it. */
function fit(span, axis, now, look) {
  if (!span) return false;
  const low = placeOf(axis, span.start);
  const high = Math.max(placeOf(axis, endOf(span, now)), low + 1e-6);
  const around = (high - low) * 0.1;
  look([Math.max(0, low - around), Math.min(1, high + around)]);
  return undefined;
}
