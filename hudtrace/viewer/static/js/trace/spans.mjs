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

export const ERROR = 2;

/** Read an answer of `/spans`, in columns or in rows. @returns {Span[]} */
export function readSpans(answer) {
  return answer.spans ? fromColumns(answer.spans) : fromRows(answer);
}

function fromColumns(columns) {
  const names = Object.keys(columns);
  return columns.id.map((id, i) => {
    const span = {};
    for (const name of names) span[name] = columns[name][i];
    if (typeof span.parent === "number") span.parent = columns.id[span.parent];
    return span;
  });
}

function fromRows({ columns, rows }) {
  const start = columns.indexOf("start");
  const duration = columns.indexOf("duration");
  return rows.map((row) => {
    const span = Object.fromEntries(columns.map((name, i) => [name, row[i]]));
    span.start = row[start] / 1000;
    span.duration = row[duration] === null ? null : row[duration] / 1000;
    return span;
  });
}

/** Add the spans of a later answer; its times are moved to the first one's base. */
export function mergeSpans(known, answer) {
  const found = readSpans(answer);
  if (!known) return { base: answer.base, seq: answer.seq, spans: found };
  const shift = Number(BigInt(answer.base ?? known.base) - BigInt(known.base)) / 1000;
  const byId = new Map(known.spans.map((span) => [span.id, span]));
  for (const span of found) byId.set(span.id, { ...span, start: span.start + shift });
  return { base: known.base, seq: answer.seq, spans: [...byId.values()] };
}

/** When a span ends, or *now* if it runs. An interrupted one ends where it began. */
export function endOf(span, now) {
  if (span.duration !== null) return span.start + span.duration;
  return span.state === "running" ? Math.max(span.start, now) : span.start;
}

/** What a reader calls the span: its model or tool, without the operation. */
export function titleOf(span) {
  if (span.kind === "tool" || span.kind === "model") return span.label || span.name;
  if (span.kind === "turn" && span.turn !== null) return `turn ${span.turn}`;
  return span.name;
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
