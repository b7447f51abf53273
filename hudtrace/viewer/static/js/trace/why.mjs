/** Why the reward is what it is: the verdict that counts, and those that there were. */

import { RewardChip } from "../bits.mjs";
import { clock, count, utc, visible } from "../format.mjs";
import { html } from "../html.mjs";
import { Menu } from "./menu.mjs";

/** Why there is no reward; undefined if there is one. */
export function whyNone({ episode, state, error }) {
  if (episode.reward != null) return undefined;
  if (state === "running") return "not scored yet: it is running";
  if (state === "interrupted") return "not scored: its process ended before it did";
  if (error) return `not scored: ${error.type ?? "it ended with an error"}`;
  return "not scored: no answer was submitted, or the scenario gave no reward";
}

/** The reward's reason in one line. @param {{head: any, onPick: Function}} props */
export function Why({ head, onPick }) {
  const verdicts = head.verdicts ?? [];
  const counts = verdicts.filter((v) => v.effective).at(-1) ?? verdicts.at(-1);
  if (!counts) return head.episode ? html`<p class="why mut">${whyNone(head) ?? ""}</p>` : null;
  const read = head.read ?? [];
  return html`<div class="why">
    <span class="cut" title=${counts.explanation}>${counts.explanation ? visible(counts.explanation) : html`<span class="mut">no explanation was given</span>`}</span>
    <span class="mut" title=${counts.version && `version ${counts.version}`}>${byWhom(counts)}</span>
    ${read.length > 0 && html`<button type="button" class="quiet" onClick=${() => onPick(read[0])}
      title="Go to what the grader read; press again for the next">grader read ${count(read.length, "span")}</button>`}
    ${verdicts.length > 1 && html`<${Menu} label=${count(verdicts.length, "verdict")} class="verdicts">${() => html`<${History} verdicts=${verdicts} here=${head.trace_id} onPick=${onPick} />`}<//>`}
  </div>`;
}

const byWhom = (v) => `by ${[v.kind, v.evaluator].filter(Boolean).join(" ") || "the scenario"}${v.late ? ", later" : ""}`;

function History({ verdicts, here, onPick }) {
  return html`<table>
    <caption class="sr">Verdicts, oldest first</caption>
    <thead><tr><th>reward</th><th>name</th><th>by</th><th>when</th><th><span class="sr">why</span></th></tr></thead>
    <tbody>${verdicts.map((v) => html`<tr key=${v.span_id} class=${v.effective ? "" : "old"}>
      <td><${RewardChip} value=${v.value} /></td>
      <td>${v.trace_id === here ? html`<button type="button" class="quiet" onClick=${() => onPick(v.span_id)}>${v.name}</button>` : html`<a href=${`/trace/${v.trace_id}?span=${v.span_id}`}>${v.name}</a>`}</td>
      <td>${[v.kind, v.evaluator].filter(Boolean).join(" ")}</td>
      <td><time title=${utc(v.at)}>${clock(v.at)}</time></td>
      <td class="mut">${[v.late ? "later" : "", v.effective ? "counts" : "superseded"].filter(Boolean).join(", ")}${v.explanation ? html`<br />${visible(v.explanation)}` : ""}</td>
    </tr>`)}</tbody></table>`;
}
