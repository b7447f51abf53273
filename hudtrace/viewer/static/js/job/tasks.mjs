/** The tasks of a job: how the repeats of each have done. */

import { query } from "../api.mjs";
import { Empty } from "../bits.mjs";
import { quoted } from "../episodes/grammar.mjs";
import { NONE, args, count, number, percent, reward, visible } from "../format.mjs";
import { html, useMemo } from "../html.mjs";
import { VList } from "../list.mjs";
import { NARROW, TwoLines, useNarrow } from "../narrow.mjs";
import { useRow } from "../paged.mjs";
import { navigate, useQuery } from "../router.mjs";

const columns = (k) => [
  { key: "task", label: "Task", width: "minmax(220px, 1fr)", sort: "label" },
  { key: "n", label: "Repeats", width: "64px", class: "num", sort: "n" },
  { key: "reward", label: "Reward", width: "110px", class: "num", sort: "mean" },
  { key: "range", label: "Lowest – highest", width: "120px", class: "num" },
  { key: "one", label: "pass@1", width: "62px", class: "num", sort: "pass_at_1" },
  { key: "k", label: `pass@${k}`, width: "62px", class: "num", sort: "pass_at_k" },
  { key: "repeats", label: "Each", width: "minmax(120px, 260px)" },
];

const MOST = 24; // repeats that are drawn

const tone = (value) => (value === null || value === undefined ? "nil" : value >= 1 ? "ok" : value > 0 ? "warn" : "bad");

function Repeats({ task }) {
  const ids = task.trace_ids ?? [];
  return html`<span class="repeats">${ids.slice(0, MOST).map((id, i) => {
    const value = task.rewards?.[i];
    return html`<a key=${id} tabindex="-1" class=${tone(value)} href=${`/trace/${id}`} title=${`repeat ${i + 1}: ${reward(value)}`} aria-label=${`Repeat ${i + 1}, reward ${reward(value)}`}></a>`;
  })}${ids.length > MOST && html`<small class="mut">+${ids.length - MOST}</small>`}</span>`;
}

const label = (task) => visible(task.label ?? ([task.env, task.scenario].filter(Boolean).join(":") || task.task_id || NONE));

function cells(task, href) {
  const spread = task.min === null || task.min === undefined ? NONE : `${reward(task.min)} – ${reward(task.max)}`;
  return html`<span role="gridcell" class="name"><a class="stretched" tabindex="-1" href=${href}><b>${label(task)}</b>${!task.label && html` <span class="mut">${args(task.args)}</span>`}</a></span>
    <span role="gridcell" class="num">${number(task.n)}</span>
    <span role="gridcell" class="num"><b>${reward(task.mean)}</b>${task.stderr !== null && task.stderr !== undefined && html`<span class="mut"> ± ${reward(task.stderr)}</span>`}</span>
    <span role="gridcell" class="num mut">${spread}</span>
    <span role="gridcell" class="num">${percent(task.pass_at_1)}</span>
    <span role="gridcell" class="num">${percent(task.pass_at_k)}</span>
    <span role="gridcell"><${Repeats} task=${task} /></span>`;
}

function lines(task, href) {
  return html`<${TwoLines}
    first=${html`<a class="stretched cut" tabindex="-1" href=${href}><b>${label(task)}</b>${!task.label && html` <span class="mut">${args(task.args)}</span>`}</a><span class="end"><b>${reward(task.mean)}</b></span>`}
    second=${`${count(task.n, "repeat")} · pass@1 ${percent(task.pass_at_1)}`} last=${html`<${Repeats} task=${task} />`} />`;
}

function sorted(tasks, sort) {
  const down = sort.startsWith("-");
  const name = sort.replace(/^-/, "");
  const value = (task) => (name === "label" ? label(task) : (task[name] ?? -1));
  const order = (a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0);
  return tasks.toSorted((a, b) => (down ? order(b, a) : order(a, b)));
}

export function Tasks({ job, path }) {
  const [get, set] = useQuery();
  const sort = get("order", "mean");
  const narrow = useNarrow();
  const tasks = useMemo(() => sorted(job.tasks ?? [], sort), [job.tasks, sort]);
  const [selected, select] = useRow({ rows: tasks }, "task", (task) => task.task_id);
  if (!tasks.length) return html`<${Empty} title="No tasks yet"><p>The first episodes of this job are on their way.</p><//>`;
  const k = Math.max(1, ...tasks.map(({ n }) => n));
  const href = (task) => path + query({ q: task.task_id ? `task:${quoted(task.task_id)}` : null });
  return html`<${VList} label="Tasks" count=${tasks.length} columns=${columns(k)} least="860px" ...${narrow ? NARROW : {}} key=${narrow} row=${(index) => (narrow ? lines : cells)(tasks[index], href(tasks[index]))}
    selected=${selected} onSelect=${select} onOpen=${(index) => navigate(href(tasks[index]))}
    sort=${sort} onSort=${(next) => set({ order: next === "mean" ? null : next })} />`;
}
