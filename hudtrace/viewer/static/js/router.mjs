/**
 * Where we are: the URL holds all state that can be shared, the history entry what
 * only going back needs (the selected row, how far was scrolled).
 */

import { useCallback, useEffect, useMemo, useReducer } from "./html.mjs";

const watchers = new Set();
/** Served as files, or to programs: never taken over. */
const OUTSIDE = /^\/(api|static|v1|jaeger|healthz)(\/|$)|^\/trace\/[^/]+\/\w+$/;

const changed = () => watchers.forEach((watch) => watch());

addEventListener("popstate", changed);
history.scrollRestoration = "manual";

/**
 * Go to *url*, with a new entry in the history or in place of the present one.
 * @param {string} url
 * @param {{replace?: boolean, scroll?: boolean}} options
 */
export function navigate(url, { replace = false, scroll = !replace } = {}) {
  if (replace) history.replaceState(history.state, "", url);
  else history.pushState(null, "", url);
  if (scroll) scrollTo(0, 0);
  changed();
}

/** Draw the component again whenever the URL changes; return it in parts. */
export function useRoute() {
  const [, again] = useReducer((n) => n + 1, 0);
  useEffect(() => {
    watchers.add(again);
    return () => watchers.delete(again);
  }, []);
  const { pathname: path, search, hash } = location;
  const params = useMemo(() => new URLSearchParams(search), [search]);
  return { path, params, search, hash };
}

/**
 * The query of the URL as state: `get(name, fallback)`, and `set({name: value})`
 * where null, undefined and "" take a name away.
 */
export function useQuery() {
  const { params } = useRoute();
  const get = useCallback((name, fallback = null) => params.get(name) ?? fallback, [params]);
  return [get, setQuery];
}

/** Change some names of the URL's query; a new history entry unless *replace*. */
export function setQuery(values, { replace = true } = {}) {
  const next = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === "") next.delete(name);
    else next.set(name, value);
  }
  const text = readable(next);
  const url = location.pathname + (text && "?" + text) + location.hash;
  if (url !== location.pathname + location.search + location.hash) {
    navigate(url, { replace, scroll: false });
  }
}

/** Write a query as people can read it: `reward<1 tool:bash` needs few escapes. */
function readable(params) {
  return params.toString().replace(/%3A/g, ":").replace(/%2C/g, ",").replace(/%2F/g, "/");
}

/** What the present history entry remembers under *name*. */
export const recall = (name) => history.state?.[name];

/** Let the present history entry remember *value*; the URL stays. */
export function remember(name, value) {
  history.replaceState({ ...history.state, [name]: value }, "");
}

function follows(event, link) {
  if (event.defaultPrevented || event.button !== 0) return false;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return false;
  if (link.target || link.hasAttribute("download")) return false;
  if (link.origin !== location.origin || OUTSIDE.test(link.pathname)) return false;
  const here = link.pathname === location.pathname && link.search === location.search;
  return !(here && link.hash); // a place on this page: the browser's own
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || !follows(event, link)) return;
  event.preventDefault();
  navigate(link.pathname + link.search + link.hash);
});
