/**
 * Spans as a tree, and the tree as rows. Everything is linear in the spans.
 *
 * @typedef {import("./spans.mjs").Span} Span
 * @typedef {{
 *   byId: Map<string, Span>, children: Map<string, Span[]>, roots: Span[],
 *   orphans: number, start: number
 * }} Tree
 * @typedef {{span: Span, level: number, kids: number, open: boolean}} Row
 */

import { ERROR, endOf } from "./spans.mjs";

/** The row that stands over spans whose parent has not been received. */
export const ORPHANS = "orphans";

/** @param {Span[]} spans @returns {Tree} */
export function buildTree(spans) {
  const byId = new Map(spans.map((span) => [span.id, span]));
  const children = new Map();
  const roots = [];
  const lost = [];
  for (const span of spans) {
    if (!span.parent) roots.push(span);
    else if (byId.has(span.parent)) append(children, span.parent, span);
    else lost.push(span);
  }
  for (const span of circular(spans, roots, lost, children)) lost.push(span);
  const tree = { byId, children, roots, orphans: lost.length, start: earliest(spans) };
  if (lost.length && roots.length) adopt(tree, lost);
  else for (const span of lost) roots.push(span);
  for (const siblings of children.values()) siblings.sort(byStart);
  roots.sort(byStart);
  return tree;
}

const byStart = (a, b) => a.start - b.start;

function append(map, key, value) {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

function earliest(spans) {
  return spans.reduce((least, span) => Math.min(least, span.start), Infinity);
}

/** Spans that no root leads to: their parents go round in a circle. */
function circular(spans, roots, lost, children) {
  const reached = new Set();
  const waiting = [...roots, ...lost];
  while (waiting.length) {
    const span = waiting.pop();
    reached.add(span.id);
    for (const child of children.get(span.id) ?? []) waiting.push(child);
  }
  if (reached.size === spans.length) return [];
  const rest = spans.filter((span) => !reached.has(span.id));
  for (const span of rest) children.delete(span.id);
  return rest;
}

function adopt(tree, lost) {
  const span = {
    ...{ id: ORPHANS, parent: null, kind: "other", status: 0, state: "done" },
    ...{ turn: null, label: "", tokens: null, start: earliest(lost), duration: 0 },
    name: `${lost.length} without their parent, which was not received`,
  };
  tree.byId.set(ORPHANS, span);
  tree.children.set(ORPHANS, lost);
  tree.roots.push(span);
}

/**
 * The tree in the order it is read.
 * @param {Tree} tree @param {Set<string>} collapsed
 * @param {Set<string>|null} keep only these, if it is a set
 * @returns {Row[]}
 */
export function flatten(tree, collapsed, keep = null) {
  const rows = [];
  const waiting = tree.roots.map((span) => ({ span, level: 1 })).reverse();
  while (waiting.length) {
    const { span, level } = waiting.pop();
    if (keep && !keep.has(span.id)) continue;
    const kids = tree.children.get(span.id) ?? [];
    const open = kids.length > 0 && !collapsed.has(span.id);
    rows.push({ span, level, kids: kids.length, open });
    if (!open) continue;
    for (let i = kids.length - 1; i >= 0; i--) waiting.push({ span: kids[i], level: level + 1 });
  }
  return rows;
}

/** The ids of the spans above one, nearest first. */
export function ancestors(tree, id) {
  const found = [];
  let span = tree.byId.get(id);
  while (span?.parent && !found.includes(span.parent)) {
    found.push(span.parent);
    span = tree.byId.get(span.parent);
  }
  if (tree.children.get(ORPHANS)?.some((lost) => lost.id === (found.at(-1) ?? id))) {
    found.push(ORPHANS);
  }
  return found;
}

/** The spans that *wanted* says yes to, with all that stand above them. */
export function withAncestors(tree, wanted) {
  const keep = new Set();
  for (const span of tree.byId.values()) {
    if (!wanted(span)) continue;
    let at = span;
    while (at && !keep.has(at.id)) {
      keep.add(at.id);
      at = tree.byId.get(at.parent);
    }
  }
  if (tree.children.get(ORPHANS)?.some((span) => keep.has(span.id))) keep.add(ORPHANS);
  return keep;
}

/** What the filter chips say: any of the kinds that are named. */
export function kindFilter(names) {
  const tests = {
    errors: (span) => span.status === ERROR || span.state === "interrupted",
    tools: (span) => span.kind === "tool",
    models: (span) => span.kind === "model",
  };
  const chosen = names.map((name) => tests[name]).filter(Boolean);
  return (span) => chosen.some((test) => test(span));
}

/**
 * The spans that the trace waited for: from its end backwards, always the child that
 * ended last before the time reached.
 */
export function criticalPath(tree, now) {
  const marked = new Set();
  const waiting = tree.roots.filter((span) => span.id !== ORPHANS).slice(0, 1);
  while (waiting.length) {
    const span = waiting.pop();
    marked.add(span.id);
    let reached = endOf(span, now);
    const kids = [...(tree.children.get(span.id) ?? [])];
    kids.sort((a, b) => endOf(b, now) - endOf(a, now));
    for (const kid of kids) {
      if (endOf(kid, now) > reached) continue;
      waiting.push(kid);
      reached = kid.start;
    }
  }
  return marked;
}
