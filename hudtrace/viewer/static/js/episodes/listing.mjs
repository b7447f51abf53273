/**
 * The episodes that a filter leaves, in pages of a hundred as they come into sight.
 * What is seen keeps its order while it is held; what has come since is counted.
 */

import { get, query } from "../api.mjs";
import { useEffect, useReducer, useRef } from "../html.mjs";
import { useLive } from "../live.mjs";

const PAGE = 100;
const SETTLES = 60; // ms that a scroll position must last to be worth a request
const INDEXING = 2000; // ms between two looks while the index is not complete
const BETWEEN = 1000; // ms between two looks at what has changed

class Listing {
  constructor(q, sort, base = "") {
    Object.assign(this, { q, sort, base });
    this.pages = new Map();
    this.asked = new Set();
    this.abort = new AbortController();
    this.head = null;
    this.total = 0;
    this.fresh = 0;
    this.changed = () => {};
  }

  fetch(offset) {
    const q = [this.base, this.q].filter(Boolean).join(" ");
    const path = `/episodes${query({ q, sort: this.sort, offset: offset || null, limit: PAGE })}`;
    return get(path, { signal: this.abort.signal });
  }

  async load() {
    this.accept(await this.fetch(0));
    return this;
  }

  accept(head) {
    this.head = head;
    this.total = head.total;
    this.fresh = 0;
    this.pages.clear();
    this.asked.clear();
    this.pages.set(0, head.rows);
  }

  row(index) {
    return this.pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  /** See to it that rows [from, to) come. */
  need(from, to) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      for (let page = Math.floor(from / PAGE); page * PAGE < Math.min(to, this.total); page++) this.ask(page);
    }, SETTLES);
  }

  async ask(page) {
    if (this.pages.has(page) || this.asked.has(page)) return;
    this.asked.add(page);
    const before = this.sort === "-started" ? this.fresh : 0; // what has come since
    try {
      this.pages.set(page, (await this.fetch(page * PAGE + before)).rows);
      this.changed();
    } catch {
      // it is asked for again when it is next in sight
    } finally {
      this.asked.delete(page);
    }
  }

  /** Look again: all anew, or, where the order is *held*, the same rows as they are now. */
  async look(held, touched) {
    const head = await this.fetch(0);
    if (!held) {
      this.accept(head);
      return;
    }
    this.fresh = Math.max(0, head.total - this.total);
    this.head = { ...this.head, summary: head.summary, lag: head.lag };
    this.patch(head.rows);
    const ids = this.seen(touched).filter((id) => !head.rows.some((row) => row.trace_id === id));
    if (ids.length) this.patch((await get(`/episodes${query({ q: `trace:${ids.join(",")}`, limit: PAGE })}`)).rows);
  }

  seen(ids) {
    const rows = [...this.pages.values()].flat();
    return ids.filter((id) => rows.some((row) => row.trace_id === id)).slice(0, 50);
  }

  patch(rows) {
    const now = new Map(rows.map((row) => [row.trace_id, row]));
    for (const [page, old] of this.pages) {
      if (old.some((row) => now.has(row.trace_id))) {
        this.pages.set(page, old.map((row) => now.get(row.trace_id) ?? row));
      }
    }
  }

  close() {
    this.abort.abort();
    clearTimeout(this.timer);
    this.changed = () => {};
  }
}

/** Call `look` soon after what has changed, and not too often. */
function useLooks(look) {
  const state = useRef({ touched: new Set(), timer: 0, busy: false });
  const soon = () => {
    const now = state.current;
    if (now.timer || now.busy) return;
    now.timer = setTimeout(async () => {
      const touched = [...now.touched];
      now.touched.clear();
      now.timer = 0;
      now.busy = true;
      await look(touched);
      now.busy = false;
      if (now.touched.size) soon();
    }, BETWEEN);
  };
  useLive((change) => {
    change.traces.forEach(({ id }) => state.current.touched.add(id));
    if (change.more) state.current.touched.add("");
    if (state.current.touched.size) soon();
  });
  useEffect(() => () => clearTimeout(state.current.timer), []);
}

/**
 * @param {string} q the filter
 * @param {string} sort
 * @param {() => boolean} isHeld whether rows must stay where they are
 * @param {string} base a filter that is always there
 */
export function useListing(q, sort, isHeld, base = "") {
  const [, changed] = useReducer((n) => n + 1, 0);
  const state = useRef({ shown: null, error: null, wrong: [], loading: true }).current;
  const [again, retry] = useReducer((n) => n + 1, 0);
  const wanted = [base, q, sort].join("\n");
  useEffect(() => {
    const next = new Listing(q, sort, base);
    Object.assign(state, { loading: true, asked: wanted });
    changed();
    next.load().then(
      () => {
        const wrong = placed(next.head.filter.errors, base);
        Object.assign(state, { error: null, wrong, loading: false });
        if (!wrong.length || !state.shown) show(state, next, changed);
        changed();
      },
      (error) => {
        if (next.abort.signal.aborted) return;
        Object.assign(state, { error, loading: false });
        changed();
      },
    );
    return () => next !== state.shown && next.close();
  }, [q, sort, base, again]);
  useEffect(() => () => state.shown?.close(), []);
  const look = async (held, touched = []) => {
    const { shown } = state;
    if (!shown) return void retry();
    await shown.look(held, touched).catch(() => {});
    changed();
  };
  useLooks((touched) => look(isHeld(), touched));
  const behind = state.shown?.head.lag > 0;
  useEffect(() => {
    if (!behind) return undefined;
    const timer = setInterval(() => look(isHeld()), INDEXING);
    return () => clearInterval(timer);
  }, [behind]);
  const loading = state.loading || state.asked !== wanted;
  return { ...state, loading, listing: state.shown, retry, renew: () => look(false) };
}

/** What is wrong, counted from where the visible filter begins. */
function placed(errors, base) {
  const before = base ? base.length + 1 : 0;
  return errors.map((error) => ({ ...error, start: error.start - before, end: error.end - before }));
}

function show(state, next, changed) {
  state.shown?.close();
  state.shown = next;
  next.changed = changed;
}
