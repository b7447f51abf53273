/** The figures of all episodes that the filter leaves. */

import { Histogram } from "../bits.mjs";
import { NONE, cost, number, percent, reward, tokens, visible } from "../format.mjs";
import { html } from "../html.mjs";
import { query } from "../api.mjs";
import { toggled } from "./grammar.mjs";

function Figure({ label, title, children }) {
  return html`<div title=${title}><dt>${label}</dt><dd>${children}</dd></div>`;
}

function Reward({ summary }) {
  const { reward_mean: mean, reward_stderr: error, graded, histogram } = summary;
  return html`<${Figure} label="Mean reward" title=${`${number(graded)} scored`}>
    <b>${reward(mean, 3)}</b>${error === null || mean === null ? null : html`<span class="mut"> ± ${reward(error, 3)}</span>`}
    ${graded > 0 && html`<${Histogram} buckets=${histogram} />`}
  <//>`;
}

const ORDER = { bad: 0, warn: 1, live: 2, ok: 3 };

/** Every outcome that there is, errors first. */
function Outcomes({ outcomes, q, path }) {
  const found = Object.entries(outcomes ?? {}).filter(([, n]) => n > 0).sort((a, b) => ORDER[tone(a[0])] - ORDER[tone(b[0])] || b[1] - a[1]);
  if (!found.length) return null;
  return html`<${Figure} label="Outcomes">
    <span class="outcomes">${found.map(([name, n]) => html`<a key=${name} class="plain" href=${path + query({ q: toggled(q, ["running", "interrupted"].includes(name) ? "status" : "outcome", name) })}>
      <i class=${tone(name)} aria-hidden="true"></i>${visible(name).replaceAll("_", " ")} <span class="mut">${number(n)}</span></a>`)}</span>
  <//>`;
}

function tone(name) {
  if (name === "scored") return "ok";
  return { running: "live", interrupted: "warn", no_answer: "warn", abandoned: "warn" }[name] ?? "bad";
}

/** @param {{summary: any, total: number, capped: boolean, q: string, path?: string}} props */
export function Summary({ summary, total, capped, q, path = "/" }) {
  const { input_tokens: read, output_tokens: written } = summary ?? {};
  return html`<dl class="figures" aria-label="Figures of these episodes">
    <${Figure} label="Episodes"><b>${number(total)}${capped ? "+" : ""}</b><//>
    ${summary && html`
      <${Reward} summary=${summary} />
      <${Figure} label="Passed"><b>${percent(summary.pass_rate)}</b><//>
      <${Outcomes} outcomes=${summary.outcomes} q=${q} path=${path} />
      <${Figure} label="Tokens" title="read by models, written by them"><b>${tokens(read)}</b><span class="mut"> in · </span><b>${tokens(written)}</b><span class="mut"> out</span><//>
      <${Figure} label="Cost" title=${summary.cost === null ? "no price is known" : null}>${summary.cost === null ? NONE : html`<b>${cost(summary.cost)}</b>`}<//>`}
  </dl>`;
}
