/** What the trace is and what came of it, in three lines above every view. */

import { query, useGet } from "../api.mjs";
import { CopyButton, RewardChip, StatusIcon } from "../bits.mjs";
import { clock, cost, costReason, count, duration, elapsed, number, shortId, tokens, utc, visible } from "../format.mjs";
import { html } from "../html.mjs";
import { navigate } from "../router.mjs";
import { Failure } from "./failure.mjs";
import { lazy } from "./lazy.mjs";
import { Menu } from "./menu.mjs";
import { Why, whyNone } from "./why.mjs";

const Pick = lazy(() => import("../diff/pick.mjs"));

/** @param {{head: any, list: {q: string, sort: string}, view: string, neighbours: any, onPick: Function}} props */
export function Header({ head, list, view, neighbours, onPick }) {
  const episode = head.episode;
  return html`<header class="trace-head">
    <div class="trace-title">
      ${episode && html`<${RewardChip} value=${episode.reward} why=${whyNone(head)} />`}
      <h1 title=${visible(head.name)}>${visible(episode?.label ?? head.name ?? `trace ${shortId(head.trace_id)}`)}</h1>
      ${(episode || head.state !== "done") && html`<${StatusIcon} state=${head.state} outcome=${episode?.outcome} reward=${episode?.reward} verdict=${labelOf(head)} label=${true} />`}
      ${episode?.stopped_by && html`<span class="tag warn">stopped by ${visible(episode.stopped_by)}</span>`}
      <span class="fill"></span>
      <${Neighbours} data=${neighbours} list=${list} view=${view} />
      ${head.links.map((link) => html`<a key=${link.name} class="out" href=${link.url} target="_blank" rel="noopener noreferrer">${link.name} ↗</a>`)}
      ${episode && html`<${Compare} episode=${episode} />`}
      <${Downloads} id=${head.trace_id} />
    </div>
    <${Why} head=${head} onPick=${onPick} />
    <${Figures} head=${head} />
    ${head.error && html`<${Stopped} error=${head.error} onPick=${onPick} />`}
  </header>`;
}

const labelOf = (head) => (head.verdicts ?? []).filter((v) => v.effective).at(-1)?.label;

function Figures({ head }) {
  const e = head.episode;
  const facts = e ? ofEpisode(e, head) : [["services", visible(head.services.join(", "))], ["spans", number(head.span_count)], ["errors", number(head.error_count)]];
  const all = [...facts, ["took", lasted(head)], ["started", clock(head.started), head.started && utc(head.started)]];
  return html`<div class="trace-figures">
    <div class="trace-facts" role="group" aria-label="Figures" tabindex="0">
      <dl>${all.map(([name, value, title]) => html`<div key=${name} title=${title}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    </div>
    <span class="ids">
      ${head.job && html`<a href=${head.job.url} title=${`job ${head.job.id}`}>job ${head.job.name === head.job.id ? shortId(head.job.id) : visible(head.job.name)}</a>`}
      ${head.source && html`<a href=${`vscode://file/${head.source.file}:${head.source.line ?? 1}`} title="Open in the editor">${head.source.file.split("/").at(-1)}:${head.source.line}</a>`}
      <code title=${head.trace_id}>${shortId(head.trace_id)}</code><${CopyButton} text=${head.trace_id} label="Copy the trace id (Y)" what="Trace id copied" />
    </span>
  </div>`;
}

/** Of one that runs, until now. */
function lasted(head) {
  return `${duration(elapsed(head))}${head.state === "running" ? " so far" : ""}`;
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
  return html`<${Menu} label="Download">${(close) => html`<ul onClick=${close}>${FORMS.map(([form, label]) => html`<li key=${form}><a href=${`/trace/${id}/${form}`} download>${label}</a></li>`)}</ul>`}<//>`;
}

function Compare({ episode }) {
  const to = (other) => navigate(`/diff/${episode.trace_id}...${other}`);
  return html`<${Menu} label="Compare" class="compare" title="c: with the one that was marked by x">${(close) => html`<${Pick} beside=${episode} onPick=${to} onClose=${close} />`}<//>`;
}
