/** The server's API, `/api/hud/v1`. */

import { useCallback, useEffect, useRef, useState } from "./html.mjs";

const BASE = "/api/hud/v1";

/** What the server said instead of an answer (RFC 9457), or why there was none. */
export class ApiError extends Error {
  constructor(status, title, detail) {
    super(detail || title);
    this.status = status;
    this.title = title;
    this.detail = detail;
  }
}

/** The whole URL of something in the API. */
export const url = (path) => BASE + path;

/**
 * Get *path*, relative to the API, as data.
 * @param {string} path
 * @param {{signal?: AbortSignal}} options
 */
export async function get(path, { signal } = {}) {
  let answer;
  try {
    answer = await fetch(path.startsWith("/api/") ? path : BASE + path, { signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The server does not answer", "Is hudtrace view still running?");
  }
  if (answer.ok) return answer.json();
  const problem = await answer.json().catch(() => ({}));
  throw new ApiError(answer.status, problem.title || answer.statusText, problem.detail);
}

/** A query string of those values that there are, with its question mark. */
export function query(values) {
  const entries = Object.entries(values).filter(([, v]) => v !== null && v !== undefined && v !== "");
  return entries.length ? "?" + new URLSearchParams(entries) : "";
}

const resource = (path) => path && path.split("?", 1)[0];

/**
 * What *path* answers, for a component. Data of another query stays until the new is
 * there; data of another resource does not. null asks for nothing.
 */
export function useGet(path) {
  const [state, setState] = useState({ path: null, data: null, error: null });
  const [turn, setTurn] = useState(0);
  const wanted = useRef(path);
  wanted.current = path;
  useEffect(() => {
    if (path === null) return undefined;
    const abort = new AbortController();
    get(path, { signal: abort.signal }).then(
      (data) => setState({ path, data, error: null }),
      (error) => {
        if (abort.signal.aborted) return;
        setState((old) => ({ path, data: resource(old.path) === resource(path) ? old.data : null, error }));
      },
    );
    return () => abort.abort();
  }, [path, turn]);
  const refresh = useCallback(() => wanted.current !== null && setTurn((n) => n + 1), []);
  const ours = path !== null && resource(state.path) === resource(path);
  return {
    data: ours ? state.data : null,
    error: ours && state.path === path ? state.error : null,
    loading: path !== null && state.path !== path,
    refresh,
  };
}
