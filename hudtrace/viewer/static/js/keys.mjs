/**
 * One table of keys for the whole application. A key belongs to the scope that came
 * last; none is taken with a modifier, from a field that is being written in, or while
 * a dialog is open. Two keys in a row are written "g e".
 */

import { useLayoutEffect, useRef } from "./html.mjs";

/** @type {{name: string, bindings: {current: Binding[]}}[]} */
const scopes = [];
const PAUSE = 1000;
let first = null;
let timer = 0;

/** @typedef {{keys: string[], what: string, run: (event: KeyboardEvent) => void, group?: string}} Binding */

/**
 * Bind keys while the component is there.
 * @param {string} name of the scope, the heading in the help
 * @param {Binding[]} bindings whose `run` may return false: not mine, ask the next
 */
export function useKeys(name, bindings) {
  const latest = useRef(bindings);
  latest.current = bindings;
  useLayoutEffect(() => {
    const scope = { name, bindings: latest };
    scopes.push(scope);
    return () => scopes.splice(scopes.indexOf(scope), 1);
  }, [name]);
}

/** The table as it is now: [scope, bindings], the innermost scope first. */
export function table() {
  const found = new Map();
  for (const { name, bindings } of scopes.toReversed()) {
    found.set(name, [...(found.get(name) ?? []), ...bindings.current]);
  }
  return [...found];
}

const writes = (target) => target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable=true]");
const presses = (target) => target.closest?.("button, a[href], summary, [role=tab]");

function ignored(event) {
  if (event.defaultPrevented || event.isComposing) return true;
  if (event.ctrlKey || event.metaKey || event.altKey) return true;
  if (writes(event.target) || document.querySelector("dialog[open]")) return true;
  return (event.key === "Enter" || event.key === " ") && Boolean(presses(event.target));
}

const all = () => scopes.toReversed().flatMap(({ bindings }) => bindings.current);

function perform(key, event) {
  for (const { keys, run } of all()) {
    if (keys.includes(key) && run(event) !== false) {
      event.preventDefault();
      return true;
    }
  }
  return false;
}

function begins(key) {
  return all().some(({ keys }) => keys.some((each) => each.startsWith(`${key} `)));
}

document.addEventListener("keydown", (event) => {
  if (ignored(event) || event.key === "Shift") return;
  const pair = first && `${first} ${event.key}`;
  first = null;
  clearTimeout(timer);
  if ((pair && perform(pair, event)) || perform(event.key, event)) return;
  if (begins(event.key)) {
    first = event.key;
    timer = setTimeout(() => (first = null), PAUSE);
  }
});
