/** The episode in a column: turn by turn, with its tools, its errors and its rewards. */

import { RewardChip } from "../bits.mjs";
import { visible } from "../format.mjs";
import { html, memo, useEffect, useRef } from "../html.mjs";
import { ERROR, titleOf } from "./spans.mjs";
import { useStable } from "./stable.mjs";
import { showRow, useWindow } from "./windowing.mjs";

const ROW = 24;

/** @param {{steps: any[], at: number, verdicts: Map<string, any>, onPick: Function}} props */
export function Outline({ steps, at, verdicts, onPick }) {
  const ref = useRef(null);
  const pick = useStable(onPick);
  const [first, end, update] = useWindow(ref, steps.length, ROW, 4);
  useEffect(() => showRow(ref.current, at, ROW), [at]);
  const shown = [];
  for (let i = first; i < end; i++) {
    shown.push(html`<${Step} key=${steps[i].span.id} step=${steps[i]} index=${i} isHere=${i === at} verdict=${verdicts.get(steps[i].span.id)} onPick=${pick} />`);
  }
  return html`<nav class="outline" aria-label="Outline" ref=${ref} onScroll=${update}>
    <div class="outline-rows" style=${{ height: `${steps.length * ROW}px` }}>${shown}</div>
  </nav>`;
}

const Step = memo(function Step({ step, index, isHere, verdict, onPick }) {
  const { span, errors } = step;
  const failed = errors > 0 || span.status === ERROR;
  return html`<button type="button" class=${`outline-row ${failed ? "failed" : ""}`} aria-current=${isHere ? "step" : null}
    style=${{ top: `${index * ROW}px` }} onClick=${() => onPick(step)} tabindex=${isHere || index === 0 ? 0 : -1}>
    ${span.turn != null ? html`<span class="turn-n">${span.turn}</span>` : html`<i class=${`dot ${span.kind}`}></i>`}
    <span class="cut">${wordsOf(step)}</span>
    ${failed && html`<b class="bad">${errors > 1 ? errors : "!"}<span class="sr"> errors</span></b>`}
    ${verdict && html`<${RewardChip} value=${verdict.value} />`}
  </button>`;
});

/** The tools of a step, each once: `bash ×3, click`; without tools the model. */
function wordsOf({ span, tools, calls }) {
  if (span.kind === "reward" || span.kind === "setup") return visible(span.name);
  const counts = new Map();
  for (const tool of tools) counts.set(titleOf(tool), (counts.get(titleOf(tool)) ?? 0) + 1);
  if (span.kind === "tool" && !counts.size) return titleOf(span);
  const named = [...counts].map(([name, n]) => (n > 1 ? `${name} ×${n}` : name));
  return named.join(", ") || (calls[0] ? titleOf(calls[0]) : visible(span.name));
}
