/** Lists that come in pages, each with the cursor of the next. */

import { get, query } from "./api.mjs";
import { useCallback, useEffect, useReducer, useRef } from "./html.mjs";
import { recall, remember } from "./router.mjs";

/**
 * @param {string|null} path of the list; null asks for nothing
 * @param {object} parameters of the query
 * @param {string} field in which the answer has its rows
 */
export function usePaged(path, parameters, field = "rows") {
  const [, changed] = useReducer((n) => n + 1, 0);
  const [turn, refresh] = useReducer((n) => n + 1, 0);
  const wanted = path && path + query({ limit: 100, ...parameters });
  const state = useRef({ rows: null, first: null, cursor: null, error: null, busy: false }).current;
  const current = useRef(wanted);
  current.current = wanted;
  const load = useCallback(async (address, cursor) => {
    state.busy = true;
    changed();
    try {
      const answer = await get(cursor ? `${address}&cursor=${encodeURIComponent(cursor)}` : address);
      if (current.current !== address) return;
      state.rows = cursor ? [...state.rows, ...answer[field]] : answer[field];
      Object.assign(state, { cursor: answer.cursor ?? null, error: null, busy: false });
      if (!cursor) state.first = answer;
    } catch (error) {
      if (current.current === address) Object.assign(state, { error, busy: false });
    }
    changed();
  }, []);
  useEffect(() => {
    if (wanted) load(wanted, null);
    else Object.assign(state, { rows: null, first: null, cursor: null, error: null, busy: false });
  }, [wanted, turn]);
  const more = () => state.cursor && !state.busy && load(current.current, state.cursor);
  return { ...state, more, refresh };
}

/**
 * The selected row of such a list, kept by its id: through going back, and when rows
 * have come before it.
 * @returns {[number|null, (index: number|null) => void]}
 */
export function useRow({ rows, cursor, more }, name, idOf) {
  const kept = useRef(recall(name) ?? {});
  const [, changed] = useReducer((n) => n + 1, 0);
  const { id, index } = kept.current;
  const at = rows && id !== undefined ? rows.findIndex((row) => idOf(row) === id) : -1;
  useEffect(() => {
    if (at < 0 && id !== undefined && cursor && rows.length <= index + 200) more();
  }, [rows]);
  const select = (to) => {
    kept.current = to === null || !rows?.[to] ? {} : { id: idOf(rows[to]), index: to };
    remember(name, kept.current);
    changed();
  };
  return [at < 0 ? null : at, select];
}
