/** What the trace is and what came of it, in three lines above every view. */

import { query, useGet } from "../api.mjs";
import { CopyButton, RewardChip, StatusIcon } from "../bits.mjs";
import { clock, costReason, cost, count, duration, number, shortId, tokens } from "../format.mjs";
import { html, useState } from "../html.mjs";
import { Failure } from "./blocks.mjs";
import { visible } from "./words.mjs";

/** @param {{head: any, list: {q: string, sort: string}, view: string, neighbours: any, onPick: Function}} props */
export function Header({ head, list, view, neighbours, onPick }) {
  const episode = head.episode;
  return html`<header class="trace-head">
    <div class="trace-title">
      ${episode && html`<${RewardChip} value=${episode.reward} why=${whyNone(head)} />`}
      <h1 title=${head.name}>${visible(episode?.label ?? head.name ?? `trace ${shortId(head.trace_id)}`)}</h1>
      ${(episode || head.state !== "done") && html`<${StatusIcon} state=${head.state} outcome=${episode?.outcome} reward=${episode?.reward} label=${true} />`}
      ${episode?.stopped_by && html`<span class="tag warn">stopped by ${episode.stopped_by}</span>`}
      <span class="fill"></span>
      <${Neighbours} data=${neighbours} list=${list} view=${view} />
      ${head.links.map((link) => html`<a key=${link.name} class="out" href=${link.url} target="_blank" rel="noopener noreferrer">${link.name} ↗</a>`)}
      <${Downloads} id=${head.trace_id} />
    </div>
    <${Why} head=${head} onPick=${onPick} />
    <${Figures} head=${head} />
    ${head.error && html`<${Stopped} error=${head.error} onPick=${onPick} />`}
  </header>`;
}

/** Why there is no reward. */
function whyNone(head) {
  const { episode, state } = head;
  if (episode.reward != null) return undefined;
  if (state === "running") return "not scored yet: it is running";
  if (state === "interrupted") return "not scored: its process ended before it did";
  if (head.error) return `not scored: ${head.error.type ?? "it ended with an error"}`;
  return "not scored: no answer was submitted, or the scenario gave no reward";
}

/** The reward in one line, with every verdict there was behind it. */
function Why({ head, onPick }) {
  const verdicts = head.verdicts ?? [];
  const counts = verdicts.filter((v) => v.effective).at(-1) ?? verdicts.at(-1);
  if (!counts) return head.episode ? html`<p class="why mut">${whyNone(head) ?? ""}</p>` : null;
  const read = head.read ?? [];
  return html`<div class="why">
    <span class="cut" title=${counts.explanation}>${counts.explanation ? visible(counts.explanation) : html`<span class="mut">no explanation was given</span>`}</span>
    <span class="mut" title=${counts.version && `version ${counts.version}`}>${byWhom(counts)}</span>
    ${read.length > 0 && html`<button type="button" class="quiet" onClick=${() => onPick(read[0])}
      title="Go to what the grader read; press again for the next">grader read ${count(read.length, "span")}</button>`}
    ${verdicts.length > 1 && html`<${History} verdicts=${verdicts} here=${head.trace_id} onPick=${onPick} />`}
  </div>`;
}

const byWhom = (v) => `by ${[v.kind, v.evaluator].filter(Boolean).join(" ") || "the scenario"}${v.late ? ", later" : ""}`;

function History({ verdicts, here, onPick }) {
  const [open, setOpen] = useState(false);
  return html`<span class="menu"><button type="button" class="quiet" aria-expanded=${open} onClick=${() => setOpen(!open)}>${count(verdicts.length, "verdict")} ▾</button>
    ${open && html`<div class="menu-body verdicts"><table>
      <caption class="sr">Verdicts, oldest first</caption>
      <thead><tr><th>reward</th><th>name</th><th>by</th><th>when</th><th></th></tr></thead>
      <tbody>${verdicts.map((v) => html`<tr key=${v.span_id} class=${v.effective ? "" : "old"}>
        <td><${RewardChip} value=${v.value} /></td>
        <td>${v.trace_id === here ? html`<button type="button" class="quiet" onClick=${() => onPick(v.span_id)}>${v.name}</button>` : html`<a href=${`/trace/${v.trace_id}?span=${v.span_id}`}>${v.name}</a>`}</td>
        <td>${[v.kind, v.evaluator].filter(Boolean).join(" ")}</td>
        <td><time title=${v.at}>${clock(v.at)}</time></td>
        <td class="mut">${[v.late ? "later" : "", v.effective ? "counts" : "superseded"].filter(Boolean).join(", ")}${v.explanation ? html`<br />${v.explanation}` : ""}</td>
      </tr>`)}</tbody></table></div>`}</span>`;
}

function Figures({ head }) {
  const e = head.episode;
  const facts = e ? ofEpisode(e, head) : [["services", head.services.join(", ")], ["spans", number(head.span_count)], ["errors", number(head.error_count)]];
  const all = [...facts, ["took", duration(head.seconds)], ["started", head.started ? clock(head.started) : "–"]];
  return html`<div class="trace-figures">
    <div class="trace-facts" role="group" aria-label="Figures" tabindex="0">
      <dl>${all.map(([name, value, title]) => html`<div key=${name} title=${title}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    </div>
    <span class="ids">
      ${head.job && html`<a href=${head.job.url} title=${`job ${head.job.id}`}>job ${head.job.name === head.job.id ? shortId(head.job.id) : head.job.name}</a>`}
      ${head.source && html`<a href=${`vscode://file/${head.source.file}:${head.source.line ?? 1}`} title="Open in the editor">${head.source.file.split("/").at(-1)}:${head.source.line}</a>`}
      <code title=${head.trace_id}>${shortId(head.trace_id)}</code><${CopyButton} text=${head.trace_id} label="Copy the trace id (Y)" what="Trace id copied" />
    </span>
  </div>`;
}

function ofEpisode(e, head) {
  const tools = e.tool_errors ? html`${number(e.tool_calls)} <span class="bad">${count(e.tool_errors, "error")}</span>` : number(e.tool_calls);
  return [
    ["model", visible(e.model ?? "–"), e.variant ? `variant ${e.variant}` : null],
    ...(e.agent ? [["agent", html`<span class="cut">${visible(e.agent)}</span>`]] : []),
    ["turns", number(e.turns ?? head.calls)],
    ["tools", tools],
    ["tokens", e.input_tokens == null ? "–" : `${tokens(e.input_tokens)} → ${tokens(e.output_tokens)}`, `${number(e.input_tokens)} in, ${number(e.output_tokens)} out`],
    ["cost", e.cost == null ? html`– <small class="mut">${costReason(e)}</small>` : cost(e.cost), costReason(e)],
    ...(e.attempt > 1 ? [["attempt", e.attempt]] : []),
  ];
}

/** The error that ended it, before everything else. */
function Stopped({ error, onPick }) {
  return html`<div class="stopped" role="alert"><${Failure} error=${{ ...error, span_id: null }} open=${false} />
    ${error.span_id && html`<button type="button" onClick=${() => onPick(error.span_id)}>Go to it</button>`}</div>`;
}

/** The ones before and after it in the list that one came from. */
function Neighbours({ data, list, view }) {
  if (!data || !data.total || !data.position) return null;
  const to = (other) => other && `/trace/${other}${query({ ...list, view: view === "chat" ? null : view })}`;
  const arrow = (other, words, sign) => other
    ? html`<a class="step" href=${to(other)} aria-label=${words} title=${`${words} (${sign})`}>${sign === "[" ? "←" : "→"}</a>`
    : html`<span class="step mut" aria-hidden="true">${sign === "[" ? "←" : "→"}</span>`;
  return html`<nav class="neighbours" aria-label="Episodes of the list">
    ${arrow(data.prev, "Previous episode", "[")}<span class="mut num">${number(data.position)} of ${number(data.total)}</span>${arrow(data.next, "Next episode", "]")}
  </nav>`;
}

export const useNeighbours = (id, list) => useGet(`/neighbours${query({ q: list.q, sort: list.sort, trace: id })}`);

const FORMS = [
  ["html", "HTML, one file"], ["md", "Markdown"], ["json", "JSON"],
  ["otlp", "OTLP JSON"], ["jaeger", "Jaeger JSON"], ["perfetto", "Perfetto"],
];

function Downloads({ id }) {
  const [open, setOpen] = useState(false);
  return html`<span class="menu" onKeyDown=${(e) => e.key === "Escape" && setOpen(false)}>
    <button type="button" class="quiet" aria-expanded=${open} onClick=${() => setOpen(!open)}>Download ▾</button>
    ${open && html`<ul class="menu-body" onClick=${() => setOpen(false)}>${FORMS.map(([form, label]) => html`<li key=${form}><a href=${`/trace/${id}/${form}`} download>${label}</a></li>`)}</ul>`}
  </span>`;
}
