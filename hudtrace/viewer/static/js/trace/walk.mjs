/** From one span to the next of its kind: turns, errors, calls of the same tool. */

import { ERROR, titleOf } from "./spans.mjs";

/** The step that a span is in: the last that began before it, or is it. */
export function stepAt(steps, span) {
  if (!span) return -1;
  const same = steps.findIndex(({ span: other }) => other.id === span.id || (span.turn != null && other.turn === span.turn));
  if (same >= 0) return same;
  let found = -1;
  steps.forEach((step, i) => {
    if (step.span.start <= span.start) found = i;
  });
  return found;
}

/** The next step that is a turn. */
export function nextTurn(steps, at, by) {
  const turns = new Set(turnsOf(steps));
  for (let i = at + by; i >= 0 && i < steps.length; i += by) if (turns.has(steps[i])) return steps[i];
  return null;
}

/** The steps that are turns; without any, those that are calls of a model. */
export function turnsOf(steps) {
  const turns = steps.filter(({ span }) => span.turn != null);
  return turns.length ? turns : steps.filter(({ calls }) => calls.length > 0);
}

export const isError = (span) => span.status === ERROR || span.state === "interrupted";

export const sameTool = (one) => (span) => span.kind === "tool" && (one?.kind !== "tool" || titleOf(span) === titleOf(one));

/** The nearest span in *ordered*, after or before *from*, that *wanted* says yes to. */
export function nextSpan(ordered, from, by, wanted) {
  const at = from ? ordered.indexOf(from) : by > 0 ? -1 : ordered.length;
  for (let i = at + by; i >= 0 && i < ordered.length; i += by) if (wanted(ordered[i])) return ordered[i];
  return null;
}

/** How much of the model's calls, in order of time, is before *span*: 0 to 1. */
export function shareBefore(calls, span) {
  let low = 0;
  let high = calls.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (calls[middle].start <= span.start) low = middle + 1;
    else high = middle;
  }
  return calls.length ? low / calls.length : 0;
}

/** The span that the conversation shows for *span*: itself, or the first within it. */
export function spoken(tree, span) {
  const waiting = [span];
  while (waiting.length) {
    const at = waiting.shift();
    if (["model", "tool", "reward"].includes(at.kind) || (at.kind === "eval" && at === span)) return at;
    waiting.unshift(...(tree.children.get(at.id) ?? []));
  }
  return span;
}
