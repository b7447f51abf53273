/**
 * The conversation. A short one is on the page whole, so that the browser's own search
 * finds everything; of a long one only what is in view, with the rest as empty space.
 */

import { Empty, Problem, Spinner } from "../bits.mjs";
import { html, useEffect, useLayoutEffect, useReducer, useRef, useState } from "../html.mjs";
import { Block } from "./blocks.mjs";
import { Heights } from "./windowing.mjs";

const WHOLE = 400; // messages, up to which all of them are drawn
const AROUND = 500; // pixels above and below the view that are drawn too
const ESTIMATE = 190; // pixels of a block that was not drawn yet

/** Draw again when more of the conversation has come. */
export function useItems(items) {
  const [, again] = useReducer((n) => n + 1, 0);
  useEffect(() => items.watch(again), [items]);
  return items;
}

/**
 * @param {{items: import("./items.mjs").Items, place: {current: any}, picked: string|null,
 *   onPick: (span: string) => void, onTop: (item: any) => void}} props
 *   `place` is given the means to go somewhere: `.go(index, spanOrAnchor)`.
 */
export function Chat({ items, place, picked, onPick, onTop, empty }) {
  const box = useRef(null);
  const view = useView(items, box, onTop);
  place.current = view;
  usePicked(box, picked);
  useEffect(() => {
    let ended = false;
    items.want(0, 1).then(() => ended || items.messages > WHOLE || items.all(() => ended));
    return () => (ended = true);
  }, [items]);
  const clicked = (event) => {
    if (event.target.closest("a, button, summary, input") || String(getSelection())) return;
    const block = event.target.closest("[data-span]");
    if (block) onPick(block.dataset.span);
  };
  return html`<div class=${`chat ${view.windowed ? "windowed" : ""}`} ref=${box} tabindex="0" role="region" aria-label="Conversation"
    onScroll=${view.scrolled} onClick=${clicked}>
    ${items.error && html`<${Problem} error=${items.error} retry=${() => items.want(0, 1)} />`}
    ${items.total === null && html`<${Spinner} />`}
    ${items.total === 0 && !items.error && (empty ?? html`<${Empty} title="No conversation"><p>No span of this trace has messages.</p><//>`)}
    <div class="chat-blocks" style=${{ paddingTop: `${view.above}px`, paddingBottom: `${view.below}px` }}>
      ${view.windowed && html`<p class="print-only mut">Only the part that was on the screen is printed; the downloads have everything.</p>`}
      ${range(view.first, view.end).map((index) => html`<div class="block" key=${index} data-index=${index}>
        ${items.at(index) ? html`<${Block} item=${items.at(index)} />` : html`<p class="mut loading">loading …</p>`}
      </div>`)}
    </div>
  </div>`;
}

const range = (first, end) => Array.from({ length: Math.max(0, end - first) }, (_, i) => first + i);

/** What part is drawn, and what keeps its place while heights become known. */
function useView(items, box, onTop) {
  const heights = useRef(null);
  heights.current ??= new Heights(ESTIMATE);
  const anchor = useRef({ index: 0, offset: 0 });
  const cursor = useRef(null); // the block that one went to last
  const wanted = useRef(null); // {index, span}: what is to be in view as soon as it is drawn
  const [part, setPart] = useState([0, 12]);
  const total = items.total ?? 0;
  const windowed = items.messages > WHOLE || total > WHOLE;
  heights.current.resize(total);
  const update = () => {
    const { scrollTop, clientHeight } = box.current;
    const first = heights.current.at(scrollTop - AROUND);
    const end = Math.min(total, heights.current.at(scrollTop + clientHeight + AROUND) + 1);
    setPart((old) => (old[0] === first && old[1] === end ? old : [first, end]));
  };
  const scrolled = () => {
    if (windowed) {
      const index = heights.current.at(box.current.scrollTop);
      anchor.current = { index, offset: box.current.scrollTop - heights.current.top(index) };
      update();
    }
    onTop?.(items.at(windowed ? anchor.current.index : topBlock(box.current)));
  };
  useMeasured({ box, heights: heights.current, anchor, windowed, part, update, version: items.version });
  const visit = (index, span = null) => {
    cursor.current = index;
    wanted.current = { index, span };
    if (windowed) {
      anchor.current = { index, offset: 0 };
      box.current.scrollTop = heights.current.top(index);
      update();
    }
    bringIntoView(box.current, wanted, windowed);
  };
  useLayoutEffect(() => bringIntoView(box.current, wanted, windowed));
  const [first, end] = windowed ? [part[0], Math.min(part[1], total)] : [0, total];
  useEffect(() => {
    if (windowed && end > first) items.want(first, end);
  }, [windowed, first, end, items.version]);
  return {
    ...{ windowed, scrolled, first, end },
    above: windowed ? heights.current.top(first) : 0,
    below: windowed ? heights.current.total - heights.current.top(end) : 0,
    go: (index, span) => visit(index, span),
    step: (by) => {
      if (!total) return undefined;
      const from = cursor.current ?? (windowed ? anchor.current.index : topBlock(box.current)) - 1;
      const index = Math.max(0, Math.min(total - 1, from + by));
      visit(index);
      return items.at(index)?.span_id ?? null;
    },
  };
}

/** Measure what is drawn, and move the view by as much as what is above it has grown. */
function useMeasured({ box, heights, anchor, windowed, part, update, version }) {
  useLayoutEffect(() => {
    if (!windowed) return undefined;
    const blocks = [...box.current.querySelectorAll(".block")];
    const measure = () => {
      const sizes = blocks.filter((b) => b.isConnected && b.querySelector("article, .call-block"))
        .map((b) => [Number(b.dataset.index), b.offsetHeight]);
      if (!heights.measure(sizes)) return;
      const wanted = heights.top(anchor.current.index) + anchor.current.offset;
      box.current.querySelector(".chat-blocks").style.paddingTop = `${heights.top(Number(blocks[0].dataset.index))}px`;
      if (Math.abs(box.current.scrollTop - wanted) >= 1) box.current.scrollTop = wanted;
      update();
    };
    measure();
    const watcher = new ResizeObserver(measure);
    blocks.forEach((block) => watcher.observe(block));
    return () => watcher.disconnect();
  }, [windowed, part[0], part[1], version]);
}

/** Once the wanted block is drawn: to it, and within a long one to the wanted span. */
function bringIntoView(box, wanted, windowed) {
  const block = wanted.current && box.querySelector(`.block[data-index="${wanted.current.index}"]`);
  if (!block) return;
  if (!windowed) block.scrollIntoView({ block: "start" });
  if (block.querySelector(".loading")) return;
  const { span } = wanted.current;
  wanted.current = null;
  const inner = span && block.querySelector(`[data-span="${CSS.escape(span)}"]`);
  if (!inner) return;
  const edge = box.getBoundingClientRect();
  const { top, bottom } = inner.getBoundingClientRect();
  if (top < edge.top || Math.min(bottom, top + 80) > edge.bottom) box.scrollTop += top - edge.top - 40;
}

function topBlock(box) {
  const edge = box.getBoundingClientRect().top + 8;
  const blocks = box.querySelectorAll(".block");
  let low = 0;
  let high = blocks.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (blocks[middle].getBoundingClientRect().bottom > edge) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Mark the blocks of the picked span, without drawing the others again. */
function usePicked(box, picked) {
  useLayoutEffect(() => {
    for (const old of box.current.querySelectorAll(".picked")) {
      if (old.dataset.span !== picked) old.classList.remove("picked");
    }
    if (!picked) return;
    const blocks = box.current.querySelectorAll(`[data-span="${CSS.escape(picked)}"]`);
    for (const block of blocks) block.classList.add("picked");
  });
}
