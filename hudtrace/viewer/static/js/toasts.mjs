/** Short words that come and go: what was copied, what did not work. */

import { html, useEffect, useState } from "./html.mjs";

const STAYS = 2600;
let show = () => {};

/** Say *text* for a moment. */
export const toast = (text, tone = "") => show({ text, tone, at: performance.now() });

export function Toasts() {
  const [said, setSaid] = useState(null);
  show = setSaid;
  useEffect(() => {
    if (!said) return undefined;
    const timer = setTimeout(() => setSaid(null), STAYS);
    return () => clearTimeout(timer);
  }, [said]);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${said && html`<div class=${`toast ${said.tone}`} key=${said.at}>${said.text}</div>`}
  </div>`;
}
