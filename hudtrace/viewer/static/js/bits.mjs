/** Small parts that pages are made of. */

import { NONE, reward as written, visible } from "./format.mjs";
import { html, useEffect, useRef, useState } from "./html.mjs";
import { Icon } from "./icons.mjs";
import { toast } from "./toasts.mjs";

export { Json } from "./json.mjs";
export { Markdown, Prose } from "./markdown.mjs";
export { Theme, setTheme, theme } from "./theme.mjs";
export { Icon, toast };

/** What has become of an episode, by shape, colour and word. */
export function StatusIcon({ state, outcome, reward, label = false, verdict }) {
  const [icon, tone, words] = judged(status(state, outcome, reward), verdict);
  return html`<span class=${`status ${tone}`} title=${words}>
    <${Icon} name=${icon} /><span class=${label ? "" : "sr"}>${words}</span>
  </span>`;
}

/** What the grader called a reward is said as it was called. */
function judged(found, verdict) {
  if (!verdict || !["ok", "partial", "bad"].includes(found[0])) return found;
  const [icon, tone] = { pass: ["ok", "ok"], fail: ["bad", "bad"] }[verdict] ?? found;
  return [icon, tone, visible(verdict)];
}

/** [icon, tone, words] */
export function status(state, outcome, reward) {
  if (state === "waiting") return ["waiting", "mut", "waiting for spans"];
  if (state === "running") return ["running", "live", "running"];
  if (state === "interrupted") return ["interrupted", "warn", "interrupted"];
  if (outcome && outcome !== "scored" && outcome !== "ok") return ["error", "bad", outcome.replaceAll("_", " ")];
  if (reward === null || reward === undefined) return ["none", "mut", "no reward"];
  if (reward >= 1) return ["ok", "ok", "passed"];
  return reward > 0 ? ["partial", "warn", "partly"] : ["bad", "bad", "failed"];
}

const tone = (value) => (value >= 1 ? "ok" : value > 0 ? "warn" : "bad");

/** A reward; none is said to be none, with *why* as its title. */
export function RewardChip({ value, why, places }) {
  if (value === null || value === undefined) {
    return html`<span class="reward none" title=${why ?? "not scored"}>${NONE}</span>`;
  }
  return html`<span class=${`reward ${tone(value)}`} title=${`reward ${value}${why ? `: ${why}` : ""}`}>${written(value, places)}</span>`;
}

/** Copy *text*, and say so. */
export async function copy(text, what = "copied") {
  try {
    await navigator.clipboard.writeText(text);
    toast(what);
  } catch {
    toast("The browser did not allow to copy", "bad");
  }
}

export function CopyButton({ text, label = "Copy", what, children }) {
  return html`<button class="quiet copy" type="button" title=${label} aria-label=${label}
    onClick=${() => copy(typeof text === "function" ? text() : text, what)}>
    <${Icon} name="copy" />${children}
  </button>`;
}

/** Nothing here: why, and what to do. */
export function Empty({ title, children }) {
  return html`<div class="empty"><h2>${title}</h2>${children}</div>`;
}

/** What went wrong, and a way to try again. */
export function Problem({ error, retry }) {
  const gone = error.status === 0;
  return html`<div class="empty problem" role="alert">
    <h2>${error.title ?? "Something went wrong"}</h2>
    <p>${error.detail ?? error.message}</p>
    ${gone && html`<p class="mut">Start it again with <code>hudtrace view</code>; this page goes on by itself.</p>`}
    ${retry && html`<p><button type="button" onClick=${retry}>Try again</button></p>`}
  </div>`;
}

/** Work in progress; shown only if it takes long enough to be noticed. */
export function Spinner({ label = "loading" }) {
  return html`<div class="spinner" role="status"><span class="sr">${label}</span></div>`;
}

/**
 * Tabs in the URL's way: *items* are {key, label, count?}, *onPick* is told a key.
 */
export function Tabs({ items, picked, onPick, label }) {
  const list = useRef(null);
  const keyed = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = items.findIndex((item) => item.key === picked);
    const next = (at + step + items.length) % items.length;
    onPick(items[next].key);
    list.current.children[next].focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} ref=${list} onKeyDown=${keyed}>
    ${items.map((item) => html`<button key=${item.key} role="tab" type="button" id=${`tab-${item.key}`}
      aria-selected=${item.key === picked} tabindex=${item.key === picked ? 0 : -1}
      onClick=${() => onPick(item.key)}>${item.label}${item.count === undefined ? null : html`<small>${item.count}</small>`}</button>`)}
  </div>`;
}

/** A row of twelve bars: how often each twelfth of 0 to 1 was the reward. */
export function Histogram({ buckets, label }) {
  const most = Math.max(1, ...buckets);
  const words = buckets.map((n, i) => n && `${n} between ${(i / 12).toFixed(2)} and ${((i + 1) / 12).toFixed(2)}`).filter(Boolean).join(", ");
  return html`<svg class="histogram" viewBox="0 0 72 20" role="img" aria-label=${`${label ?? "rewards"}: ${words || "none"}`}>
    <title>${words || "no rewards"}</title>
    ${buckets.map((n, i) => {
      const height = n ? Math.max(2, (n / most) * 20) : 1;
      return html`<rect x=${i * 6} y=${20 - height} width="5" height=${height} class=${n ? (i === 11 ? "ok" : i === 0 ? "bad" : "warn") : "nil"} />`;
    })}
  </svg>`;
}

/** Whether a media query holds, now and when it changes. */
export function useMedia(query) {
  const [holds, setHolds] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query);
    const changed = () => setHolds(media.matches);
    changed();
    media.addEventListener("change", changed);
    return () => media.removeEventListener("change", changed);
  }, [query]);
  return holds;
}
