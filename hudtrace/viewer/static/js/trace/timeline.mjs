/** The timeline's state, kept in the URL: axis, zoom, kinds of spans, what is folded. */

import { html, useCallback, useMemo, useState } from "../html.mjs";
import { moved, placeOf, timeAt, timeAxis, turnAxis } from "./axis.mjs";
import { endOf } from "./spans.mjs";
import { ancestors, criticalPath, flatten, kindFilter, withAncestors } from "./tree.mjs";
import { turnsOf } from "./walk.mjs";
import { Waterfall } from "./waterfall.mjs";

const KINDS = ["errors", "tools", "models"];

/** @param {{trace: any, get: Function, set: Function, picked: string|null}} options */
export function useTimeline({ trace, get, set, picked }) {
  const { spans, tree, steps, start, end, now } = trace;
  const [folded, setFolded] = useState(() => new Set());
  const kinds = get("show", "");
  const byTurns = get("axis") === "turns";
  const squeeze = get("idle") !== "full";
  const axis = useMemo(() => {
    const starts = turnsOf(steps).map((step) => step.span.start);
    return byTurns ? turnAxis(starts, start, end) : timeAxis(spans, start, end, now, squeeze);
  }, [spans, steps, start, end, byTurns, squeeze]);
  const rows = useMemo(() => {
    const shown = folded.size && picked ? unfolded(folded, tree, picked) : folded;
    const keep = kinds ? withAncestors(tree, kindFilter(kinds.split(","))) : null;
    return flatten(tree, shown, keep);
  }, [tree, folded, kinds, picked]);
  const showsCritical = get("critical") === "1";
  const critical = useMemo(() => (showsCritical ? criticalPath(tree, now) : null), [tree, now, showsCritical]);
  const view = viewOf(get, axis);
  const look = useCallback(([low, high]) => {
    const all = high - low > 0.9999;
    set({ from: all ? null : milliseconds(timeAt(axis, low)), to: all ? null : milliseconds(timeAt(axis, high)) }, { replace: true });
  }, [axis, set]);
  const fold = (ids, close) => setFolded((old) => changed(old, ids, close));
  const Chips = useCallback(() => html`<${Filters} get=${get} set=${set} hasIdle=${axis.breaks.length > 0 || !squeeze} />`, [get, axis.breaks.length, squeeze]);
  return {
    ...{ axis, rows, critical, view, look, fold, Chips },
    isFolded: (id) => folded.has(id),
    toggle: useCallback((id) => setFolded((old) => changed(old, [id], !old.has(id))), []),
    zoom: (by) => look(moved(view, { zoom: by, centre: centreOf(picked, tree, axis, view, now) })),
    pan: (by) => look(moved(view, { by })),
    fit: () => fit(picked && tree.byId.get(picked), axis, now, look),
    reset: () => look([0, 1]),
  };
}

const milliseconds = (us) => String(Number((us / 1000).toFixed(3)));

function viewOf(get, axis) {
  const [from, to] = [Number(get("from", NaN)), Number(get("to", NaN))];
  if (!get("from") || !get("to") || !(to > from)) return [0, 1];
  const view = [placeOf(axis, from * 1000), placeOf(axis, to * 1000)];
  return view[1] - view[0] > 1e-9 ? view : [0, 1];
}

function unfolded(folded, tree, picked) {
  return changed(folded, ancestors(tree, picked), false);
}

function changed(set, ids, add) {
  const next = new Set(set);
  for (const id of ids) (add ? next.add(id) : next.delete(id));
  return next;
}

/** Zoom round the picked span if it is in view, else round the middle. */
function centreOf(picked, tree, axis, [low, high], now) {
  const span = picked && tree.byId.get(picked);
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

function Filters({ get, set, hasIdle }) {
  const chosen = (get("show") ?? "").split(",").filter(Boolean);
  const toggle = (kind) => {
    const next = chosen.includes(kind) ? chosen.filter((k) => k !== kind) : [...chosen, kind];
    set({ show: next.join(",") || null }, { replace: true });
  };
  const chip = (on, label, flip, title) => html`<button type="button" class="filter" aria-pressed=${on} title=${title} onClick=${flip}>${label}</button>`;
  const turns = get("axis") === "turns";
  return html`<span class="filters" role="group" aria-label="What the timeline shows">
    ${KINDS.map((kind) => chip(chosen.includes(kind), kind, () => toggle(kind), `only ${kind}, and what they are in`))}
    ${chip(get("critical") === "1", "critical path", () => set({ critical: get("critical") === "1" ? null : "1" }), "what the episode waited for")}
    ${chip(turns, "turns axis", () => set({ axis: turns ? null : "turns" }), "the same width for each turn")}
    ${hasIdle && !turns && chip(get("idle") === "full", "idle time", () => set({ idle: get("idle") === "full" ? null : "full" }), "long pauses at their full width")}
  </span>`;
}

/** The waterfall with its state. */
export function Timeline({ timeline, trace, read, picking, onOpen }) {
  const pick = useCallback((span) => picking.pick(span, "timeline"), [picking.pick]);
  return html`<${Waterfall} rows=${timeline.rows} spans=${trace.spans} axis=${timeline.axis} view=${timeline.view} now=${trace.now}
    start=${trace.start} picked=${picking.id} critical=${timeline.critical} read=${read}
    onPick=${pick} onToggle=${timeline.toggle} onView=${timeline.look} onOpen=${onOpen} />`;
}
