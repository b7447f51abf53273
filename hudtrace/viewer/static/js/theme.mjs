/** Light, dark, or what the system says. */

import { html, useEffect, useState } from "./html.mjs";
import { Icon } from "./icons.mjs";

const NAME = "hudtrace-theme";
const CHANGED = "hudtrace-theme";
const ORDER = ["system", "light", "dark"];
const ICONS = { system: "system", light: "sun", dark: "moon" };

/** "system", "light" or "dark" */
export const theme = () => document.documentElement.dataset.theme ?? "system";

export function setTheme(next) {
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === "system") localStorage.removeItem(NAME);
    else localStorage.setItem(NAME, next);
  } catch {
    // not allowed here: it holds until the page is left
  }
  dispatchEvent(new Event(CHANGED));
}

/** The theme after *now*. */
export const nextTheme = (now) => ORDER[(ORDER.indexOf(now) + 1) % ORDER.length];

export function Theme() {
  const [now, setNow] = useState(theme());
  useEffect(() => {
    const changed = () => setNow(theme());
    addEventListener(CHANGED, changed);
    return () => removeEventListener(CHANGED, changed);
  }, []);
  return html`<button type="button" class="quiet" onClick=${() => setTheme(nextTheme(now))} title=${`Theme: ${now} (m)`} aria-label=${`Theme: ${now}. Change it.`}>
    <${Icon} name=${ICONS[now]} />
  </button>`;
}
