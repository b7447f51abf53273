/**
 * A list of any length with few nodes: a grid with rows of one height, of which only
 * those in sight exist. One tab stop; the selected row is the grid's active descendant
 * while it exists.
 */

import { html, useCallback, useEffect, useId, useLayoutEffect, useRef, useState } from "./html.mjs";
import { useKeys } from "./keys.mjs";

const AROUND = 3; // rows drawn beyond each edge

/** The rows [from, to) that exist, for how far was scrolled. */
function inSight(element, height, count) {
  const from = Math.max(0, Math.floor(element.scrollTop / height) - AROUND);
  const to = Math.ceil((element.scrollTop + element.clientHeight) / height) + AROUND;
  return [from, Math.min(count, to)];
}

/** Scroll as little as it takes to have row *index* in sight. */
function reveal(element, head, index, height) {
  const top = index * height;
  const room = element.clientHeight - head;
  if (top < element.scrollTop) element.scrollTop = top;
  else if (top + height > element.scrollTop + room) element.scrollTop = top + height - room;
}

function useWindow(ref, height, count, onRange) {
  const [range, setRange] = useState([0, Math.min(count, 60)]);
  const update = useCallback(() => {
    if (!ref.current) return;
    const next = inSight(ref.current, height, count);
    setRange((old) => (old[0] === next[0] && old[1] === next[1] ? old : next));
  }, [height, count]);
  useLayoutEffect(() => {
    update();
    const watch = new ResizeObserver(update);
    watch.observe(ref.current);
    return () => watch.disconnect();
  }, [update]);
  useEffect(() => onRange?.(range[0], range[1]), [range[0], range[1], onRange]);
  return [range, update];
}

function listKeys({ ref, height, count, selected, onSelect, onOpen }) {
  const go = (to) => count > 0 && onSelect?.(Math.max(0, Math.min(count - 1, to)));
  const page = () => Math.max(1, Math.floor(ref.current.clientHeight / height) - 2);
  const at = selected ?? -1;
  const within = (run) => (event) => {
    const here = event.target === document.body || ref.current?.contains(event.target);
    return here ? void run() : false;
  };
  return [
    { keys: ["j"], what: "next row", run: () => void go(at + 1) },
    { keys: ["k"], what: "previous row", run: () => void go(Math.max(0, at) - 1) },
    { keys: ["ArrowDown"], what: "next row", run: within(() => go(at + 1)) },
    { keys: ["ArrowUp"], what: "previous row", run: within(() => go(Math.max(0, at) - 1)) },
    { keys: ["PageDown"], what: "a page down", run: within(() => go(at + page())) },
    { keys: ["PageUp"], what: "a page up", run: within(() => go(at - page())) },
    { keys: ["Home"], what: "first row", run: within(() => go(0)) },
    { keys: ["End"], what: "last row", run: within(() => go(count - 1)) },
    { keys: ["Enter", "o"], what: "open", run: () => (at < 0 || !onOpen ? false : void onOpen(at)) },
  ];
}

function Head({ columns, sort, onSort }) {
  return html`<div class="vl-head" role="row" aria-rowindex="1">
    ${columns.map((column) => html`<${HeadCell} key=${column.key} ...${{ column, sort, onSort }} />`)}
  </div>`;
}

function HeadCell({ column, sort, onSort }) {
  const name = sort?.replace(/^-/, "");
  const down = sort?.startsWith("-");
  const ours = column.sort && column.sort === name;
  const direction = ours ? (down ? "descending" : "ascending") : column.sort ? "none" : null;
  const next = () => onSort(ours && down ? column.sort : `-${column.sort}`);
  return html`<span role="columnheader" class=${column.class} aria-sort=${direction} title=${column.title}>
    ${column.sort && onSort
      ? html`<button type="button" class=${ours ? "sorted" : ""} onClick=${next}>
          ${column.label}<i aria-hidden="true">${ours ? (down ? "↓" : "↑") : ""}</i>
        </button>`
      : column.label}
  </span>`;
}

/**
 * @param {{
 *   count: number, row: (index: number) => any, rowHeight?: number,
 *   selected?: number|null, onSelect?: (index: number) => void,
 *   onOpen?: (index: number) => void, onRange?: (from: number, to: number) => void,
 *   label: string, columns?: {key: string, label: any, width: string, class?: string, sort?: string, title?: string}[],
 *   sort?: string, onSort?: (sort: string) => void, rowClass?: (index: number) => string,
 *   rowKey?: (index: number) => string, scope?: string, keys?: boolean,
 *   top?: number, least?: string, onScrolled?: (top: number) => void, class?: string,
 * }} props `row` gives the cells (role=gridcell); `top` is where to begin;
 *   below `least` (a width) rows are scrolled sideways;
 *   `keys` false leaves the keyboard to others
 */
export function VList(props) {
  const { count, row, rowHeight = 28, selected = null, onSelect, onOpen, onRange } = props;
  const { columns = null, keys = true, top, onScrolled } = props;
  const ref = useRef(null);
  const id = useId();
  const [range, update] = useWindow(ref, rowHeight, count, onRange);
  const head = columns?.some((column) => column.label) ? rowHeight : 0;
  useLayoutEffect(() => void (top && (ref.current.scrollTop = top)), []);
  useEffect(() => {
    if (selected !== null && selected < count) reveal(ref.current, head, selected, rowHeight);
  }, [selected, count > 0]);
  const bound = listKeys({ ref, height: rowHeight, count, selected, onSelect, onOpen });
  useKeys(props.scope ?? "Lists", keys ? bound : []);
  const scrolled = () => {
    update();
    onScrolled?.(ref.current.scrollTop);
  };
  const mounted = selected !== null && selected >= range[0] && selected < range[1];
  return html`<div class=${`vl ${props.class ?? ""}`} ref=${ref} role="grid" tabindex="0" aria-label=${props.label}
    aria-rowcount=${count + (head ? 1 : 0)} aria-colcount=${columns?.length}
    aria-activedescendant=${mounted ? `${id}-${selected}` : null} onScroll=${scrolled}
    style=${{ "--cols": columns?.map((column) => column.width).join(" "), "--row": `${rowHeight}px`, "--least": props.least }}>
    ${head ? html`<${Head} columns=${columns} sort=${props.sort} onSort=${props.onSort} />` : null}
    <div class="vl-rows" role="rowgroup" style=${{ height: `${count * rowHeight}px` }}>
      ${rows(range, count, (index) => html`<div key=${props.rowKey?.(index) ?? index} id=${`${id}-${index}`}
        class=${`vl-row ${props.rowClass?.(index) ?? ""}`} role="row" aria-rowindex=${index + (head ? 2 : 1)}
        aria-selected=${index === selected} style=${{ top: `${index * rowHeight}px` }}
        onClick=${(event) => clicked(event, index, onSelect)}>${row(index)}</div>`)}
    </div>
  </div>`;
}

function clicked(event, index, onSelect) {
  if (!event.target.closest("button, input")) onSelect?.(index);
}

function rows([from, to], count, draw) {
  const drawn = [];
  for (let index = from; index < Math.min(to, count); index++) drawn.push(draw(index));
  return drawn;
}
