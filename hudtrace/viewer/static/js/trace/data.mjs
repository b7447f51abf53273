/** What the page knows of a trace, kept up to date while the trace grows. */

import { get, useGet } from "../api.mjs";
import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from "../html.mjs";
import { useLive } from "../live.mjs";
import { Items } from "./items.mjs";
import { endOf, mergeSpans, stepsOf } from "./spans.mjs";
import { buildTree } from "./tree.mjs";

const PAUSE = 400; // ms between two looks at what has changed
const CHECK = 4000; // ms after which a running trace is looked at unasked
const TICK = 500; // ms between two pictures of bars that grow

/**
 * @param {string} id
 * @returns head (with its error), spans, the tree and steps they make, the
 *   conversation as `items`, `now` in the spans' own time, and a `version` that rises
 *   with each change.
 */
export function useTrace(id) {
  const head = useGet(`/trace/${id}`);
  const [known, setKnown] = useState(null);
  const [problem, setProblem] = useState(null);
  const latest = useRef(null);
  const items = useMemo(() => new Items((from, limit) => get(`/trace/${id}/messages?from=${from}&limit=${limit}`)), [id]);
  const load = useCallback(async () => {
    try {
      const since = latest.current ? `&after=${latest.current.seq}` : "";
      latest.current = mergeSpans(latest.current, await get(`/trace/${id}/spans?packed=1${since}`));
      setKnown(latest.current);
      setProblem(null);
    } catch (error) {
      setProblem(error);
    }
  }, [id]);
  useEffect(() => void load(), [load]);
  const state = head.data?.state;
  useChanges(id, state, async () => {
    head.refresh();
    await Promise.all([load(), items.refresh()]);
  });
  return { head, problem, items, ...useShape(known), ...useNow(known, state), version: known?.seq ?? 0 };
}

/**
 * Call *look* when the trace has changed, and now and then while it runs; not too often,
 * and not while nobody looks.
 */
function useChanges(id, state, look) {
  const latest = useRef(look);
  latest.current = look;
  const due = useRef(0);
  const took = useRef(0);
  const soon = useCallback(() => {
    if (due.current || document.hidden) return;
    due.current = setTimeout(async () => {
      const began = performance.now();
      await latest.current();
      took.current = performance.now() - began;
      due.current = 0;
    }, Math.max(PAUSE, took.current * 2));
  }, []);
  useEffect(() => {
    document.addEventListener("visibilitychange", soon);
    return () => document.removeEventListener("visibilitychange", soon);
  }, [soon]);
  useLive((change) => {
    if (change.reset || change.more || change.traces.some((trace) => trace.id === id)) soon();
  });
  const grows = state === "running" || state === "waiting";
  useEffect(() => {
    const timer = grows ? setInterval(soon, CHECK) : 0;
    return () => clearInterval(timer);
  }, [grows, soon]);
}

/** Draw again when more of the conversation has come. */
export function useItems(items) {
  const [, again] = useReducer((n) => n + 1, 0);
  useEffect(() => items.watch(again), [items]);
  return items;
}

function useShape(known) {
  return useMemo(() => {
    if (!known) return { spans: null, tree: null, steps: [], ordered: [], calls: [] };
    const spans = known.spans;
    const ordered = [...spans].sort((a, b) => a.start - b.start);
    const calls = ordered.filter((span) => span.kind === "model");
    return { spans, ordered, calls, tree: buildTree(spans), steps: stepsOf(ordered), base: known.base };
  }, [known]);
}

/**
 * The present and the end, in microseconds since the base. It ticks while spans run; of
 * a trace that was interrupted, the present is the last that was heard of it.
 */
function useNow(known, state) {
  const [tick, setTick] = useState(0);
  const runs = state === "running" && known?.spans.some((span) => span.duration === null);
  useEffect(() => {
    const timer = runs ? setInterval(() => setTick((n) => n + 1), TICK) : 0;
    return () => clearInterval(timer);
  }, [runs]);
  return useMemo(() => {
    if (!known) return { now: 0, start: 0, end: 1 };
    let start = Infinity;
    let last = 0;
    for (const span of known.spans) {
      start = Math.min(start, span.start);
      last = Math.max(last, endOf(span, 0));
    }
    const now = runs ? Math.max(last, Date.now() * 1000 - Number(BigInt(known.base) / 1000n)) : last;
    return { now, start: known.spans.length ? start : 0, end: Math.max(now, 1) };
  }, [known, tick, runs]);
}
