/** How an episode looks in a list: in columns, or in two lines where there is no room. */

import { RewardChip, StatusIcon } from "../bits.mjs";
import { ago, args, clock, cost, costReason, count, duration, elapsed, number, tokens, utc, visible } from "../format.mjs";
import { html } from "../html.mjs";
import { TwoLines } from "../narrow.mjs";

export const COLUMNS = [
  { key: "mark", label: "", width: "14px" },
  { key: "status", label: html`<span class="sr">Status</span>`, width: "16px" },
  { key: "reward", label: "Reward", width: "60px", sort: "reward" },
  { key: "episode", label: "Episode", width: "minmax(220px, 4fr)" },
  { key: "model", label: "Model", width: "minmax(80px, 1fr)" },
  { key: "variant", label: "Variant", width: "minmax(56px, 0.6fr)" },
  { key: "turns", label: "Turns", width: "46px", class: "num", sort: "turns" },
  { key: "calls", label: "Calls", width: "58px", class: "num", sort: "calls", title: "tool calls, and how many of them failed" },
  { key: "tokens", label: "Tokens", width: "58px", class: "num", sort: "tokens" },
  { key: "cost", label: "Cost", width: "62px", class: "num", sort: "cost" },
  { key: "dur", label: "Time", width: "62px", class: "num", sort: "dur" },
  { key: "started", label: "Started", width: "72px", class: "num", sort: "started" },
];

const all = (episode) =>
  episode.input_tokens === null && episode.output_tokens === null ? null : (episode.input_tokens ?? 0) + (episode.output_tokens ?? 0);

/** Why an episode has no reward. */
const unscored = (episode) => {
  if (episode.state === "running") return "still running";
  if (episode.outcome && episode.outcome !== "scored") return `not scored: ${episode.outcome.replaceAll("_", " ")}`;
  return "not scored";
};

function Mark({ marked, onMark, episode }) {
  return html`<input type="checkbox" class="mark" tabindex="-1" checked=${marked} aria-label=${`Mark ${visible(episode.label)}`} title="Mark (x)" onChange=${onMark} />`;
}

function Name({ episode, href }) {
  const { env, scenario } = episode;
  const named = scenario ? (env ? `${env}:${scenario}` : scenario) : null;
  const odd = episode.state === "done" && episode.outcome && episode.outcome !== "scored" ? episode.outcome : episode.stopped_by && `stopped: ${episode.stopped_by}`;
  return html`<a class="stretched" tabindex="-1" href=${href} title=${visible(episode.label)}>${named
    ? html`<b>${visible(named)}</b> <span class="mut">${args(episode.args)}</span>`
    : html`<b>${visible(episode.label)}</b>`}</a>${odd && html` <span class="tag">${visible(odd.replaceAll("_", " "))}</span>`}`;
}

const Status = ({ episode: { state, outcome, reward } }) => html`<${StatusIcon} ...${{ state, outcome, reward }} />`;

const Calls = ({ episode }) => html`${number(episode.tool_calls)}${episode.tool_errors > 0 && html` <span class="bad" title=${`${episode.tool_errors} failed`}>!${episode.tool_errors}</span>`}`;

/** The cells of an episode, in the order of COLUMNS. */
export function cells(episode, { marked, onMark, href }) {
  if (!episode) return html`<span role="gridcell" class="mut wide">…</span>`;
  return html`<span role="gridcell"><${Mark} ...${{ marked, onMark, episode }} /></span>
    <span role="gridcell"><${Status} episode=${episode} /></span>
    <span role="gridcell"><${RewardChip} value=${episode.reward} why=${episode.reward === null ? unscored(episode) : null} /></span>
    <span role="gridcell" class="name"><${Name} episode=${episode} href=${href} /></span>
    <span role="gridcell" class="mut" title=${visible(episode.model)}>${visible(episode.model ?? "–")}</span>
    <span role="gridcell" class="mut" title=${visible(episode.variant)}>${visible(episode.variant ?? "")}</span>
    <span role="gridcell" class="num">${number(episode.turns)}</span>
    <span role="gridcell" class="num"><${Calls} episode=${episode} /></span>
    <span role="gridcell" class="num" title=${tokenTitle(episode)}>${tokens(all(episode))}</span>
    <span role="gridcell" class="num" title=${costReason(episode)}>${cost(episode.cost)}</span>
    <span role="gridcell" class="num">${duration(elapsed(episode))}</span>
    <span role="gridcell" class="num mut" title=${`${clock(episode.started)} · ${utc(episode.started)}`}>${ago(episode.started)}</span>`;
}

const tokenTitle = (episode) => `${number(episode.input_tokens)} in, ${number(episode.output_tokens)} out`;

/** The same in two lines, as one cell. */
export function lines(episode, { href }) {
  if (!episode) return html`<span role="gridcell" class="mut">…</span>`;
  const known = (value, words) => (value === null || value === undefined ? null : words(value));
  const figures = [visible(episode.model), known(episode.turns, (n) => count(n, "turn")), known(all(episode), (n) => `${tokens(n)} tokens`), known(episode.cost, cost), known(elapsed(episode), duration)];
  return html`<${TwoLines}
    first=${html`<${Status} episode=${episode} /><${RewardChip} value=${episode.reward} why=${episode.reward === null ? unscored(episode) : null} /><span class="cut"><${Name} episode=${episode} href=${href} /></span>`}
    second=${figures.filter(Boolean).join(" · ")} last=${html`<span title=${utc(episode.started)}>${ago(episode.started)}</span>`} />`;
}
