/** The page of one episode, or of any trace: /trace/{id}. */

import { Problem, Spinner } from "../bits.mjs";
import { visible } from "../format.mjs";
import { html, useEffect, useMemo, useRef, useState } from "../html.mjs";
import { useKeys } from "../keys.mjs";
import { useQuery } from "../router.mjs";
import { actionsOf } from "./actions.mjs";
import { Bar } from "./bar.mjs";
import { useItems, useTrace } from "./data.mjs";
import { useFind, useHighlight } from "./find.mjs";
import { Header, useNeighbours } from "./header.mjs";
import { keysOf } from "./keymap.mjs";
import { lazy, useThere } from "./lazy.mjs";
import { useFollow, usePicking } from "./picking.mjs";
import { Shared } from "./shared.mjs";
import { Chat, Views } from "./views.mjs";
import { stepAt } from "./walk.mjs";

const VIEWS = ["chat", "timeline", "split", "raw"];
const WITHOUT_CHAT = ["timeline", "raw"];
const Waiting = lazy(() => import("./waiting.mjs"));

/** @param {{id: string}} props */
export default function TracePage({ id }) {
  const trace = useTrace(id.toLowerCase());
  const { head, spans } = trace;
  const [get] = useQuery();
  const chats = useThere(Chat, !WITHOUT_CHAT.includes(get("view")));
  const begun = useRef(false);
  if (head.error && !head.data) return html`<${Problem} error=${head.error} retry=${head.refresh} />`;
  if (trace.problem && !spans) return html`<${Problem} error=${trace.problem} retry=${head.refresh} />`;
  begun.current ||= chats || WITHOUT_CHAT.includes(get("view"));
  if (!head.data || !spans || !begun.current) return html`<${Spinner} />`;
  if (!spans.length) return html`<${Waiting} head=${head.data} />`;
  return html`<${Trace} trace=${trace} head=${head.data} />`;
}

function Trace({ trace, head }) {
  const [get, set] = useQuery();
  const [top, setTop] = useState(null); // the item at the top of the conversation
  const view = VIEWS.includes(get("view")) ? get("view") : "chat";
  const list = useMemo(() => ({ q: get("q"), sort: get("sort") }), [get]);
  const page = { id: head.trace_id, trace, view, list, set, needle: (get("find") ?? "").toLowerCase() };
  const places = { place: useRef(null), box: useRef(null), timeline: useRef(null), field: useRef(null) };
  const picking = usePicking({ trace, get, set, view, place: places.place });
  const found = useFound({ ...page, ...places, picking });
  const here = stepAt(trace.steps, picking.span ?? (top && trace.tree.byId.get(top.span_id)));
  const neighbours = useNeighbours(page.id, list).data;
  const act = actionsOf({ ...page, ...places, ...useFollow(trace, picking), picking, found, here, neighbours });
  const shared = useShared(head, page.needle, picking.pick);
  useItems(trace.items);
  useKeys("Episode", keysOf(act));
  useTitle(head);
  return html`<${Shared.Provider} value=${shared}><div class="trace" data-view=${view}>
    <${Header} head=${head} list=${list} view=${view} neighbours=${neighbours} onPick=${picking.pickNext} />
    <${Bar} act=${act} get=${get} set=${set} here=${here} running=${head.state === "running"} />
    <${Views} ...${{ act, head, get, set, shared }} onTop=${setTop} />
  </div><//>`;
}

/** What is looked for: in the conversation, or in the spans where there is none. */
function useFound({ trace, view, needle, picking, place, box }) {
  const onHit = (hit) => (hit.span ? picking.pick(hit.span, "find") : place.current?.go(hit.index));
  const inSpans = view === "timeline" || view === "raw";
  const found = useFind({ needle, items: trace.items, spans: trace.ordered, inSpans, onHit });
  useHighlight(box, needle, found.hit, view);
  return found;
}

function useTitle(head) {
  const name = head.episode?.label ?? head.name ?? "trace";
  useEffect(() => void (document.title = `${visible(name)} · hudtrace`), [name]);
}

/** What the blocks have to know; the same object as long as nothing in it changes. */
function useShared(head, needle, pick) {
  return useMemo(() => ({
    ...{ id: head.trace_id, needle, state: head.state, read: new Set(head.read) },
    verdicts: new Map(head.verdicts.map((verdict) => [verdict.span_id, verdict])),
    pick: (span) => pick(span, "link"),
  }), [head.trace_id, head.state, JSON.stringify(head.read), JSON.stringify(head.verdicts), needle, pick]);
}
