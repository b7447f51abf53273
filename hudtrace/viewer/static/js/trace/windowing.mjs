/** Which part of a long list is on the page. */

import { useCallback, useLayoutEffect, useState } from "../html.mjs";

/**
 * The rows of a list of equal heights that are in view of the element *ref*, with
 * some around them: `[first, end]`.
 */
export function useWindow(ref, count, height, around = 8) {
  const [part, setPart] = useState([0, 40]);
  const update = useCallback(() => {
    const element = ref.current;
    if (!element) return;
    const first = Math.max(0, Math.floor(element.scrollTop / height) - around);
    const shown = Math.ceil(element.clientHeight / height) + 2 * around;
    setPart((old) => (old[0] === first && old[1] === first + shown ? old : [first, first + shown]));
  }, [height]);
  useLayoutEffect(() => {
    update();
    const watcher = new ResizeObserver(update);
    if (ref.current) watcher.observe(ref.current);
    return () => watcher.disconnect();
  }, [count, update]);
  return [part[0], Math.min(part[1], count), update];
}

/** Scroll the element so that row *index* is in view, if it is not. */
export function showRow(element, index, height, header = 0) {
  if (!element || index < 0) return;
  const top = index * height;
  const room = element.clientHeight - header - height;
  if (top < element.scrollTop) element.scrollTop = Math.max(0, top - height);
  else if (top > element.scrollTop + room) element.scrollTop = top - room + height;
}

/** Heights of blocks that are known only once they are drawn. */
export class Heights {
  constructor(estimate) {
    this.estimate = estimate;
    this.known = new Map();
    this.tops = new Float64Array(1);
  }

  /** Take as many blocks as there are. */
  resize(count) {
    if (count + 1 === this.tops.length) return;
    this.tops = new Float64Array(count + 1);
    this.#add();
  }

  /** Note what was measured; returns whether anything is new. */
  measure(heights) {
    let changed = false;
    for (const [index, height] of heights) {
      if (this.known.get(index) === height) continue;
      this.known.set(index, height);
      changed = true;
    }
    if (changed) this.#add();
    return changed;
  }

  /** Forget everything, as after a change of width. */
  forget() {
    this.known.clear();
    this.#add();
  }

  get total() {
    return this.tops[this.tops.length - 1];
  }

  top(index) {
    return this.tops[Math.max(0, Math.min(index, this.tops.length - 1))];
  }

  /** The block that *y* is in. */
  at(y) {
    let low = 0;
    let high = Math.max(0, this.tops.length - 2);
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.tops[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #add() {
    for (let i = 0; i + 1 < this.tops.length; i++) {
      this.tops[i + 1] = this.tops[i] + (this.known.get(i) ?? this.estimate);
    }
  }
}
