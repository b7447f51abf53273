/** Episodes to look through: the filter, the figures, what to narrow down by, the list. */

import { query, useGet } from "../api.mjs";
import { Empty, Icon, Problem, Spinner, toast, useMedia } from "../bits.mjs";
import { Dialog } from "../dialog.mjs";
import { count, number } from "../format.mjs";
import { html, useCallback, useEffect, useRef, useState } from "../html.mjs";
import { useKeys } from "../keys.mjs";
import { VList } from "../list.mjs";
import { NARROW, useNarrow } from "../narrow.mjs";
import { navigate, recall, remember, useQuery } from "../router.mjs";
import { Nothing } from "./empty.mjs";
import { Facets } from "./facets.mjs";
import { FilterBox } from "./filterbox.mjs";
import { useListing } from "./listing.mjs";
import { COLUMNS, cells, lines } from "./rows.mjs";
import { Summary } from "./summary.mjs";

const SORT = "-started";

/** The row that is selected: by number, and by id where the history remembers it. */
function useSelected(listing, q, sort, base) {
  const place = useRef(recall("list") ?? {}).current;
  const [selected, setSelected] = useState(place.index ?? null);
  const keep = (more) => remember("list", Object.assign(place, more));
  const select = (index) => {
    setSelected(index);
    keep({ index, id: listing?.row(index)?.trace_id });
  };
  const first = useRef(true);
  useEffect(() => {
    if (!listing) return;
    if (!first.current) {
      setSelected(null);
      keep({ index: null, id: null, top: 0 });
      return;
    }
    first.current = false;
    if (place.id) find(listing, place, q, sort, base).then((index) => index !== null && select(index));
  }, [listing]);
  return { selected, select, place, keep };
}

/** Where the row that was selected is now. */
async function find(listing, place, q, sort, base) {
  if (listing.row(place.index)?.trace_id === place.id) return place.index;
  const { get } = await import("../api.mjs");
  const text = [base, q].filter(Boolean).join(" ");
  const { position } = await get(`/neighbours${query({ q: text, sort, trace: place.id })}`).catch(() => ({}));
  return position ? position - 1 : null;
}

/** Up to two episodes that are marked, in the URL. */
function useMarks() {
  const [get, set] = useQuery();
  const marks = (get("mark", "") || "").split(",").filter(Boolean);
  const toggle = (id) => {
    const next = marks.includes(id) ? marks.filter((each) => each !== id) : [...marks.slice(-1), id];
    set({ mark: next.join(",") });
  };
  const compare = () => {
    if (marks.length === 2) navigate(`/diff/${marks[0]}...${marks[1]}`);
    else toast("Mark two episodes with x, then c compares them");
  };
  return { marks, toggle, compare, clear: () => set({ mark: null }) };
}

function Marked({ marks: { marks, compare, clear } }) {
  if (!marks.length) return null;
  return html`<div class="marked" role="status">
    <span>${marks.length} marked</span>
    <button type="button" class="primary" disabled=${marks.length < 2} onClick=${compare}>Compare <kbd>c</kbd></button>
    <button type="button" class="quiet" onClick=${clear}>Clear</button>
  </div>`;
}

/** What was written into the URL as the link of a row, so that a page can go on in this list. */
const linkOf = (episode, q, sort) =>
  `/trace/${episode.trace_id}${query({ q, sort: sort === SORT ? null : sort })}`;

const COUNTED = 5000; // ms between two counts of the facets

/** Facets of what is shown; counted again some time after the list has changed. */
function useFacets(listing, text) {
  const { data, refresh } = useGet(listing && !listing.head.filter.errors.length ? `/facets${query({ q: text })}` : null);
  const timer = useRef(0);
  const of = useRef(listing);
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => {
    if (of.current === listing && listing && !timer.current) {
      timer.current = setTimeout(() => {
        timer.current = 0;
        refresh();
      }, COUNTED);
    }
    of.current = listing;
  }, [listing?.head]);
  const kept = useRef([]);
  if (data) kept.current = data.facets;
  return kept.current;
}

function Side({ wide, drawer, close, children }) {
  if (wide) return html`<aside class="side" aria-label="Narrow down">${children}</aside>`;
  if (!drawer) return null;
  return html`<${Dialog} label="Narrow down" class="drawer" close=${close}>
    <header><h2>Narrow down</h2><button type="button" class="quiet" onClick=${close}>Done</button></header>${children}
  <//>`;
}

/**
 * @param {{base?: string, path?: string, hide?: string[], figures?: boolean}} props
 *   *base* is a filter that always holds, *hide* names facets
 */
export function Explorer({ base = "", path = "/", hide = [], figures = true }) {
  const [get, set] = useQuery();
  const q = get("q", "");
  const sort = get("sort", SORT);
  const table = useRef(null);
  const held = useRef(false);
  const found = useListing(q, sort, () => held.current || table.current?.contains(document.activeElement), base);
  const { listing } = found;
  const { selected, select, place, keep } = useSelected(listing, q, sort, base);
  const marks = useMarks();
  const text = [base, q].filter(Boolean).join(" ");
  const facets = useFacets(listing, text).filter(({ key }) => !hide.includes(key));
  const wide = useMedia("(min-width: 1000px)");
  const narrow = useNarrow();
  const [drawer, setDrawer] = useState(false);
  held.current = selected !== null || (place.top ?? 0) > 0;
  const change = useCallback((next, { push = false } = {}) => set({ q: next }, { replace: !push }), []);
  const open = (index) => {
    const episode = listing?.row(index);
    if (episode) (select(index), navigate(linkOf(episode, text, sort)));
  };
  const focusList = () => table.current?.querySelector("[role=grid]")?.focus();
  const renew = async () => {
    keep({ index: null, id: null, top: 0 });
    await found.renew();
    table.current?.querySelector("[role=grid]")?.scrollTo(0, 0);
  };
  const marking = () => (listing?.row(selected) ? marks.toggle(listing.row(selected).trace_id) : false);
  useKeys("Episodes", [
    { keys: ["/"], what: "write a filter", run: () => document.getElementById("filter")?.focus() },
    { keys: ["x"], what: "mark the row", run: marking },
    { keys: ["c"], what: "compare the two that are marked", run: marks.compare },
    { keys: ["."], what: "show what is new", run: () => (listing?.fresh ? void renew() : false) },
    { keys: ["Y"], what: "copy the trace id of the row", run: () => copyId(listing?.row(selected)) },
    { keys: ["Escape"], what: "leave the row, take marks away", run: () => (select(null), marks.marks.length > 0 && marks.clear()) },
  ]);
  const row = (index) => {
    const episode = listing.row(index);
    const more = episode && { href: linkOf(episode, text, sort), marked: marks.marks.includes(episode.trace_id), onMark: () => marks.toggle(episode.trace_id) };
    return (narrow ? lines : cells)(episode, more ?? {});
  };
  const onRange = useCallback((from, to) => listing?.need(from, to), [listing]);
  return html`<div class="explorer">
    <div class="bar">
      ${!wide && html`<button type="button" onClick=${() => setDrawer(true)}><${Icon} name="filter" />Narrow down</button>`}
      <${FilterBox} q=${q} errors=${found.wrong} facets=${facets} onChange=${change} onLeave=${focusList} />
    </div>
    ${listing && (figures || q) && html`<${Summary} summary=${listing.head.summary} total=${listing.total + listing.fresh} capped=${listing.head.total_capped} q=${q} path=${path} />`}
    ${listing?.head.lag > 0 && html`<p class="lag" role="status">The index is being made: ${number(listing.head.lag)} spans are not in it yet.</p>`}
    <div class="below">
      <${Side} wide=${wide} drawer=${drawer} close=${() => setDrawer(false)}><${Facets} facets=${facets} q=${q} total=${listing?.total ?? 0} onChange=${change} /><//>
      <div class=${`table ${found.loading ? "stale" : ""}`} ref=${table} aria-busy=${found.loading}>
        ${listing?.fresh > 0 && html`<button type="button" class="fresh" onClick=${renew}>↑ ${listing.fresh} new</button>`}
        <${Shown} ...${{ found, q, base, change, row, narrow, selected, select, open, onRange, sort, set, place, keep, marks }} />
        <${Marked} marks=${marks} />
      </div>
    </div>
    <p class="sr" role="status">${listing && !found.loading ? count(listing.total, "episode") : ""}</p>
  </div>`;
}

function copyId(episode) {
  if (!episode) return false;
  navigator.clipboard?.writeText(episode.trace_id).then(() => toast("Trace id copied"));
  return undefined;
}

/** The list, or why there is none. */
function Shown({ found, q, base, change, row, narrow, selected, select, open, onRange, sort, set, place, keep, marks }) {
  const { listing, error, loading, retry, wrong } = found;
  if (error && !listing) return html`<${Problem} error=${error} retry=${retry} />`;
  if (!listing) return html`<${Spinner} label="loading episodes" />`;
  if (listing.total === 0 && wrong.length) return html`<${Empty} title="The filter cannot be read">${wrong.map((each) => html`<p>${each.message}</p>`)}<//>`;
  if (listing.total === 0) return loading ? html`<${Spinner} />` : html`<${Nothing} head=${listing.head} q=${q} base=${base} change=${change} />`;
  const marked = (index) => (marks.marks.includes(listing.row(index)?.trace_id) ? "is-marked" : "");
  return html`<${VList} key=${narrow} label="Episodes" count=${listing.total} row=${row} columns=${COLUMNS} least="1000px" ...${narrow ? NARROW : {}}
    rowClass=${marked} selected=${selected} onSelect=${select} onOpen=${open} onRange=${onRange} sort=${sort}
    onSort=${(next) => set({ sort: next === SORT ? null : next }, { replace: false })} top=${place.top} onScrolled=${(top) => remembered(keep, top)} />`;
}

let later = 0;

/** Remember how far was scrolled, when the scrolling rests: browsers limit how often. */
function remembered(keep, top) {
  clearTimeout(later);
  later = setTimeout(() => keep({ top }), 120);
}
