/** The page of one episode, or of any trace: /trace/{id}. */

import { query } from "../api.mjs";
import { Empty, Problem, Spinner, Tabs, copy, toast } from "../bits.mjs";
import { count, number } from "../format.mjs";
import { html, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../html.mjs";
import { useKeys } from "../keys.mjs";
import { navigate, useQuery, useRoute } from "../router.mjs";
import { Chat, useItems } from "./chat.mjs";
import { useTrace } from "./data.mjs";
import { Filters } from "./filters.mjs";
import { FindBar, highlight, useFind } from "./find.mjs";
import { Header, useNeighbours } from "./header.mjs";
import { keysOf } from "./keymap.mjs";
import { lazy } from "./lazy.mjs";
import { markedBeside, toggleMark } from "./marks.mjs";
import { Outline } from "./outline.mjs";
import { Shared } from "./parts.mjs";
import { nextTurn, shareBefore, spoken, stepAt, turnsOf } from "./walk.mjs";

export const VIEWS = ["chat", "timeline", "split", "raw"];
const Timeline = lazy(() => import("./timeline.mjs"));
const Detail = lazy(() => import("./detail.mjs"));
const Raw = lazy(() => import("./raw.mjs"));
const Waiting = lazy(() => import("./waiting.mjs"));
const LABELS = { chat: "Chat", timeline: "Timeline", split: "Split", raw: "Raw" };

/** @param {{id: string}} props */
export default function TracePage({ id }) {
  const trace = useTrace(id.toLowerCase());
  const { head, spans } = trace;
  if (head.error && !head.data) return html`<${Problem} error=${head.error} retry=${head.refresh} />`;
  if (trace.problem && !spans) return html`<${Problem} error=${trace.problem} retry=${head.refresh} />`;
  if (!head.data || !spans) return html`<${Spinner} />`;
  if (!spans.length) return html`<${Waiting} head=${head.data} />`;
  return html`<${Trace} trace=${trace} head=${head.data} />`;
}

function Trace({ trace, head }) {
  const [get, set] = useQuery();
  const view = VIEWS.includes(get("view")) ? get("view") : "chat";
  const list = useMemo(() => ({ q: get("q"), sort: get("sort") }), [get]);
  useItems(trace.items);
  const place = useRef(null);
  const box = useRef(null);
  const [top, setTop] = useState(null);
  const [follows, setFollows] = useState(false);
  const picking = usePicking({ trace, get, set, view, place });
  const timeline = useRef(null);
  const needle = (get("find") ?? "").toLowerCase();
  const find = useFind({
    ...{ needle, items: trace.items, spans: trace.ordered, inSpans: view === "timeline" || view === "raw" },
    onHit: (hit) => (hit.span ? picking.pick(hit.span, "find") : place.current?.go(hit.index)),
  });
  useHighlight(box, needle, find.hit, view);
  const here = stepAt(trace.steps, picking.span ?? (top && trace.tree.byId.get(top.span_id)));
  const open = (name) => set({ view: name === "chat" ? null : name }, { replace: false });
  const turn = (by) => {
    const step = nextTurn(trace.steps, here, by);
    if (step) picking.pick(view === "timeline" ? step.span.id : (step.calls[0] ?? step.span).id, "turn");
  };
  useFollow(follows, trace, picking);
  const field = useRef(null);
  const neighbours = useNeighbours(head.trace_id, list);
  const act = {
    ...{ trace, view, picking, timeline, place, find, turn, open },
    find: () => (field.current.focus(), field.current.select()),
    neighbour: (which) => goTo(neighbours.data?.[which], list, view),
    up: () => upFrom({ needle, set, picking, list }),
    mark: () => toast(toggleMark(head.trace_id) ? "Marked to compare: c on another episode" : "Mark taken away"),
    compare: () => compare(head.trace_id),
    copyId: () => void copy(head.trace_id, "Trace id copied"),
    follow: () => setFollows(!follows),
  };
  useKeys("Episode", keysOf(act));
  useEffect(() => {
    document.title = `${head.episode?.label ?? head.name ?? "trace"} · hudtrace`;
  }, [head.episode?.label, head.name]);
  const shared = useShared(head, needle, picking.pick);
  return html`<${Shared.Provider} value=${shared}><div class="trace" data-view=${view}>
    <${Header} head=${head} list=${list} view=${view} neighbours=${neighbours.data} onPick=${picking.pickNext} />
    <div class="trace-bar">
      <${Tabs} label="Views" items=${VIEWS.map((key) => ({ key, label: LABELS[key] }))} picked=${view} onPick=${open} />
      <${Stepper} steps=${trace.steps} here=${here} onTurn=${turn} />
      ${(view === "timeline" || view === "split") && html`<${Filters} get=${get} set=${set} />`}
      <span class="fill"></span>
      ${head.state === "running" && html`<button type="button" aria-pressed=${follows} onClick=${act.follow} title="f">Follow</button>`}
      <${FindBar} text=${get("find") ?? ""} find=${find} field=${field} onText=${(text) => set({ find: text || null })} onClose=${() => set({ find: null })} />
    </div>
    <div class="trace-body">
      <${Outline} steps=${trace.steps} at=${here} verdicts=${shared.verdicts} onPick=${(step) => picking.pick(view === "timeline" ? step.span.id : (step.calls[0] ?? step.span).id, "outline")} />
      <div class="trace-main" ref=${box} role="tabpanel" aria-labelledby=${`tab-${view}`}>
        ${(view === "timeline" || view === "split") && html`<${Timeline} handle=${timeline} trace=${trace} get=${get} set=${set} read=${shared.read} picking=${picking} onOpen=${(span) => (picking.pick(span, "timeline"), open(view === "split" ? "timeline" : "split"))} />`}
        ${(view === "chat" || view === "split") && html`<${Chat} items=${trace.items} place=${place} picked=${picking.id} onPick=${(span) => picking.pick(span, "chat")} onTop=${setTop} empty=${html`<${NoChat} onOpen=${() => open("timeline")} />`} />`}
        ${view === "raw" && html`<${Raw} head=${head} spans=${trace.ordered} picked=${picking.id} needle=${needle} onPick=${picking.pick} />`}
      </div>
      ${view === "timeline" && picking.span && html`<${Detail} trace=${head.trace_id} span=${picking.span} version=${picking.span.duration} onPick=${(span) => picking.pick(span, "link")} onClose=${() => picking.pick(null)} onChat=${() => open("chat")} />`}
    </div>
  </div><//>`;
}

/** Which span is picked; a pick that does not come from the chat takes the chat there. */
function usePicking({ trace, get, set, view, place }) {
  const { hash } = useRoute();
  const id = get("span");
  const origin = useRef("url");
  const latest = useRef(trace);
  latest.current = trace;
  const pick = useCallback((span, from = "page") => {
    origin.current = from;
    set({ span }, { replace: true });
  }, [set]);
  const shown = view === "chat" || view === "split";
  useLayoutEffect(() => {
    if (!shown) return undefined;
    const from = origin.current;
    origin.current = "url";
    if (from === "chat" || (!id && !hash)) return undefined;
    let current = true;
    const arrive = (index) => current && place.current?.go(index);
    const message = /^#m(\d+)$/.exec(hash);
    const { items, tree, base } = latest.current;
    const span = id && tree.byId.get(id);
    if (message && from === "url") items.ofMessage(Number(message[1])).then(arrive);
    else if (span) {
      const said = spoken(tree, span);
      const time = BigInt(base) + BigInt(Math.round(said.start * 1000));
      items.ofSpan(said.id, time, shareBefore(latest.current.calls, said)).then((index) => current && place.current?.go(index, said.id));
    }
    return () => (current = false);
  }, [id, hash, shown]);
  const pickNext = useCallback((span) => {
    const { read } = latest.current.head.data;
    const at = read.indexOf(new URLSearchParams(location.search).get("span"));
    pick(read.includes(span) && at >= 0 ? read[(at + 1) % read.length] : span, "link");
  }, [pick]);
  return { id, pick, pickNext, span: (id && trace.tree.byId.get(id)) || null };
}

/** What the blocks have to know; the same object as long as nothing in it changes. */
function useShared(head, needle, pick) {
  return useMemo(() => ({
    ...{ id: head.trace_id, needle, read: new Set(head.read) },
    verdicts: new Map(head.verdicts.map((verdict) => [verdict.span_id, verdict])),
    pick: (span) => pick(span, "link"),
  }), [head.trace_id, JSON.stringify(head.read), JSON.stringify(head.verdicts), needle, pick]);
}

function useHighlight(box, needle, hit, view) {
  useLayoutEffect(() => {
    const here = highlight(box.current, needle, hit);
    const pane = here?.startContainer.parentElement.closest(".chat");
    if (!here || !pane || pane.dataset.hit === `${needle}/${hit.index}/${hit.nth}`) return;
    pane.dataset.hit = `${needle}/${hit.index}/${hit.nth}`;
    const { top, bottom } = here.getBoundingClientRect();
    const edge = pane.getBoundingClientRect();
    if (top < edge.top + 40 || bottom > edge.bottom - 40) pane.scrollTop += top - edge.top - edge.height / 3;
  });
  useEffect(() => () => highlight(null, ""), [view]);
}

/** While it runs, go to whatever is new. */
function useFollow(follows, trace, picking) {
  const newest = trace.ordered.at(-1)?.id;
  useEffect(() => {
    if (follows && newest) picking.pick(newest, "follow");
  }, [follows, newest]);
}

function Stepper({ steps, here, onTurn }) {
  const turns = useMemo(() => turnsOf(steps), [steps]);
  if (!turns.length) return null;
  const at = turns.indexOf(steps[here]);
  return html`<span class="stepper"><span class="num">${at < 0 ? count(turns.length, "turn") : `turn ${number(at + 1)}/${number(turns.length)}`}</span>
    <button type="button" class="quiet" aria-label="Next turn" title="n" onClick=${() => onTurn(1)}>▾</button>
    <button type="button" class="quiet" aria-label="Previous turn" title="p" onClick=${() => onTurn(-1)}>▴</button></span>`;
}

function NoChat({ onOpen }) {
  return html`<${Empty} title="No conversation">
    <p>No span of this trace is a model's call, a tool's, or a reward.</p>
    <p><button type="button" onClick=${onOpen}>See the timeline</button></p><//>`;
}

function goTo(other, list, view) {
  if (!other) return false;
  navigate(`/trace/${other}${query({ ...list, view: view === "chat" ? null : view })}`);
  return undefined;
}

/** Out of what is innermost: the search, the picked span, the page. */
function upFrom({ needle, set, picking, list }) {
  if (needle) set({ find: null });
  else if (picking.id) picking.pick(null);
  else navigate(`/${query(list)}`);
}

function compare(id) {
  const other = markedBeside(id);
  if (other) navigate(`/diff/${other}...${id}`);
  else toast("Mark another episode first: x");
}
