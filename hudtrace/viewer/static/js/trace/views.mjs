/** The views of a trace, between its outline and the details of a span. */

import { Empty } from "../bits.mjs";
import { html } from "../html.mjs";
import { spanOf } from "./actions.mjs";
import { lazy } from "./lazy.mjs";
import { Outline } from "./outline.mjs";

export const Chat = lazy(() => import("./chat.mjs"));
const Timeline = lazy(() => import("./timeline.mjs"));
const Detail = lazy(() => import("./detail.mjs"));
const Raw = lazy(() => import("./raw.mjs"));

/** @param {{act: any, head: any, get: Function, set: Function, shared: any, onTop: Function}} props */
export function Views({ act, head, get, set, shared, onTop }) {
  const { trace, view, picking, open } = act;
  const { pick, span } = picking;
  return html`<div class="trace-body">
    <${Outline} steps=${trace.steps} at=${act.here} verdicts=${shared.verdicts} onPick=${(step) => pick(spanOf(step, view), "outline")} />
    <div class="trace-main" ref=${act.box} role="tabpanel" aria-labelledby=${`tab-${view}`}>
      ${(view === "timeline" || view === "split") && html`<${Timeline} handle=${act.timeline} trace=${trace} get=${get} set=${set}
        read=${shared.read} picking=${picking} onOpen=${(id) => (pick(id, "timeline"), open(view === "split" ? "timeline" : "split"))} />`}
      ${(view === "chat" || view === "split") && html`<${Chat} items=${trace.items} place=${act.place} picked=${picking.id}
        onPick=${(id) => pick(id, "chat")} onTop=${onTop} empty=${html`<${NoChat} onOpen=${() => open("timeline")} />`} />`}
      ${view === "raw" && html`<${Raw} head=${head} spans=${trace.ordered} picked=${picking.id} needle=${act.needle} onPick=${pick} />`}
    </div>
    ${view === "timeline" && span && html`<${Detail} trace=${head.trace_id} span=${span} version=${span.duration}
      onPick=${(id) => pick(id, "link")} onClose=${() => pick(null)} onChat=${() => open("chat")} />`}
  </div>`;
}

function NoChat({ onOpen }) {
  return html`<${Empty} title="No conversation">
    <p>No span of this trace is a model's call, a tool's, or a reward.</p>
    <p><button type="button" onClick=${onOpen}>See the timeline</button></p><//>`;
}
