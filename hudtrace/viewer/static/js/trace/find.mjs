/** Finding in the whole episode, also in what is not on the page yet. */

import { html, useEffect, useLayoutEffect, useMemo, useState } from "../html.mjs";
import { number } from "../format.mjs";
import { titleOf } from "./spans.mjs";
import { occurrences } from "./words.mjs";

const MOST = 10_000;

/** Where *needle* is in the conversation as far as it is known: [{index, nth}]. */
export function hitsInItems(items, needle) {
  const hits = [];
  for (const item of items) {
    const n = occurrences(item, needle);
    for (let nth = 0; nth < n && hits.length < MOST; nth++) hits.push({ index: item.index, nth });
  }
  return hits;
}

/** The spans that *needle* is in the name or the id of. */
export function hitsInSpans(spans, needle) {
  const has = (span) => `${span.name} ${titleOf(span)} ${span.id}`.toLowerCase().includes(needle);
  return spans.filter(has).map((span) => ({ span: span.id }));
}

/**
 * The hits of what is searched for, and which of them one is at.
 * @param {{needle: string, items: any, spans: any[], inSpans: boolean, onHit: Function}} options
 */
export function useFind({ needle, items, spans, inSpans, onHit }) {
  const [at, setAt] = useState(-1);
  useEffect(() => {
    setAt(-1);
    if (!needle || inSpans) return undefined;
    let ended = false;
    items.all(() => ended);
    return () => (ended = true);
  }, [needle, inSpans, items]);
  const hits = useMemo(() => {
    if (!needle) return [];
    return inSpans ? hitsInSpans(spans, needle) : hitsInItems(items.known(), needle);
  }, [needle, inSpans, inSpans ? spans : items.version]);
  const go = (step) => {
    if (!hits.length) return;
    const next = at < 0 ? (step > 0 ? 0 : hits.length - 1) : (at + step + hits.length) % hits.length;
    setAt(next);
    onHit(hits[next]);
  };
  const first = hits.length > 0 && at < 0;
  useEffect(() => {
    if (first) go(1);
  }, [first]);
  const complete = inSpans || items.complete;
  const cut = needle && complete && !inSpans ? items.cut().length : 0;
  return { hits, at: Math.min(at, hits.length - 1), hit: hits[at] ?? null, go, complete, cut, uncut: () => items.uncut() };
}

/**
 * Always there, so that what is typed after `/` goes nowhere else.
 * @param {{text: string, find: any, field: any, onText: Function, onClose: Function}} props
 */
export function FindBar({ text, find, field, onText, onClose }) {
  const keyed = (event) => {
    if (event.key === "Enter") find.go(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") {
      field.current.blur();
      onClose();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`<div class="find-bar" role="search">
    ${text && html`<${Found} find=${find} />`}
    <input ref=${field} type="search" aria-label="Find in the episode" placeholder="Find  /" value=${text}
      onInput=${(e) => onText(e.target.value)} onKeyDown=${keyed} />
  </div>`;
}

function Found({ find }) {
  const total = `${number(find.hits.length)}${find.hits.length >= MOST ? "+" : ""}${find.complete ? "" : "…"}`;
  const none = find.complete ? "not found" : "looking …";
  return html`<span class="mut num" role="status">${find.hits.length ? `${number(find.at + 1)} of ${total}` : none}</span>
    ${find.cut > 0 && html`<${Cut} find=${find} />`}
    <button type="button" class="quiet" aria-label="Previous hit" title="Shift+Enter" onClick=${() => find.go(-1)}>▴</button>
    <button type="button" class="quiet" aria-label="Next hit" title="Enter" onClick=${() => find.go(1)}>▾</button>`;
}

/** What was not looked at, since only its beginning is here. */
function Cut({ find }) {
  const [said, say] = useState("");
  const look = () => {
    say("fetching …");
    find.uncut().then(() => say(""), (error) => say(error.message));
  };
  const texts = find.cut === 1 ? "a long text" : `${number(find.cut)} long texts`;
  return html`<button type="button" class="quiet" title="Only their beginnings are here" disabled=${said === "fetching …"}
    onClick=${look}>${said || `look in the rest of ${texts}`}</button>`;
}

/** Mark every hit that is drawn, and the one that one is at; no node is added. */
function highlight(box, needle, hit) {
  if (!globalThis.CSS?.highlights) return null;
  CSS.highlights.delete("found");
  CSS.highlights.delete("found-here");
  if (!box || !needle) return null;
  const ranges = [...box.querySelectorAll(".said, .markdown")].flatMap((element) => rangesIn(element, needle));
  CSS.highlights.set("found", new Highlight(...ranges));
  const block = hit && box.querySelector(`.block[data-index="${hit.index}"]`);
  const inside = block ? ranges.filter((range) => block.contains(range.startContainer)) : [];
  const here = inside[Math.min(hit?.nth ?? 0, inside.length - 1)] ?? null;
  if (here) CSS.highlights.set("found-here", new Highlight(here));
  return here;
}

function rangesIn(element, needle) {
  const found = [];
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.data.toLowerCase();
    for (let at = text.indexOf(needle); at >= 0 && found.length < 500; at = text.indexOf(needle, at + needle.length)) {
      const range = new Range();
      range.setStart(node, at);
      range.setEnd(node, at + needle.length);
      found.push(range);
    }
  }
  return found;
}

/** Mark the hits after each drawing, and bring the one that one is at into view, once. */
export function useHighlight(box, needle, hit, view) {
  useLayoutEffect(() => {
    const here = highlight(box.current, needle, hit);
    const pane = here?.startContainer.parentElement.closest(".chat");
    if (!here || !pane || pane.dataset.hit === `${needle}/${hit.index}/${hit.nth}`) return;
    pane.dataset.hit = `${needle}/${hit.index}/${hit.nth}`;
    const { top, bottom } = here.getBoundingClientRect();
    const edge = pane.getBoundingClientRect();
    if (top < edge.top + 40 || bottom > edge.bottom - 40) pane.scrollTop += top - edge.top - edge.height / 3;
  });
  useEffect(() => () => highlight(null, ""), [view]);
}
