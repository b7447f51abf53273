/**
 * From time to place and back. An axis is a line through knots `[time, place]`, both
 * rising, places from 0 to 1: real time, time without its idle parts, or turns.
 *
 * @typedef {{knots: [number, number][], breaks: {from: number, to: number}[]}} Axis
 */

import { endOf } from "./spans.mjs";

const IDLE_SHARE = 0.1; // of the whole, from which on a pause is squeezed
const IDLE_WIDTH = 0.03; // of the axis, for each squeezed pause

/** Where *time* is on the axis. */
export function placeOf(axis, time) {
  return along(axis.knots, time, 0, 1);
}

/** Which time is at *place*. */
export function timeAt(axis, place) {
  return along(axis.knots, place, 1, 0);
}

function along(knots, value, from, to) {
  let low = 0;
  let high = knots.length - 1;
  if (value <= knots[0][from]) return knots[0][to];
  if (value >= knots[high][from]) return knots[high][to];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (knots[middle][from] <= value) low = middle;
    else high = middle;
  }
  const [a, b] = [knots[low], knots[high]];
  const width = b[from] - a[from];
  return width ? a[to] + ((value - a[from]) / width) * (b[to] - a[to]) : a[to];
}

/** Real time; *squeeze* takes the long pauses out. @returns {Axis} */
export function timeAxis(spans, start, end, now, squeeze = true) {
  const last = Math.max(end, start + 1);
  const breaks = squeeze ? idle(spans, start, last, now) : [];
  const paused = breaks.reduce((sum, gap) => sum + gap.to - gap.from, 0);
  const unit = (1 - breaks.length * IDLE_WIDTH) / Math.max(1, last - start - paused);
  const knots = [[start, 0]];
  for (const { from, to } of breaks) {
    const [time, place] = knots.at(-1);
    const reached = place + (from - time) * unit;
    knots.push([from, reached], [to, reached + IDLE_WIDTH]);
  }
  knots.push([last, 1]);
  return { knots, breaks };
}

/** Where no span that has no child runs, for a large part of the whole. */
function idle(spans, start, end, now) {
  const parents = new Set(spans.map((span) => span.parent));
  const leaves = spans.filter((span) => !parents.has(span.id));
  leaves.sort((a, b) => a.start - b.start);
  const found = [];
  let reached = start;
  for (const span of leaves) {
    if (span.start - reached > (end - start) * IDLE_SHARE) {
      found.push({ from: reached, to: span.start });
    }
    reached = Math.max(reached, endOf(span, now));
  }
  return found;
}

/** The same width for each turn, and one each for what is before and after. */
export function turnAxis(starts, start, end) {
  const inside = starts.filter((at) => at > start && at < end);
  const knots = [start, ...inside, Math.max(end, start + 1)];
  const width = knots.length - 1;
  return { knots: knots.map((at, i) => [at, i / width]), breaks: [] };
}

/** Times for grid lines in the part from *low* to *high*, at round distances. */
export function ticks(axis, low, high, wanted = 6) {
  if (axis.breaks.length) return evenly(axis, low, high, wanted);
  const [from, to] = [timeAt(axis, low), timeAt(axis, high)];
  const step = roundStep((to - from) / wanted);
  const found = [];
  for (let at = Math.ceil(from / step) * step; at <= to && found.length < 20; at += step) {
    found.push({ time: at, place: (placeOf(axis, at) - low) / (high - low) });
  }
  return apart(found);
}

/** Without those that would be written over each other, or over the edge. */
function apart(found) {
  let last = -1;
  return found.filter(({ place }) => {
    if (place - last < 0.1 || place > 0.94) return false;
    last = place;
    return true;
  });
}

function evenly(axis, low, high, wanted) {
  return Array.from({ length: wanted }, (_, i) => {
    const place = i / wanted;
    return { time: timeAt(axis, low + place * (high - low)), place };
  });
}

function roundStep(rough) {
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= rough) ?? power;
}

/** The part of the axis that is looked at, after moving or zooming round *centre*. */
export function moved([low, high], { by = 0, zoom = 1, centre = (low + high) / 2 }) {
  const width = Math.min(1, Math.max(1e-7, (high - low) * zoom));
  const left = centre - ((centre - low) / (high - low)) * width + by * width;
  const start = Math.min(Math.max(0, left), 1 - width);
  return [start, start + width];
}
