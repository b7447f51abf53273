/**
 * The conversation. A short one is on the page whole, so that the browser's own search
 * finds everything; of a long one only what is in view, with the rest as empty space.
 */

import { Empty, Problem, Spinner } from "../bits.mjs";
import { recall, remember } from "../router.mjs";
import { html, useEffect, useLayoutEffect, useRef } from "../html.mjs";
import { Block } from "./blocks.mjs";
import { range, useBlocks } from "./blocklist.mjs";

const WHOLE = 400; // messages, up to which all of them are drawn

/**
 * @param {{items: import("./items.mjs").Items, place: {current: any}, picked: string|null,
 *   onPick: (span: string) => void, onTop: (item: any) => void}} props
 *   `place` is given the means to go somewhere: `.go(index, spanOrAnchor)`.
 */
export default function Chat({ items, place, picked, onPick, onTop, empty }) {
  const box = useRef(null);
  const view = useItemBlocks(items, box, onTop);
  place.current = view;
  usePicked(box, picked);
  useEffect(() => {
    let ended = false;
    items.want(0, 1).then(() => ended || items.messages > WHOLE || items.all(() => ended));
    return () => (ended = true);
  }, [items]);
  const clicked = (event) => {
    if (event.target.closest("a, button, summary, input") || String(getSelection())) return;
    const block = event.target.closest("[data-span]");
    if (block) onPick(block.dataset.span);
  };
  return html`<div class=${`chat ${view.windowed ? "windowed" : ""}`} ref=${box} tabindex="0" role="region" aria-label="Conversation"
    onScroll=${view.scrolled} onClick=${clicked}>
    ${items.error && html`<${Problem} error=${items.error} retry=${() => items.want(0, 1)} />`}
    ${items.total === null && html`<${Spinner} />`}
    ${items.total === 0 && !items.error && (empty ?? html`<${Empty} title="No conversation"><p>No span of this trace has messages.</p><//>`)}
    ${items.calls > 0 && items.messages === 0 && html`<${Unrecorded} />`}
    <div class="blocks" style=${{ paddingTop: `${view.above}px`, paddingBottom: `${view.below}px` }}>
      ${view.windowed && html`<p class="print-only mut">Only the part that was on the screen is printed; the downloads have everything.</p>`}
      ${range(view.first, view.end).map((index) => html`<div class="block" key=${index} data-index=${index}>
        ${items.at(index) ? html`<${Block} item=${items.at(index)} />` : html`<p class="mut loading">loading …</p>`}
      </div>`)}
    </div>
  </div>`;
}

/** Going back to the page goes back to where one was, unless the URL says where. */
function usePlace(items, view) {
  const timer = useRef(0);
  const latest = useRef(view);
  latest.current = view;
  useEffect(() => {
    const index = recall("chat");
    const said = location.hash || /[?&]span=/.test(location.search);
    if (index > 0 && !said) items.want(index, index + 1).then(() => latest.current.go(index));
    return () => clearTimeout(timer.current);
  }, [items]);
  return (index) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => remember("chat", index), 250);
  };
}

function Unrecorded() {
  return html`<p class="unrecorded mut" role="note">What was said is not recorded. <code>HUDTRACE_CONTENT=full</code> records it for evals;
    other instrumentations have a switch of their own, such as <code>OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true</code>.</p>`;
}

/** The blocks of the conversation, with what is drawn of them fetched. */
function useItemBlocks(items, box, onTop) {
  const total = items.total ?? 0;
  const windowed = items.messages > WHOLE || total > WHOLE;
  const top = (index) => {
    onTop?.(items.at(index));
    keep(index);
  };
  const view = useBlocks({ box, total, windowed, version: items.version, onTop: top });
  const keep = usePlace(items, view);
  useEffect(() => {
    if (windowed && view.end > view.first) items.want(view.first, view.end);
  }, [windowed, view.first, view.end, items.version]);
  const step = (by) => {
    const index = view.step(by);
    return index === undefined ? undefined : (items.at(index)?.span_id ?? null);
  };
  return { ...view, step };
}

/** Mark the blocks of the picked span, without drawing the others again. */
function usePicked(box, picked) {
  useLayoutEffect(() => {
    for (const old of box.current.querySelectorAll(".picked")) {
      if (old.dataset.span !== picked) old.classList.remove("picked");
    }
    if (!picked) return;
    const blocks = box.current.querySelectorAll(`[data-span="${CSS.escape(picked)}"]`);
    for (const block of blocks) block.classList.add("picked");
  });
}
