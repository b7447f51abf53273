/**
 * The filter: a field in which the terms stand out as they are written, what is wrong
 * is underlined and said, and what could come next is offered.
 */

import { Icon } from "../bits.mjs";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../html.mjs";
import { completions, terms } from "./grammar.mjs";

const PAUSE = 300;

/** The text again, behind the field: as pills, and with what is wrong underlined. */
function Behind({ text, errors }) {
  const parts = [];
  let at = 0;
  for (const { start, end, field, negated } of terms(text)) {
    const wrong = errors.some((error) => error.start < end && error.end > start);
    parts.push(text.slice(at, start));
    const kind = wrong ? "wrong" : field ? (negated ? "term not" : "term") : "";
    parts.push(html`<span class=${kind}>${text.slice(start, end)}</span>`);
    at = end;
  }
  return html`<div class="behind" aria-hidden="true">${parts}${text.slice(at)}</div>`;
}

/** Text that changes as it is written, and is told on when the writing pauses. */
function useWriting(q, onChange) {
  const [text, setText] = useState(q);
  const told = useRef(q);
  const timer = useRef(0);
  useEffect(() => {
    if (q === told.current) return;
    told.current = q;
    setText(q);
  }, [q]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const tell = (next, push) => {
    clearTimeout(timer.current);
    told.current = next.trim();
    onChange(told.current, { push });
  };
  const write = (next, { now = false } = {}) => {
    setText(next);
    clearTimeout(timer.current);
    if (now) tell(next, false);
    else timer.current = setTimeout(() => tell(next, false), PAUSE);
  };
  return [text, write, tell];
}

function Offers({ id, offers, at, pick }) {
  return html`<ul class="offers" id=${id} role="listbox" aria-label="What could come next">
    ${offers.map((offer, i) => html`<li key=${offer.label} id=${`${id}-${i}`} role="option" aria-selected=${i === at}
      onMouseDown=${(event) => (event.preventDefault(), pick(offer))}><code>${offer.label}</code><span>${offer.about}</span></li>`)}
  </ul>`;
}

/** The list below the field: what is in it, which is picked, whether it is there. */
function useOffers(text, facets, input) {
  const [caret, setCaret] = useState(null);
  const [at, setAt] = useState(-1);
  const offers = useMemo(() => (caret === null ? [] : completions(text, caret, facets)), [text, caret, facets]);
  const look = () => {
    setCaret(input.current.selectionStart);
    setAt(-1);
  };
  const hide = () => setCaret(null);
  return { offers, at, setAt, look, hide };
}

/**
 * @param {{q: string, errors: {start: number, end: number, message: string}[], facets: any[],
 *   onChange: (q: string, options: {push?: boolean}) => void, onLeave: () => void, label?: string}} props
 */
export function FilterBox({ q, errors, facets, onChange, onLeave, label = "Filter episodes" }) {
  const input = useRef(null);
  const layer = useRef(null);
  const caret = useRef(null);
  const [text, write, tell] = useWriting(q, onChange);
  const list = useOffers(text, facets, input);
  const wrong = text.trim() === q ? errors : [];
  const scrolled = () => (layer.current.scrollLeft = input.current.scrollLeft);
  useLayoutEffect(() => {
    if (caret.current !== null) input.current.setSelectionRange(caret.current, caret.current);
    caret.current = null;
    scrolled();
  }, [text]);
  const pick = (offer) => {
    const next = text.slice(0, offer.start) + offer.insert + text.slice(offer.end).trimStart();
    caret.current = offer.start + offer.insert.length;
    write(next, { now: !offer.open });
    input.current.focus();
    requestAnimationFrame(list.look);
  };
  const keyed = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const { offers, at } = list;
    if (step && offers.length) list.setAt((at + step + offers.length) % offers.length);
    else if (step === 1) list.look();
    else if (event.key === "Tab" && !event.shiftKey && offers.length && text) pick(offers[Math.max(0, at)]);
    else if (event.key === "Enter" && at >= 0) pick(offers[at]);
    else if (event.key === "Enter") (list.hide(), tell(text, true), onLeave());
    else if (event.key === "Escape" && offers.length) list.hide();
    else if (event.key === "Escape") onLeave();
    else return;
    event.preventDefault();
  };
  const open = list.offers.length > 0;
  return html`<div class="filterbox" role="search">
    <${Icon} name="filter" />
    <div class="field">
      <div class="layer" ref=${layer}><${Behind} text=${text} errors=${wrong} /></div>
      <input ref=${input} id="filter" type="text" value=${text} aria-label=${label} placeholder='reward<1 tool:bash errors>0 "words"' spellcheck=${false}
        autocomplete="off" autocapitalize="off" role="combobox" aria-expanded=${open} aria-controls="filter-offers" aria-autocomplete="list"
        aria-activedescendant=${open && list.at >= 0 ? `filter-offers-${list.at}` : null} aria-invalid=${wrong.length > 0} aria-describedby="filter-wrong"
        onInput=${(event) => (write(event.target.value), requestAnimationFrame(list.look))} onKeyDown=${keyed} onScroll=${scrolled}
        onFocus=${() => !text && list.look()} onClick=${list.look} onBlur=${list.hide} />
      ${open && html`<${Offers} id="filter-offers" offers=${list.offers} at=${list.at} pick=${pick} />`}
    </div>
    ${text
      ? html`<button type="button" class="quiet" aria-label="Clear the filter" onClick=${() => (write("", { now: true }), input.current.focus())}><${Icon} name="close" /></button>`
      : html`<kbd>/</kbd>`}
    <div id="filter-wrong" class="filter-wrong" aria-live="polite">${wrong.map((error) => html`<p key=${error.start}>${error.message}</p>`)}</div>
  </div>`;
}
