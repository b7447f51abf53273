/** What the timeline shows, as buttons beside the tabs; the URL keeps it. */

import { html } from "../html.mjs";

const KINDS = ["errors", "tools", "models"];

/** @param {{get: Function, set: Function}} props */
export function Filters({ get, set }) {
  const chosen = (get("show") ?? "").split(",").filter(Boolean);
  const toggle = (kind) => {
    const next = chosen.includes(kind) ? chosen.filter((k) => k !== kind) : [...chosen, kind];
    set({ show: next.join(",") || null }, { replace: true });
  };
  const flip = (name, on, value) => () => set({ [name]: on ? null : value }, { replace: true });
  const [critical, turns, full] = [get("critical") === "1", get("axis") === "turns", get("idle") === "full"];
  return html`<span class="trace-filters" role="group" aria-label="What the timeline shows">
    ${KINDS.map((kind) => html`<${Chip} key=${kind} on=${chosen.includes(kind)} label=${kind} flip=${() => toggle(kind)} title=${`only ${kind}, and what they are in`} />`)}
    <${Chip} on=${critical} label="critical path" flip=${flip("critical", critical, "1")} title="what the episode waited for" />
    <${Chip} on=${turns} label="turns axis" flip=${flip("axis", turns, "turns")} title="the same width for each turn" />
    ${!turns && html`<${Chip} on=${full} label="idle time" flip=${flip("idle", full, "full")} title="long pauses at their full width" />`}
  </span>`;
}

function Chip({ on, label, flip, title }) {
  return html`<button type="button" class="filter" aria-pressed=${on} title=${title} onClick=${flip}>${label}</button>`;
}
