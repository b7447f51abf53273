/** The line above every view: which one, which turn, what is looked for. */

import { Tabs } from "../bits.mjs";
import { count, number } from "../format.mjs";
import { html, useMemo } from "../html.mjs";
import { Filters } from "./filters.mjs";
import { FindBar } from "./find.mjs";
import { turnsOf } from "./walk.mjs";

const VIEWS = [["chat", "Chat"], ["timeline", "Timeline"], ["split", "Split"], ["raw", "Raw"]];
const TABS = VIEWS.map(([key, label]) => ({ key, label }));

/** @param {{act: any, get: Function, set: Function, here: number, running: boolean}} props */
export function Bar({ act, get, set, here, running }) {
  const { view, open, turn } = act;
  const write = (text) => set({ find: text || null });
  return html`<div class="trace-bar">
    <${Tabs} label="Views" items=${TABS} picked=${view} onPick=${open} />
    <${Stepper} steps=${act.trace.steps} here=${here} onTurn=${turn} />
    ${(view === "timeline" || view === "split") && html`<${Filters} get=${get} set=${set} />`}
    <span class="fill"></span>
    ${running && html`<button type="button" aria-pressed=${act.follows} onClick=${act.follow} title="f">Follow</button>`}
    <${FindBar} text=${get("find") ?? ""} find=${act.found} field=${act.field} onText=${write} onClose=${() => write("")} />
  </div>`;
}

function Stepper({ steps, here, onTurn }) {
  const turns = useMemo(() => turnsOf(steps), [steps]);
  if (!turns.length) return null;
  const at = turns.indexOf(steps[here]);
  return html`<span class="stepper"><span class="num">${at < 0 ? count(turns.length, "turn") : `turn ${number(at + 1)}/${number(turns.length)}`}</span>
    <button type="button" class="quiet" aria-label="Next turn" title="n" onClick=${() => onTurn(1)}>▾</button>
    <button type="button" class="quiet" aria-label="Previous turn" title="p" onClick=${() => onTurn(-1)}>▴</button></span>`;
}
