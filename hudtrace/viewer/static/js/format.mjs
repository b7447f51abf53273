/** How values read. Unknown is "–", never 0. */

export const NONE = "–";

const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/;
const ALL_HIDDEN = new RegExp(HIDDEN, "g");

/** Text from data, in which what is not to be seen can be: `\x1b`, and what turns its direction. */
export function visible(text) {
  if (typeof text !== "string" || !HIDDEN.test(text)) return text;
  return text.replaceAll("\r\n", "\n").replace(ALL_HIDDEN, (c) => {
    const code = c.charCodeAt(0).toString(16);
    return code.length > 2 ? `\\u${code.padStart(4, "0")}` : `\\x${code.padStart(2, "0")}`;
  });
}

const missing = (value) => value === null || value === undefined;

/** 12345 → "12,345"; without `Intl`, which takes 20 ms to be there. */
const whole = (value) => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");

/** 12345 → "12,345" */
export const number = (value) => (missing(value) ? NONE : whole(value));

/** 12345 → "12.3k" */
export const tokens = (value) => (missing(value) ? NONE : scaled(value, ["", "k", "M", "B"]));

/** In the first of the units, each 1000 of the one before, that needs no fourth digit. */
function scaled(value, units) {
  for (const [i, unit] of units.entries()) {
    const text = trimmed(value / 1000 ** i);
    if (Number(text) < 1000 || i === units.length - 1) return text + unit;
  }
}

function trimmed(value) {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(1).replace(/\.0$/, "");
}

/** With more places than those wanted where it would read as an edge that it is not. */
function apart(value, places, edges) {
  let text;
  for (let more = places; more <= 6; more++) {
    text = value.toFixed(more);
    if (Number(text) === value || !edges.includes(Number(text))) return text;
  }
  const edge = Number(text) + 0;
  return `${value > edge ? ">" : "<"}${edge}`;
}

/** Dollars with as many places as tell something; null → "–". */
export function cost(value) {
  if (missing(value)) return NONE;
  if (value === 0) return "$0";
  if (value < 1e-6) return "<$0.000001";
  if (value < 0.001) return `$${value.toFixed(1 - Math.floor(Math.log10(value)))}`;
  if (value >= 99.995) return `$${whole(value)}`;
  if (value >= 0.9995) return `$${value.toFixed(2)}`;
  return `$${value.toFixed(value >= 0.00995 ? 3 : 4)}`;
}

/** Seconds that it took, or has been running. */
export function elapsed({ state, seconds, started }) {
  return state === "running" && started ? Math.max(0, Date.now() / 1000 - Number(started) / 1e9) : seconds;
}

/** Why there is no cost, for a title. */
export const costReason = (episode) =>
  missing(episode.cost)
    ? `price unknown${episode.model ? ` for ${episode.model}` : ": no model call was seen"}`
    : `$${episode.cost}`;

/** 0.8333 → "0.83"; 0.9999 is not 1, and 0.0001 not 0 */
export const reward = (value, places = 2) => (missing(value) ? NONE : apart(Number(value), places, [0, 1]));

/** 0.81 → "81%"; 0.997 is not all of it */
export const percent = (value) => (missing(value) ? NONE : `${apart(value * 100, 0, [0, 100])}%`);

/** Seconds → "850 ms", "7.4 s", "2m 05s", "1h 12m" */
export function duration(seconds) {
  if (missing(seconds)) return NONE;
  if (Math.round(seconds * 1e6) < 1000) return `${Math.round(seconds * 1e6)} µs`;
  if (Math.round(seconds * 1e3) < 1000) return `${Math.round(seconds * 1e3)} ms`;
  if (Number(seconds.toFixed(1)) < 10) return `${seconds.toFixed(1)} s`;
  const full = Math.round(seconds);
  if (full < 60) return `${full} s`;
  if (full < 3600) return `${Math.floor(full / 60)}m ${two(full % 60)}s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)}h ${two(minutes % 60)}m`;
}

/** Nanoseconds (a number or a string) → as `duration`. */
export const durationNs = (ns) => (missing(ns) ? NONE : duration(Number(ns) / 1e9));

/** Bytes → "1.2 MB" */
export const bytes = (value) => (missing(value) ? NONE : scaled(value, [" B", " KB", " MB", " GB"]));

const dateOf = (ns) => new Date(Number(BigInt(ns) / 1000000n));
const two = (n) => String(n).padStart(2, "0");

/** Nanoseconds as a string → local "14:03:07", with the date unless it is today. */
export function clock(ns) {
  if (missing(ns)) return NONE;
  const date = dateOf(ns);
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  if (date.toDateString() === new Date().toDateString()) return time;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}

/** The same in UTC, for a title. */
export const utc = (ns) =>
  missing(ns) ? "" : dateOf(ns).toISOString().replace("T", " ").replace("Z", " UTC");

/** Nanoseconds as a string → "5m ago"; only for lists. */
export function ago(ns, now = Date.now()) {
  if (missing(ns)) return NONE;
  const seconds = (now - dateOf(ns).getTime()) / 1000;
  if (seconds < 5) return "now";
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "m"]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)}${unit} ago`;
  }
  return `${Math.floor(seconds)}s ago`;
}

/** The beginning of an id, as commands take it. */
export const shortId = (id) => (id ?? "").slice(0, 8);

/** Arguments as they are read in a row: `company=HUD words=3` */
export function args(value) {
  if (missing(value)) return "";
  const read = typeof value === "string" ? parsed(value) : value;
  if (read === null || typeof read !== "object") return visible(String(value));
  return visible(Object.entries(read)
    .map(([name, each]) => `${name}=${typeof each === "string" ? each : JSON.stringify(each)}`)
    .join(" "));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // it was cut
  }
}

/** "1 episode", "2 episodes" */
export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;
