/**
 * A column of blocks of any height. Where there are many, only those in view are drawn,
 * with the rest as empty space above and below.
 */

import { useLayoutEffect, useRef, useState } from "../html.mjs";
import { Heights } from "./windowing.mjs";

const AROUND = 500; // pixels above and below the view that are drawn too
const ESTIMATE = 190; // pixels of a block that was not drawn yet

export const range = (first, end) => Array.from({ length: Math.max(0, end - first) }, (_, i) => first + i);

/**
 * The blocks that are drawn, and what keeps its place while their heights become known.
 * @param {{box: {current: Element}, total: number, windowed: boolean, version: any,
 *   onTop?: (index: number) => void}} options
 *   `version` changes when the blocks do; `onTop` hears which is the first in view
 */
export function useBlocks({ box, total, windowed, version, onTop }) {
  const heights = useRef(null);
  heights.current ??= new Heights(ESTIMATE);
  const anchor = useRef({ index: 0, offset: 0 });
  const cursor = useRef(null); // the block that one went to last
  const wanted = useRef(null); // {index, span, placed}: what is to be in view as soon as it is drawn
  const [part, setPart] = useState([0, 12]);
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
    onTop?.(windowed ? anchor.current.index : topBlock(box.current));
  };
  useMeasured({ box, heights: heights.current, anchor, windowed, part, update, version });
  const arrive = () => {
    const goal = wanted.current;
    if (!goal || goal.index >= total) return; // it is still to come
    if (windowed && !goal.placed) {
      goal.placed = true;
      anchor.current = { index: goal.index, offset: 0 };
      box.current.scrollTop = heights.current.top(goal.index);
      update();
    }
    bringIntoView(box.current, wanted, windowed);
  };
  const visit = (index, span = null) => {
    cursor.current = index;
    wanted.current = { index, span, placed: false };
    arrive();
  };
  useLayoutEffect(arrive);
  const [first, end] = windowed ? [part[0], Math.min(part[1], total)] : [0, total];
  return {
    ...{ windowed, scrolled, first, end },
    above: windowed ? heights.current.top(first) : 0,
    below: windowed ? heights.current.total - heights.current.top(end) : 0,
    go: (index, span) => visit(index, span),
    step: (by) => {
      if (!total) return undefined;
      const top = windowed ? anchor.current.index : topBlock(box.current);
      const from = inView(box.current, cursor.current) ? cursor.current : top - (by > 0 ? 1 : 0);
      const index = Math.max(0, Math.min(total - 1, from + by));
      visit(index);
      return index;
    },
  };
}

/** Measure what is drawn, and move the view by as much as what is above it has grown. */
function useMeasured({ box, heights, anchor, windowed, part, update, version }) {
  useLayoutEffect(() => {
    if (!windowed) return undefined;
    const blocks = [...box.current.querySelectorAll(".block")];
    const measure = () => {
      const sizes = blocks.filter((b) => b.isConnected && !b.querySelector(".loading"))
        .map((b) => [Number(b.dataset.index), b.offsetHeight]);
      if (!heights.measure(sizes)) return;
      const wanted = heights.top(anchor.current.index) + anchor.current.offset;
      box.current.querySelector(".blocks").style.paddingTop = `${heights.top(Number(blocks[0].dataset.index))}px`;
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

function inView(box, index) {
  const block = index === null ? null : box.querySelector(`.block[data-index="${index}"]`);
  if (!block) return false;
  const [edge, own] = [box.getBoundingClientRect(), block.getBoundingClientRect()];
  return own.bottom >= edge.top && own.top <= edge.bottom;
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

