/** The episodes of a listing as rows, with the keys that work on them. */

import { query } from "../api.mjs";
import { Empty, Problem, Spinner, copy } from "../bits.mjs";
import { html, useCallback, useEffect, useRef } from "../html.mjs";
import { useKeys } from "../keys.mjs";
import { VList } from "../list.mjs";
import { NARROW, useNarrow } from "../narrow.mjs";
import { navigate, setQuery } from "../router.mjs";
import { Nothing } from "./empty.mjs";
import { Marked, useMarks } from "./marks.mjs";
import { COLUMNS, cells, lines } from "./rows.mjs";
import { useSelection } from "./selection.mjs";

export const SORT = "-started";

const GRID = ".table [role=grid]";

/** Give the keyboard to the list. */
export const focusList = () => document.querySelector(GRID)?.focus();

/** The address of an episode, with the list that its page goes on in. */
const linkOf = (episode, { text, sort }) =>
  `/trace/${episode.trace_id}${query({ q: text, sort: sort === SORT ? null : sort })}`;

function keysOf({ listing, marks, selection, renew }) {
  const row = () => listing?.row(selection.selected);
  const withRow = (run) => () => (row() ? void run(row()) : false);
  return [
    { keys: ["x"], what: "mark the row", run: withRow((episode) => marks.toggle(episode.trace_id)) },
    { keys: ["c"], what: "compare the two that are marked", run: marks.compare },
    { keys: ["."], what: "show what is new", run: () => (listing?.fresh ? void renew() : false) },
    { keys: ["Y"], what: "copy the trace id of the row", run: withRow((episode) => void copy(episode.trace_id, "Trace id copied")) },
    { keys: ["Escape"], what: "leave the row, take marks away", run: () => (selection.select(null), marks.clear()) },
  ];
}

/**
 * @param {{found: any, list: {q: string, base: string, text: string, sort: string}, held: {current: boolean},
 *   change: (q: string, options: {push?: boolean}) => void}} props *held* is told whether rows must stay
 */
export function Table({ found, list, held, change }) {
  const { listing } = found;
  const place = useRef(null);
  const marks = useMarks();
  const selection = useSelection(listing, list);
  useEffect(() => {
    held.current = () => selection.selected !== null || selection.top > 0 || place.current.contains(document.activeElement);
  });
  const renew = async () => {
    selection.select(null);
    await found.renew();
    document.querySelector(GRID)?.scrollTo(0, 0);
  };
  useKeys("Episodes", keysOf({ listing, marks, selection, renew }));
  return html`<div class=${`table ${found.loading ? "stale" : ""}`} ref=${place} aria-busy=${found.loading}>
    ${listing?.fresh > 0 && html`<button type="button" class="fresh" onClick=${renew}>↑ ${listing.fresh} new</button>`}
    <${Shown} ...${{ found, list, change, marks, selection }} />
    <${Marked} marks=${marks} />
  </div>`;
}

/** The list, or why there is none. */
function Shown({ found, list, change, marks, selection }) {
  const { listing, error, loading, retry, wrong } = found;
  if (error && !listing) return html`<${Problem} error=${error} retry=${retry} />`;
  if (!listing || (loading && listing.total === 0)) return html`<${Spinner} label="loading episodes" />`;
  if (listing.total > 0) return html`<${Rows} ...${{ listing, list, marks, selection }} />`;
  if (!wrong.length) return html`<${Nothing} head=${listing.head} q=${list.q} base=${list.base} change=${change} />`;
  return html`<${Empty} title="The filter cannot be read">${wrong.map((each) => html`<p key=${each.start}>${each.message}</p>`)}<//>`;
}

function Rows({ listing, list, marks, selection }) {
  const narrow = useNarrow();
  const marked = (episode) => Boolean(episode) && marks.ids.includes(episode.trace_id);
  const row = (index) => {
    const episode = listing.row(index);
    if (!episode) return narrow ? lines(null, {}) : cells(null, {});
    const more = { href: linkOf(episode, list), marked: marked(episode), onMark: () => marks.toggle(episode.trace_id) };
    return narrow ? lines(episode, more) : cells(episode, more);
  };
  const open = (index) => {
    const episode = listing.row(index);
    if (episode) (selection.select(index), navigate(linkOf(episode, list)));
  };
  const onRange = useCallback((from, to) => listing.need(from, to), [listing]);
  return html`<${VList} key=${narrow} label="Episodes" count=${listing.total} row=${row} columns=${COLUMNS} least="1000px" ...${narrow ? NARROW : {}}
    rowClass=${(index) => (marked(listing.row(index)) ? "is-marked" : "")} selected=${selection.selected} onSelect=${selection.select}
    onOpen=${open} onRange=${onRange} top=${selection.top} onScrolled=${selection.scrolled} sort=${list.sort}
    onSort=${(next) => setQuery({ sort: next === SORT ? null : next }, { replace: false })} />`;
}
