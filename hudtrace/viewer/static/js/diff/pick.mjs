/** Another episode for one side: one that is like the other side, or any by its id. */

import { query, useGet } from "../api.mjs";
import { RewardChip } from "../bits.mjs";
import { ago, shortId, visible } from "../format.mjs";
import { html, useState } from "../html.mjs";

const SOME = 12;

/** A filter for episodes like this one. */
function alike(episode) {
  if (episode?.task_id) return `task:"${episode.task_id}"`;
  return episode?.scenario ? `scenario:"${episode.scenario}"` : "";
}

/** @param {{beside: any, onPick: (id: string) => void, onClose: Function}} props */
export default function Pick({ beside, onPick, onClose }) {
  const [text, setText] = useState(() => alike(beside));
  const id = /^[0-9a-f]{32}$/i.test(text.trim()) ? text.trim().toLowerCase() : null;
  const { data, error } = useGet(id ? null : `/episodes${query({ q: text, limit: SOME })}`);
  const rows = (data?.rows ?? []).filter((row) => row.trace_id !== beside?.trace_id);
  const keyed = (event) => {
    if (event.key === "Escape") onClose();
    else if (event.key === "Enter" && (id || rows.length)) onPick(id ?? rows[0].trace_id);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`<div class="episode-pick" onKeyDown=${keyed}>
    <input ref=${(element) => element && !element.dataset.met && ((element.dataset.met = "1"), element.focus())} type="search"
      aria-label="Filter of episodes, or a trace id" placeholder="Filter, or a trace id" value=${text} onInput=${(e) => setText(e.target.value)} />
    ${error && html`<p class="bad">${error.message}</p>`}
    ${id && html`<button type="button" onClick=${() => onPick(id)}>Trace ${shortId(id)}</button>`}
    ${data && !rows.length && !id && html`<p class="mut">${text === alike(beside) ? `no other episode of this ${beside?.task_id ? "task" : "scenario"}` : "no other episode matches"}</p>`}
    <ul>${rows.map((row) => html`<li key=${row.trace_id}><button type="button" class="quiet" onClick=${() => onPick(row.trace_id)}>
      <${RewardChip} value=${row.reward} /><span class="cut">${visible(row.label)}</span><small class="mut">${visible(row.model ?? "")} ${ago(row.started)}</small></button></li>`)}</ul>
  </div>`;
}
