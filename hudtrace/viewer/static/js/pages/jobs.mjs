/** Every job: one run over tasks. */

import { Empty, Histogram, Problem, Spinner } from "../bits.mjs";
import { ago, clock, cost, count, duration, number, reward, tokens, utc, visible } from "../format.mjs";
import { html } from "../html.mjs";
import { VList } from "../list.mjs";
import { useLive } from "../live.mjs";
import { NARROW, TwoLines, useNarrow } from "../narrow.mjs";
import { usePaged, useRow } from "../paged.mjs";
import { navigate } from "../router.mjs";

const COLUMNS = [
  { key: "name", label: "Job", width: "minmax(180px, 1fr)" },
  { key: "envs", label: "Environments", width: "minmax(90px, 160px)" },
  { key: "models", label: "Models", width: "minmax(90px, 160px)" },
  { key: "reward", label: "Reward", width: "190px" },
  { key: "done", label: "Done", width: "120px" },
  { key: "errors", label: "Errors", width: "52px", class: "num" },
  { key: "tokens", label: "Tokens", width: "62px", class: "num" },
  { key: "cost", label: "Cost", width: "64px", class: "num" },
  { key: "time", label: "Time", width: "66px", class: "num" },
  { key: "started", label: "Started", width: "72px", class: "num" },
];

/** How long a job took, or has taken until now. */
export function lasted(job) {
  if (!job.started) return null;
  const end = job.ended ?? (job.running ? String(BigInt(Date.now()) * 1000000n) : null);
  return end === null ? null : Number(BigInt(end) - BigInt(job.started)) / 1e9;
}

/** That a job was cut off, and how much of it; nothing where that is not known. */
export function Cut({ job }) {
  if (job.state !== "interrupted") return null;
  const parts = [job.interrupted > 0 && `${number(job.interrupted)} cut off`, job.unbegun > 0 && `${number(job.unbegun)} never begun`];
  return html` <span class="tag warn">${["interrupted", ...parts].filter(Boolean).join(" · ")}</span>`;
}

/** How many episodes are done, as a bar and in numbers. */
export function Progress({ done, total, running }) {
  return html`<span class="progress" title=${`${done} of ${total} done`}>
    <span class="gauge" aria-hidden="true"><i style=${{ width: `${total ? (done / total) * 100 : 0}%` }}></i></span>
    <span>${number(done)}<span class="mut">/${number(total)}</span></span>${running > 0 && html`<span class="live sr">running</span>`}
  </span>`;
}

function cells(job) {
  return html`<span role="gridcell" class="name"><a class="stretched" tabindex="-1" href=${`/job/${encodeURIComponent(job.job_id)}`} title=${visible(job.job_id)}><b>${visible(job.name || job.job_id)}</b>${job.name && job.name !== job.job_id && html` <span class="mut">${visible(job.job_id)}</span>`}</a><${Cut} job=${job} /></span>
    <span role="gridcell" class="mut">${visible((job.envs ?? []).join(", "))}</span>
    <span role="gridcell" class="mut">${visible((job.models ?? []).join(", "))}</span>
    <span role="gridcell" class="mean"><b>${reward(job.reward_mean)}</b><span class="mut">${job.reward_stderr === null ? "" : ` ± ${reward(job.reward_stderr)}`}</span>${job.histogram && html`<${Histogram} buckets=${job.histogram} />`}</span>
    <span role="gridcell"><${Progress} done=${job.done} total=${job.episodes} running=${job.running} /></span>
    <span role="gridcell" class=${`num ${job.errors ? "bad" : "mut"}`}>${number(job.errors)}</span>
    <span role="gridcell" class="num">${tokens(job.tokens)}</span>
    <span role="gridcell" class="num">${cost(job.cost)}</span>
    <span role="gridcell" class="num">${duration(lasted(job))}</span>
    <span role="gridcell" class="num mut" title=${`${clock(job.started)} · ${utc(job.started)}`}>${ago(job.started)}</span>`;
}

function lines(job) {
  const figures = [`${number(job.done)}/${number(job.episodes)}`, job.errors > 0 && count(job.errors, "error"), job.cost !== null && cost(job.cost), lasted(job) !== null && duration(lasted(job))];
  return html`<${TwoLines}
    first=${html`<a class="stretched cut" tabindex="-1" href=${`/job/${encodeURIComponent(job.job_id)}`}><b>${visible(job.name || job.job_id)}</b></a><${Cut} job=${job} /><span class="end"><b>${reward(job.reward_mean)}</b></span>`}
    second=${visible([...(job.models ?? []).slice(0, 1), ...figures].filter(Boolean).join(" · "))} last=${html`<span title=${utc(job.started)}>${ago(job.started)}</span>`} />`;
}

export default function Jobs() {
  const narrow = useNarrow();
  const list = usePaged("/jobs", {});
  const { rows, cursor, error, more, refresh } = list;
  const [selected, select] = useRow(list, "row", (job) => job.job_id);
  useLive((change) => (change.jobs.length || change.more) && refresh());
  if (error && !rows) return html`<${Problem} error=${error} retry=${refresh} />`;
  if (!rows) return html`<${Spinner} label="loading jobs" />`;
  if (!rows.length) {
    return html`<${Empty} title="No jobs yet">
      <p>An eval over many tasks, or with repeats, is a job: <code>@hud.traced_eval(tasks, group=3)</code>, or <code>hudtrace demo</code>.</p>
      <p>Single evals are among the <a href="/">episodes</a>.</p>
    <//>`;
  }
  return html`<h1 class="sr">Jobs</h1>
    <${VList} label="Jobs" count=${rows.length} columns=${COLUMNS} least="1120px" ...${narrow ? NARROW : {}} key=${narrow} row=${(index) => (narrow ? lines : cells)(rows[index])} selected=${selected} onSelect=${select}
      onOpen=${(index) => navigate(`/job/${encodeURIComponent(rows[index].job_id)}`)} onRange=${(_, to) => cursor && to > rows.length - 20 && more()} />`;
}
