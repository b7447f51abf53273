/** Two episodes side by side: /diff/{a}...{b}. */

import { useGet } from "./api.mjs";
import { Empty, Problem, RewardChip, Spinner } from "./bits.mjs";
import { cost, count, duration, number, reward, shortId, tokens, visible } from "./format.mjs";
import { html, useEffect, useMemo, useRef, useState } from "./html.mjs";
import { useKeys } from "./keys.mjs";
import { navigate, useQuery } from "./router.mjs";
import Pick from "./diff/pick.mjs";
import { Entry, entriesOf } from "./diff/rows.mjs";
import { range, useBlocks } from "./trace/blocklist.mjs";

const WHOLE = 150; // entries, up to which all of them are drawn

/** @param {{a: string, b: string}} props */
export default function DiffPage({ a, b }) {
  const { data, error, refresh } = useGet(`/diff/${a.toLowerCase()}...${b.toLowerCase()}`);
  if (error && !data) return html`<${Problem} error=${error} retry=${refresh} />`;
  if (!data) return html`<${Spinner} />`;
  return html`<${Diff} data=${data} />`;
}

function Diff({ data }) {
  const [get, set] = useQuery();
  const [open, setOpen] = useState(() => new Set());
  const box = useRef(null);
  const urls = useMemo(() => [data.a.url, data.b.url], [data]);
  const entries = useMemo(() => entriesOf(data.rows, open), [data.rows, open]);
  const differing = useMemo(() => placesOf(data.rows), [data.rows]);
  const at = differing.indexOf(Number(get("row", -1)));
  const view = useBlocks({ box, total: entries.length, windowed: entries.length > WHOLE, version: entries });
  const go = (index) => {
    set({ row: String(index) }, { replace: true });
    view.go(entries.findIndex((entry) => entry.index === index));
  };
  const step = (by) => (differing.length ? go(differing[(at + by + differing.length + (at < 0 && by < 0 ? 1 : 0)) % differing.length]) : false);
  useEffect(() => {
    if (at >= 0) go(differing[at]);
  }, []);
  useDiffKeys({ data, step, first: () => (data.first === null ? false : go(data.first)) });
  return html`<div class="diff">
    <div class="diff-heads">
      <${Head} head=${data.a} name="A" beside=${data.b} onPick=${(id) => navigate(`/diff/${id}...${data.b.trace_id}`)} />
      <${Head} head=${data.b} name="B" beside=${data.a} onPick=${(id) => navigate(`/diff/${data.a.trace_id}...${id}`)} />
      <div class="diff-do">
        <button type="button" onClick=${() => swap(data)} title="s">Swap</button>
        <button type="button" disabled=${data.first === null} onClick=${() => go(data.first)} title="1">First difference</button>
      </div>
    </div>
    <div class="diff-body">
      <div class="diff-rows" ref=${box} tabindex="0" role="region" aria-label="Comparison" onScroll=${view.scrolled}>
        ${differing.length === 0 && html`<${Empty} title="No difference"><p>Both have the same messages, calls and rewards.</p><//>`}
        <div class="blocks" style=${{ paddingTop: `${view.above}px`, paddingBottom: `${view.below}px` }}>
          ${range(view.first, view.end).map((i) => html`<div class=${`block ${entries[i].index === differing[at] ? "picked" : ""}`} key=${`${entries[i].index}${entries[i].same ? "s" : ""}`} data-index=${i}>
            <${Entry} entry=${entries[i]} urls=${urls} onOpen=${(index) => setOpen(new Set(open).add(index))} /></div>`)}
        </div>
      </div>
      <aside class="diff-rail" aria-label="Figures" tabindex="0">
        <p class="diff-steps" role="status"><span>${at < 0 ? count(differing.length, "difference") : `difference ${number(at + 1)} of ${number(differing.length)}`}</span>
          <button type="button" class="quiet" aria-label="Next difference" title="n" onClick=${() => step(1)}>▾</button>
          <button type="button" class="quiet" aria-label="Previous difference" title="p" onClick=${() => step(-1)}>▴</button></p>
        <${Figures} figures=${data.figures} heads=${[data.a, data.b]} />
      </aside>
    </div>
  </div>`;
}

/** Where the differences begin: each change is one, and each run of what only one has. */
function placesOf(rows) {
  const runs = (row) => row?.kind === "added" || row?.kind === "removed";
  return rows.flatMap((row, i) => (row.kind === "same" || (runs(row) && runs(rows[i - 1])) ? [] : [i]));
}

const swap = (data) => navigate(`/diff/${data.b.trace_id}...${data.a.trace_id}`);

function useDiffKeys({ data, step, first }) {
  useKeys("Comparison", [
    { keys: ["n", "j"], what: "next difference", run: () => step(1) },
    { keys: ["p", "k"], what: "previous difference", run: () => step(-1) },
    { keys: ["1", "Home"], what: "first difference", run: first },
    { keys: ["s"], what: "swap", run: () => swap(data) },
    { keys: ["["], what: "open A", run: () => navigate(data.a.url) },
    { keys: ["]"], what: "open B", run: () => navigate(data.b.url) },
    { keys: ["Escape", "u"], what: "back to the list", run: () => navigate("/") },
  ]);
}

function Head({ head, name, beside, onPick }) {
  const [picks, setPicks] = useState(false);
  const episode = head.episode;
  return html`<div class="diff-head">
    <b class="diff-name">${name}</b>
    <${RewardChip} value=${episode?.reward} />
    <a class="cut" href=${head.url} title=${head.trace_id}>${visible(head.label ?? episode?.label ?? head.name ?? shortId(head.trace_id))}</a>
    <span class="mut cut">${visible([episode?.model, episode?.variant, shortId(head.trace_id)].filter(Boolean).join(" · "))}</span>
    <button type="button" class="quiet" aria-expanded=${picks} onClick=${() => setPicks(!picks)}>Another …</button>
    ${picks && html`<div class="diff-pick"><${Pick} beside=${beside.episode} onClose=${() => setPicks(false)} onPick=${onPick} /></div>`}
  </div>`;
}

const FORMS = { reward, cost, seconds: duration, input_tokens: tokens, output_tokens: tokens, visible };
const BETTER = { reward: 1, tool_errors: -1 }; // the others are neither good nor bad

const FACTS = ["outcome", "model", "variant"]; // of the episodes, in words

function Figures({ figures, heads }) {
  const facts = FACTS.map((name) => [name, ...heads.map((head) => head.episode?.[name])]).filter(([, a, b]) => a || b);
  return html`<table class="diff-figures">
    <thead><tr><th scope="col"><span class="sr">figure</span></th><th scope="col">A</th><th scope="col">B</th><th scope="col">Δ</th></tr></thead>
    <tbody>${facts.map(([name, a, b]) => html`<tr key=${name}><th scope="row">${name}</th><td>${visible(a ?? "–")}</td><td>${visible(b ?? "–")}</td><td class="mut">${a === b ? "=" : "≠"}</td></tr>`)}
    ${figures.map(({ name, a, b, delta }) => {
      const form = FORMS[name] ?? number;
      return html`<tr key=${name}><th scope="row">${name.replaceAll("_", " ")}</th><td>${form(a)}</td><td>${form(b)}</td>
        <td class=${toneOf(name, delta)}>${signed(delta, form)}</td></tr>`;
    })}</tbody>
  </table>`;
}

function toneOf(name, delta) {
  const good = (BETTER[name] ?? 0) * (delta ?? 0);
  return good > 0 ? "ok" : good < 0 ? "bad" : "mut";
}

function signed(delta, form) {
  if (delta === null || delta === undefined) return "–";
  if (delta === 0) return "=";
  return `${delta > 0 ? "+" : "−"}${form(Math.abs(delta))}`;
}
