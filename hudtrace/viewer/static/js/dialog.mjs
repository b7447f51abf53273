/** A modal dialog: the browser keeps the focus in it, and Escape closes it. */

import { html, useLayoutEffect, useRef } from "./html.mjs";

export function Dialog({ label, close, class: kind = "", children }) {
  const element = useRef(null);
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog.showModal();
    return () => dialog.close();
  }, []);
  const pressed = (event) => event.target === element.current && close(); // the backdrop
  return html`<dialog ref=${element} class=${kind} aria-label=${label} onClose=${close} onMouseDown=${pressed}>${children}</dialog>`;
}
