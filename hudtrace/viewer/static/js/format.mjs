/** How values read. Unknown is "–", never 0. */

export const NONE = "–";
const missing = (value) => value === null || value === undefined;

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** 12345 → "12,345" */
export const number = (value) => (missing(value) ? NONE : whole.format(value));

/** 12345 → "12.3k" */
export function tokens(value) {
  if (missing(value)) return NONE;
  for (const [size, unit] of [[1e9, "B"], [1e6, "M"], [1e3, "k"]]) {
    if (value >= size) return trimmed(value / size) + unit;
  }
  return String(value);
}

function trimmed(value) {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(1).replace(/\.0$/, "");
}

/** Dollars with as many places as tell something; null → "–". */
export function cost(value) {
  if (missing(value)) return NONE;
  if (value === 0) return "$0";
  if (value >= 100) return `$${whole.format(value)}`;
  if (value >= 1) return `$${value.toFixed(2)}`;
  return `$${value.toFixed(value >= 0.01 ? 3 : 4)}`;
}

/** Why there is no cost, for a title. */
export const costReason = (episode) =>
  missing(episode.cost)
    ? `price unknown${episode.model ? ` for ${episode.model}` : ": no model call was seen"}`
    : `$${episode.cost}`;

/** 0.8333 → "0.83" */
export const reward = (value, places = 2) => (missing(value) ? NONE : Number(value).toFixed(places));

/** 0.81 → "81%" */
export const percent = (value) => (missing(value) ? NONE : `${Math.round(value * 100)}%`);

/** Seconds → "850 ms", "7.4 s", "2m 05s", "1h 12m" */
export function duration(seconds) {
  if (missing(seconds)) return NONE;
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${Math.round(seconds * 1e3)} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const [rest, low] = seconds < 3600 ? [60, "s"] : [3600, "m"];
  const high = Math.floor(seconds / rest);
  const part = Math.floor((seconds % rest) / (low === "s" ? 1 : 60));
  return `${high}${low === "s" ? "m" : "h"} ${String(part).padStart(2, "0")}${low}`;
}

/** Nanoseconds (a number or a string) → as `duration`. */
export const durationNs = (ns) => (missing(ns) ? NONE : duration(Number(ns) / 1e9));

/** Bytes → "1.2 MB" */
export function bytes(value) {
  if (missing(value)) return NONE;
  for (const [size, unit] of [[1e9, "GB"], [1e6, "MB"], [1e3, "KB"]]) {
    if (value >= size) return `${trimmed(value / size)} ${unit}`;
  }
  return `${value} B`;
}

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
  if (read === null || typeof read !== "object") return String(value);
  return Object.entries(read)
    .map(([name, each]) => `${name}=${typeof each === "string" ? each : JSON.stringify(each)}`)
    .join(" ");
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
