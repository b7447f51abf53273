/**
 * The spans of a trace: read from the wire, kept up to date, and asked about.
 *
 * Times are microseconds since the start of the trace.
 *
 * @typedef {{
 *   id: string, parent: string|null, name: string, kind: string, start: number,
 *   duration: number|null, status: number, state: string, turn: number|null,
 *   label: string, tokens: number|null
 * }} Span
 * @typedef {{span: Span, tools: Span[], errors: number, calls: Span[]}} Step
 */

import { visible } from "../format.mjs";

export const ERROR = 2;

/**
 * Read the columns of `/spans?packed=1`: all ids are one text, starts and turns count
 * from the one before, and parents are so many places before. @returns {Span[]}
 */
function readSpans({ id, start, turn, parent, ...columns }) {
  const ids = idsIn(id);
  const names = Object.keys(columns);
  let at = 0;
  let turns = 0;
  return ids.map((own, i) => {
    at += start[i];
    turns += turn[i] ?? 0;
    const above = typeof parent[i] === "number" ? ids[i - parent[i]] : parent[i];
    const span = { id: own, parent: above, start: at, turn: turn[i] === null ? null : turns };
    for (const name of names) span[name] = columns[name][i];
    return span;
  });
}

function idsIn(text) {
  const digits = Array.from(atob(text), (c) => c.charCodeAt(0).toString(16).padStart(2, "0"));
  return Array.from({ length: digits.length / 8 }, (_, i) => digits.slice(i * 8, i * 8 + 8).join(""));
}

/** Add the spans of a later answer; its times are moved to the first one's base. */
export function mergeSpans(known, answer) {
  const found = readSpans(answer.spans);
  if (!known) return { base: answer.base, seq: answer.seq, spans: found };
  const shift = Number(BigInt(answer.base ?? known.base) - BigInt(known.base)) / 1000;
  const byId = new Map(known.spans.map((span) => [span.id, span]));
  for (const span of found) byId.set(span.id, { ...span, start: span.start + shift });
  return { base: known.base, seq: answer.seq, spans: [...byId.values()] };
}

/** When a span ends; one that runs, or was interrupted, has lasted until *now*. */
export function endOf(span, now) {
  return span.duration === null ? Math.max(span.start, now) : span.start + span.duration;
}

/** What a reader calls the span: its model or tool, without the operation. */
export function titleOf(span) {
  if (span.kind === "turn" && span.turn !== null) return `turn ${span.turn}`;
  const known = span.kind === "tool" || span.kind === "model" ? span.label : "";
  return visible(known || span.name);
}

/**
 * What happened, step by step: one for each turn (or model call, where there are no
 * turns), and one for whatever else stands beside them: set-up, grading, reward.
 * @param {Span[]} spans @returns {Step[]}
 */
export function stepsOf(spans) {
  const hasTurns = spans.some((span) => span.turn !== null && span.turn !== undefined);
  const steps = [];
  const ofTurn = new Map();
  let latest = null;
  for (const span of [...spans].sort((a, b) => a.start - b.start)) {
    const step = placeOf(span, hasTurns, ofTurn, latest);
    if (step === undefined) continue;
    if (step.isNew) steps.push(step.isNew);
    latest = step.isNew ?? step.known ?? latest;
    count(latest, span);
  }
  return steps;
}

function placeOf(span, hasTurns, ofTurn, latest) {
  if (hasTurns && span.turn != null) {
    const known = ofTurn.get(span.turn);
    if (known) return { known };
    const step = newStep(span);
    ofTurn.set(span.turn, step);
    return { isNew: step };
  }
  if (span.kind === "model" || span.kind === "reward" || span.kind === "setup") {
    return { isNew: newStep(span) };
  }
  if (span.kind === "tool") {
    const within = !hasTurns && latest && latest.span.kind === "model";
    return within ? { known: latest } : { isNew: newStep(span) };
  }
  return undefined;
}

const newStep = (span) => ({ span, tools: [], errors: 0, calls: [] });

function count(step, span) {
  if (span.kind === "tool" && span !== step.span) step.tools.push(span);
  if (span.kind === "model") step.calls.push(span);
  if (span.status === ERROR) step.errors += 1;
}
