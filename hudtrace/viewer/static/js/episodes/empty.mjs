/** No episodes: none yet, or none that the filter leaves. */

import { CopyButton, Empty } from "../bits.mjs";
import { count, number } from "../format.mjs";
import { html } from "../html.mjs";
import { terms, without } from "./grammar.mjs";

const EXAMPLE = `import hudtrace as hud

@hud.traced_eval(case=("question",), reward="return")
def answers_shortly(question: str) -> float:
    return 1.0 if len(question) < 80 else 0.0

print(answers_shortly.eval("Who leads HUD?").reward)`;

function First() {
  return html`<${Empty} title="No episodes yet">
    <p>Run an eval, and it appears here while it runs:</p>
    <div class="sample"><pre><code>${EXAMPLE}</code></pre><${CopyButton} text=${EXAMPLE} label="Copy the example" what="Example copied" /></div>
    <p>Or <code>hudtrace demo</code>: two agents on twelve tasks, offline, in a few seconds. Spans of other programs come in over OTLP: <a href="/setup">setup</a>.</p>
  <//>`;
}

/** The filter without a term, however the server says which. */
function rest(q, removal) {
  const term = terms(q).find(({ text }) => text === removal.without);
  return term ? without(q, term) : removal.q ?? removal.without;
}

function Unmatched({ head, q, change }) {
  const removals = (head.removals ?? []).filter(({ total }) => total > 0);
  return html`<${Empty} title="No episode matches">
    ${removals.length
      ? html`<p>Take away one term of the filter:</p>
          <ul class="removals">${removals.map((removal) => html`<li key=${removal.without}>
            <button type="button" onClick=${() => change(rest(q, removal), { push: true })}><s>${removal.without}</s><span>${count(removal.total, "episode")}</span></button>
          </li>`)}</ul>`
      : html`<p>No single term is to blame: ${number(0)} are left without any one of them.</p>`}
    <p><button type="button" onClick=${() => change("", { push: true })}>Clear the filter</button></p>
  <//>`;
}

/** The index is only being made: nobody knows yet what there is. */
function Waiting({ lag }) {
  return html`<${Empty} title="A moment: the index is being made"><p>${count(lag, "span")} to go. Episodes appear here when they are in it.</p><//>`;
}

export function Nothing({ head, q, base, change }) {
  if (head.lag > 0) return html`<${Waiting} lag=${head.lag} />`;
  if (q) return html`<${Unmatched} head=${head} q=${q} change=${change} />`;
  if (base) return html`<${Empty} title="No episodes in here"><p>Nothing that was stored belongs to it.</p><//>`;
  return html`<${First} />`;
}
