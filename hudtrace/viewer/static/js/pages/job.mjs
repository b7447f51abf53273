/** One job: its figures, its episodes, its tasks, what differs, what was slow or failed. */

import { CopyButton, Empty, Histogram, Problem, Spinner, Tabs } from "../bits.mjs";
import { useGet } from "../api.mjs";
import { Explorer } from "../episodes/explorer.mjs";
import { quoted } from "../episodes/grammar.mjs";
import { NONE, clock, cost, duration, number, reward, tokens, utc, visible } from "../format.mjs";
import { html, useEffect, useRef } from "../html.mjs";
import { Differs } from "../job/differs.mjs";
import { Stats } from "../job/stats.mjs";
import { Tasks } from "../job/tasks.mjs";
import { useKeys } from "../keys.mjs";
import { useLive } from "../live.mjs";
import { useQuery } from "../router.mjs";
import { Cut, Progress, lasted } from "./jobs.mjs";

const VIEWS = [
  ["episodes", "Episodes"],
  ["tasks", "Tasks"],
  ["differs", "What differs"],
  ["stats", "Tools and errors"],
];

function Figure({ label, title, children }) {
  return html`<div title=${title}><dt>${label}</dt><dd>${children}</dd></div>`;
}

function Head({ job }) {
  return html`<header class="job-head">
    <div class="title">
      <h1>${visible(job.name || job.job_id)}</h1>
      ${job.running > 0 && html`<span class="tag live">running</span>`}<${Cut} job=${job} />
      <span class="mut">${visible([...(job.envs ?? []), ...(job.models ?? [])].join(" · "))}</span>
      <${CopyButton} text=${job.job_id} label="Copy the job's id" what="Job id copied" />
    </div>
    <dl class="figures">
      <${Figure} label="Mean reward"><b>${reward(job.reward_mean, 3)}</b>${job.reward_stderr !== null && html`<span class="mut"> ± ${reward(job.reward_stderr, 3)}</span>`}${job.histogram && html`<${Histogram} buckets=${job.histogram} />`}<//>
      <${Figure} label="Done"><${Progress} done=${job.done} total=${job.episodes} running=${job.running} /><//>
      <${Figure} label="Errors"><b class=${job.errors ? "bad" : ""}>${number(job.errors)}</b><//>
      <${Figure} label="Tokens"><b>${tokens(job.tokens)}</b><//>
      <${Figure} label="Cost" title=${job.cost === null ? "no price is known" : null}><b>${job.cost === null ? NONE : cost(job.cost)}</b><//>
      <${Figure} label="Time"><b>${duration(lasted(job))}</b><//>
      <${Figure} label="Started" title=${utc(job.started)}>${clock(job.started)}<//>
    </dl>
  </header>`;
}

/** Ask again a moment after something in the job has changed. */
function useFollow(id, refresh) {
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  useLive((change) => {
    if (timer.current || !(change.more || change.jobs.includes(id))) return;
    timer.current = setTimeout(() => {
      timer.current = 0;
      refresh();
    }, 1000);
  });
}

export default function Job({ id }) {
  const path = `/job/${encodeURIComponent(id)}`;
  const { data: job, error, refresh } = useGet(path);
  const [get, set] = useQuery();
  const view = get("view", "episodes");
  useFollow(id, refresh);
  const show = (key) => set({ view: key === "episodes" ? null : key }, { replace: false });
  useKeys("Job", VIEWS.map(([key, label], i) => ({ keys: [String(i + 1)], what: label.toLowerCase(), run: () => show(key) })));
  useEffect(() => void (job && (document.title = `${visible(job.name || job.job_id)} · hudtrace`)), [job]);
  if (error?.status === 404) {
    return html`<${Empty} title="No such job">
      <p>Nothing that was stored belongs to a job <code>${visible(id)}</code>. If it has only begun, its first spans are on their way, and this page will show them.</p>
      <p><a href="/jobs">Jobs</a></p>
    <//>`;
  }
  if (error && !job) return html`<${Problem} error=${error} retry=${refresh} />`;
  if (!job) return html`<${Spinner} label="loading the job" />`;
  const items = VIEWS.map(([key, label]) => ({ key, label, count: { episodes: number(job.episodes), tasks: number(job.tasks?.length) }[key] }));
  return html`<${Head} job=${job} />
    <${Tabs} label="Views of the job" items=${items} picked=${view} onPick=${show} />
    ${view === "episodes" && html`<${Explorer} base=${`job:${quoted(id)}`} path=${path} hide=${["job"]} figures=${false} />`}
    ${view === "tasks" && html`<${Tasks} job=${job} path=${path} />`}
    ${view === "differs" && html`<${Differs} path=${path} />`}
    ${view === "stats" && html`<${Stats} job=${job} path=${path} />`}`;
}
