/**
 * The conversation of a trace, page by page: what is in view is fetched, what was
 * fetched stays, and a span or a message is found without fetching what lies between.
 *
 * @typedef {{kind: string, index: number, span_id: string, [name: string]: any}} Item
 */

import { isCut, wholeOf } from "./whole.mjs";

const PAGE = 50;
const AT_ONCE = 3; // a browser has six connections to a server, and one of them is live

export class Items {
  /** @param {(from: number, limit: number) => Promise<any>} load */
  constructor(load) {
    this.load = load;
    this.total = null;
    this.messages = 0;
    this.calls = 0;
    this.pages = new Map(); // number → items
    this.underway = new Map(); // number → promise
    this.watchers = new Set();
    this.error = null;
    this.version = 0;
  }

  watch(callback) {
    this.watchers.add(callback);
    return () => this.watchers.delete(callback);
  }

  /** @returns {Item|undefined} */
  at(index) {
    return this.pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  /** Every item that has been fetched, in order. */
  *known() {
    const numbers = [...this.pages.keys()].sort((a, b) => a - b);
    for (const number of numbers) yield* this.pages.get(number);
  }

  get complete() {
    return this.total !== null && this.pages.size >= Math.ceil(this.total / PAGE);
  }

  /** Fetch what is missing of the items from *first* up to *end*. */
  want(first, end) {
    const last = this.total === null ? first : Math.min(end, this.total) - 1;
    const fetched = [];
    for (let n = Math.floor(first / PAGE); n <= Math.floor(last / PAGE); n++) {
      if (!this.pages.has(n)) fetched.push(this.#fetch(n));
    }
    return Promise.all(fetched);
  }

  /** Fetch everything, some pages at once; *ended* stops it. */
  async all(ended = () => false) {
    await this.want(0, 1);
    let next = 0;
    const work = async () => {
      while (next * PAGE < this.total && !ended()) await this.#fetch(next++);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  /** The texts of which no more than the beginning is here. */
  cut() {
    return [...this.known()].flatMap(partsOf).filter(isCut);
  }

  /** Fetch the rest of each of them; an error of one is an error of all. */
  async uncut() {
    const waiting = this.cut();
    const work = async () => {
      for (let part = waiting.pop(); part; part = waiting.pop()) part.text = await wholeOf(part);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    this.#tell({ error: null });
  }

  /** Fetch again what may have changed: the end, and what was not complete. */
  async refresh() {
    const last = Math.max(-1, ...this.pages.keys());
    const stale = [...this.pages].filter(([n, items]) => n >= last - 1 || changing(items));
    for (const [n] of stale.length ? stale : [[0]]) await this.#fetch(n, true);
    const end = Math.floor((this.total - 1) / PAGE);
    if (last >= 0 && end === last + 1) await this.#fetch(end);
  }

  /**
   * The index of the item that shows a span, or the one just before it in time.
   * @param {string} id @param {bigint} time in unix ns
   * @param {number} share about how much of the conversation is before it, 0 to 1
   */
  async ofSpan(id, time, share) {
    const shown = [...this.known()].find((item) => shows(item, id));
    if (shown) return shown.index;
    const before = (item) => (item.start == null ? null : BigInt(item.start) <= time);
    const near = await this.#bisect(before, share);
    for (let i = near; i >= Math.max(0, near - PAGE); i--) {
      const item = this.at(i);
      if (item && shows(item, id)) return i;
    }
    return near;
  }

  /** The index of the item that has message *n*. */
  ofMessage(n) {
    const before = (item) => {
      const first = item.new?.[0]?.n ?? item.part?.n;
      return first === undefined ? null : first <= n;
    };
    return this.#bisect(before, Math.min(1, n / Math.max(1, this.messages)));
  }

  /** The last item of which *before* is true; null says that an item cannot tell. */
  async #bisect(before, share = this.messages ? 0.5 : 0) {
    await this.want(0, 1);
    let low = 0;
    let high = this.total - 1;
    const guess = Math.round(share * high);
    const guesses = [guess - 2, guess + 2]; // mostly both are on one page
    while (low < high) {
      const middle = Math.min(high, Math.max(low + 1, guesses.shift() ?? Math.ceil((low + high) / 2)));
      await this.want(middle, middle + 1);
      const judged = this.#judge(middle, low, before);
      if (judged === null || judged.yes) low = middle;
      else high = judged.at - 1;
    }
    while (low > 0 && this.at(low) && before(this.at(low)) === null) low -= 1;
    return Math.max(0, low);
  }

  /** What *before* says of the item at *index*, or of the nearest one that can tell. */
  #judge(index, low, before) {
    for (let at = index; at > low; at--) {
      const item = this.at(at);
      const says = item ? before(item) : null;
      if (says !== null) return { yes: says, at };
    }
    return null;
  }

  #fetch(number, again = false) {
    if (this.pages.has(number) && !again) return undefined;
    const underway = this.underway.get(number);
    if (underway && !again) return underway;
    const promise = this.load(number * PAGE, PAGE)
      .then((answer) => this.#take(number, answer))
      .catch((error) => this.#tell({ error }))
      .finally(() => this.underway.delete(number));
    this.underway.set(number, promise);
    return promise;
  }

  #take(number, answer) {
    this.total = answer.total_items;
    this.messages = answer.total_messages;
    this.calls = answer.total_calls;
    this.pages.set(number, answer.items);
    this.#tell({ error: null });
  }

  #tell({ error }) {
    this.error = error;
    if (error && this.total === null) this.total = 0;
    this.version += 1;
    for (const watcher of this.watchers) watcher();
  }
}

/** The parts that an item shows, those of results among them. */
function partsOf(item) {
  const parts = item.kind === "call" ? item.new.flatMap((message) => message.parts) : (item.parts ?? [item.part ?? {}]);
  return parts.flatMap((part) => [part, ...(part.result?.parts ?? [])]);
}

const changing = (items) => items.length < PAGE || items.some((item) => item.state === "running");

/** Whether the item is the span, or has a block for it. */
export function shows(item, id) {
  if (item.kind !== "call") return item.span_id === id || item.part?.span_id === id;
  return item.span_id === id || item.new.some((m) => m.parts.some((p) => p.span_id === id));
}
