/** A button with something under it, which goes when one turns to something else. */

import { html, useEffect, useRef, useState } from "../html.mjs";

/** @param {{label: any, title?: string, class?: string, children: (close: Function) => any}} props */
export function Menu({ label, title, class: kind = "", children }) {
  const [open, setOpen] = useState(false);
  const box = useRef(null);
  const close = () => setOpen(false);
  useEffect(() => {
    if (!open) return undefined;
    const outside = (event) => box.current?.contains(event.target) || close();
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);
  const keyed = (event) => {
    if (event.key !== "Escape" || !open) return;
    event.preventDefault();
    event.stopPropagation();
    close();
    box.current.querySelector("button").focus();
  };
  return html`<span class="menu" ref=${box} onKeyDown=${keyed}>
    <button type="button" class="quiet" aria-expanded=${open} title=${title} onClick=${() => setOpen(!open)}>${label} ▾</button>
    ${open && html`<div class=${`menu-body ${kind}`}>${children(close)}</div>`}
  </span>`;
}
