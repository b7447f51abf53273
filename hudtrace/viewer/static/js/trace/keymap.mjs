/** The keys of the page, in the one table that the help is made from. */

import { isError, nextSpan, sameTool } from "./walk.mjs";

/** @param {any} act what the page can do */
export function keysOf(act) {
  return [...moves(act), ...jumps(act), ...views(act), ...(act.view === "timeline" || act.view === "split" ? zooms(act) : [])];
}

function moves({ view, timeline, picking, place, open, neighbour, up }) {
  const inRows = view === "timeline" || view === "split";
  const go = (by) => (inRows ? stepRow(timeline, picking, by) : view === "chat" ? stepBlock(place, picking, by) : false);
  return [
    { keys: ["j", "ArrowDown"], what: "next row or message", run: (event) => plain(event) && go(1) },
    { keys: ["k", "ArrowUp"], what: "previous row or message", run: (event) => plain(event) && go(-1) },
    { keys: ["Home"], what: "first", run: () => (inRows ? stepRow(timeline, picking, -Infinity) : view === "chat" ? stepBlock(place, picking, -Infinity) : false) },
    { keys: ["End"], what: "last", run: () => (inRows ? stepRow(timeline, picking, Infinity) : view === "chat" ? stepBlock(place, picking, Infinity) : false) },
    { keys: ["Enter", "o"], what: "open in the chat, or in the split view", run: () => (picking.id ? open(view === "chat" ? "split" : "chat") : false) },
    { keys: ["Escape", "u"], what: "up: close, let go, back to the list", run: up },
    { keys: ["["], what: "previous episode of the list", run: () => neighbour("prev") },
    { keys: ["]"], what: "next episode of the list", run: () => neighbour("next") },
  ];
}

/** Arrow keys belong to what they are pressed in, where that has a use for them. */
const plain = (event) => event.key.length === 1 || !event.target.closest("[role=tablist], .said, .detail");

function stepRow(timeline, picking, by) {
  const rows = timeline.current?.rows ?? [];
  if (!rows.length) return false;
  const at = rows.findIndex((row) => row.span.id === picking.id);
  const next = Math.max(0, Math.min(rows.length - 1, at < 0 && Math.abs(by) === 1 ? 0 : at + by));
  picking.pick(rows[next].span.id, "rows");
  return undefined;
}

function stepBlock(place, picking, by) {
  const span = place.current?.step(by);
  if (span === undefined) return false;
  picking.pick(span, "chat");
  return undefined;
}

function jumps({ trace, picking, turn, find, mark, compare, copyId, follow }) {
  const jump = (by, wanted) => {
    const span = nextSpan(trace.ordered, picking.span, by, wanted);
    if (span) picking.pick(span.id, "jump");
    return span ? undefined : false;
  };
  return [
    { keys: ["n"], what: "next turn", run: () => turn(1) },
    { keys: ["p"], what: "previous turn", run: () => turn(-1) },
    { keys: ["e"], what: "next error", run: () => jump(1, isError) },
    { keys: ["E"], what: "previous error", run: () => jump(-1, isError) },
    { keys: ["t"], what: "next call of the same tool", run: () => jump(1, sameTool(picking.span)) },
    { keys: ["T"], what: "previous call of the same tool", run: () => jump(-1, sameTool(picking.span)) },
    { keys: ["/"], what: "find in the episode", run: find },
    { keys: ["x"], what: "mark the episode", run: mark },
    { keys: ["c"], what: "compare with the marked one", run: compare },
    { keys: ["Y"], what: "copy the trace id", run: copyId },
    { keys: ["f"], what: "follow what happens", run: follow },
  ];
}

function views({ open }) {
  const names = ["chat", "timeline", "split", "raw"];
  return names.map((name, i) => ({ keys: [String(i + 1)], what: `view: ${name}`, run: () => open(name) }));
}

function zooms({ timeline, picking }) {
  const now = () => timeline.current; // drawn later than the keys are bound
  const row = () => now().rows.find(({ span }) => span.id === picking.id);
  return [
    { keys: ["ArrowLeft"], what: "fold, or to the parent", run: (event) => plain(event) && left(row(), now(), picking) },
    { keys: ["ArrowRight"], what: "unfold", run: (event) => plain(event) && right(row(), now()) },
    { keys: ["z"], what: "zoom to the span", run: () => now().fit() },
    { keys: ["Z"], what: "show everything", run: () => now().reset() },
    { keys: ["w"], what: "zoom in", run: () => now().zoom(0.5) },
    { keys: ["s"], what: "zoom out", run: () => now().zoom(2) },
    { keys: ["a"], what: "earlier", run: () => now().pan(-0.25) },
    { keys: ["d"], what: "later", run: () => now().pan(0.25) },
  ];
}

function left(row, timeline, picking) {
  if (!row) return false;
  if (row.open) timeline.fold([row.span.id], true);
  else if (row.span.parent) picking.pick(row.span.parent, "rows");
  return undefined;
}

function right(row, timeline) {
  if (!row?.kids || row.open) return false;
  timeline.fold([row.span.id], false);
  return undefined;
}
