/** Search in everything that was said, called, raised and explained. */

import { Empty, Problem, RewardChip, Spinner, StatusIcon } from "../bits.mjs";
import { ago, args, count, number, shortId, utc, visible } from "../format.mjs";
import { html, useEffect, useRef, useState } from "../html.mjs";
import { useKeys } from "../keys.mjs";
import { usePaged } from "../paged.mjs";
import { recall, remember, useQuery } from "../router.mjs";

const SCOPES = [
  ["all", "Everything"],
  ["messages", "Messages"],
  ["tools", "Tools"],
  ["errors", "Errors"],
  ["reward", "Rewards"],
];

const Snippet = ({ parts }) => html`<span class="snippet">${parts.map(([text, match]) => (match ? html`<mark>${visible(text)}</mark>` : visible(text)))}</span>`;

function Hit({ hit, trace }) {
  const where = hit.url ? new URL(hit.url, location.origin) : null;
  const href = where ? where.pathname + where.search + where.hash : `/trace/${trace}?span=${hit.span_id}`;
  return html`<li><a class="hit" href=${href}><span class="tag">${hit.role ?? hit.scope}</span><${Snippet} parts=${hit.snippet} /></a></li>`;
}

function Head({ group }) {
  const { episode, trace_id: id } = group;
  if (!episode) return html`<a href=${`/trace/${id}`}><b>${visible(group.label ?? "trace")}</b></a><span class="mut mono">${shortId(id)}</span>`;
  const { state, outcome, reward } = episode;
  return html`<${StatusIcon} ...${{ state, outcome, reward }} /><${RewardChip} value=${reward} />
    <a class="cut" href=${`/trace/${id}`}><b>${visible(episode.env && episode.scenario ? `${episode.env}:${episode.scenario}` : group.label)}</b> <span class="mut">${args(episode.args)}</span></a>
    <span class="mut cut">${visible(episode.model ?? "")}</span><span class="mut when" title=${utc(episode.started)}>${ago(episode.started)}</span>`;
}

function Group({ group }) {
  return html`<section class="group">
    <h2><${Head} group=${group} /></h2>
    <ul>${group.hits.map((hit, i) => html`<${Hit} key=${`${hit.span_id}${i}`} hit=${hit} trace=${group.trace_id} />`)}</ul>
    ${group.total > group.hits.length && html`<p class="mut rest">and ${count(group.total - group.hits.length, "more hit")}</p>`}
  </section>`;
}

function Box({ q, onChange }) {
  const [text, setText] = useState(q);
  const timer = useRef(0);
  const field = useRef(null);
  useEffect(() => setText(q), [q]);
  useEffect(() => void (q || field.current.focus()), []);
  const write = (next, wait) => {
    setText(next);
    clearTimeout(timer.current);
    if (wait) timer.current = setTimeout(() => onChange(next.trim(), true), 350);
    else onChange(next.trim(), false);
  };
  const keyed = (event) => {
    if (event.key === "Enter") write(text, false);
    if (event.key === "Escape") field.current.blur();
  };
  return html`<input ref=${field} id="search" type="search" aria-label="Search for" placeholder="Words, or a “phrase in quotes”" spellcheck=${false} value=${text} onInput=${(event) => write(event.target.value, true)} onKeyDown=${keyed} />`;
}

function Found({ found, q }) {
  const { rows, first, error, cursor, more, refresh, busy } = found;
  const place = useRef(null);
  useEffect(() => {
    const left = recall("hit");
    const hits = [...(place.current?.querySelectorAll(".hit") ?? [])];
    if (left) hits.find((hit) => hit.getAttribute("href") === left)?.focus();
  }, [Boolean(rows)]);
  if (error) return html`<${Problem} error=${error} retry=${refresh} />`;
  if (!rows) return html`<${Spinner} label="searching" />`;
  if (!rows.length) {
    return html`<${Empty} title="Nothing found">
      <p>No message, tool call, error or explanation has all of <code>${q}</code>. The beginning of a word is enough, and words in quotes are found as they stand. Of texts of more than 64 KB, the middle is not searched.</p>
      ${first.lag > 0 && html`<p>${count(first.lag, "span")} are not in the index yet; it is catching up.</p>`}
    <//>`;
  }
  return html`<div ref=${place} onClick=${(event) => remember("hit", event.target.closest(".hit")?.getAttribute("href"))}><p class="mut found" role="status">${number(first.total)}${first.capped ? "+" : ""} hits${first.lag > 0 ? `; ${number(first.lag)} spans are not in the index yet` : ""}</p>
    ${rows.map((group) => html`<${Group} key=${group.trace_id} group=${group} />`)}
    ${cursor && html`<p><button type="button" disabled=${busy} onClick=${more}>More</button></p>`}
  </div>`;
}

/** Move the focus among the hits. */
function step(by) {
  const hits = [...document.querySelectorAll(".hit")];
  const at = hits.indexOf(document.activeElement);
  hits[Math.max(0, Math.min(hits.length - 1, at + by))]?.focus();
}

export default function Search() {
  const [get, set] = useQuery();
  const q = get("q", "");
  const scope = get("scope", "all");
  const filter = get("filter");
  const found = usePaged(q ? "/search" : null, { q, scope, filter, limit: 50 }, "groups");
  useKeys("Search", [
    { keys: ["/"], what: "write what to search for", run: () => document.getElementById("search").select() },
    { keys: ["j", "ArrowDown"], what: "next hit", run: () => step(1) },
    { keys: ["k", "ArrowUp"], what: "previous hit", run: () => step(-1) },
  ]);
  return html`<div class="scroll"><div class="search-page">
    <h1 class="sr">Search</h1>
    <div role="search"><${Box} q=${q} onChange=${(next, replace) => set({ q: next }, { replace })} /></div>
    <fieldset class="scopes"><legend class="sr">Where</legend>
      ${SCOPES.map(([key, label]) => html`<label key=${key} class=${key === scope ? "on" : ""}><input type="radio" name="scope" class="sr" checked=${key === scope} onChange=${() => set({ scope: key === "all" ? null : key })} />${label}</label>`)}
      ${filter && html`<span class="tag">only ${filter} <button type="button" class="quiet" aria-label="Search in all episodes" onClick=${() => set({ filter: null })}>×</button></span>`}
    </fieldset>
    ${q ? html`<${Found} found=${found} q=${q} />` : html`<p class="mut hint">Prompts, answers, tool arguments and results, errors, and what graders said. To find episodes by their figures, use the filter of the <a href="/">episodes</a>.</p>`}
  </div></div>`;
}
