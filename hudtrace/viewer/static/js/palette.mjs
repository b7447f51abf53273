/** Ctrl+K: go to a page, or to whatever an id, pasted whole or begun, belongs to. */

import { query, useGet } from "./api.mjs";
import { Dialog } from "./dialog.mjs";
import { quoted } from "./episodes/grammar.mjs";
import { visible } from "./format.mjs";
import { html, useMemo, useState } from "./html.mjs";
import { navigate } from "./router.mjs";
import { setTheme } from "./theme.mjs";

const PAGES = [
  ["Episodes", "g e", "/"],
  ["Running episodes", "", "/?q=status:running"],
  ["Episodes with errors", "", "/?q=status:error"],
  ["Jobs", "g j", "/jobs"],
  ["Traces of all services", "g t", "/traces"],
  ["Search", "g s", "/search"],
  ["Setup", "g ,", "/setup"],
].map(([label, keys, url]) => ({ label, keys, run: () => navigate(url) }));

const THEMES = ["light", "dark", "system"].map((theme) => ({
  label: `Theme: ${theme}`,
  keys: "m",
  run: () => setTheme(theme),
}));

/** A trace id, however it was copied: whole, begun, in a URL, or in a traceparent. */
function traceIn(text) {
  const whole = /(?:^|[^0-9a-f])([0-9a-f]{32})(?![0-9a-f])/i.exec(text);
  if (whole) return `/trace/${whole[1].toLowerCase()}`;
  return /^[0-9a-f]{6,31}$/i.test(text) ? `/t/${text.toLowerCase()}` : null;
}

/** What may be the id of a job, as it was pasted: one word, with a digit or a dash in it. */
const mayBeJob = (text) => /^[^\s:"<>]{6,200}$/.test(text) && /[\d-]/.test(text);

/** The id that was written, if there are episodes of such a job. */
function useJob(text) {
  const wanted = text.trim();
  const { data } = useGet(mayBeJob(wanted) ? `/episodes${query({ q: `job:${quoted(wanted)}`, limit: 1 })}` : null);
  return data?.rows[0]?.job_id === wanted ? wanted : null;
}

function entries(text, job) {
  const wanted = text.trim();
  const trace = traceIn(wanted);
  const found = [...PAGES, ...THEMES].filter(({ label }) => label.toLowerCase().includes(wanted.toLowerCase()));
  const more = [];
  if (job) more.push({ label: `Job ${visible(job)}`, keys: "", run: () => navigate(`/job/${encodeURIComponent(job)}`) });
  if (trace) more.push({ label: `Trace ${visible(wanted)}`, keys: "", run: () => navigate(trace) });
  if (wanted) {
    const q = encodeURIComponent(wanted);
    more.push({ label: `Search for “${visible(wanted)}”`, keys: "", run: () => navigate(`/search?q=${q}`) });
    more.push({ label: `Filter episodes by “${visible(wanted)}”`, keys: "", run: () => navigate(`/?q=${q}`) });
  }
  return trace || job ? [...more, ...found] : [...found, ...more];
}

export default function Palette({ close }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const job = useJob(text);
  const found = useMemo(() => entries(text, job), [text, job]);
  const pick = (entry) => {
    close();
    entry?.run();
  };
  const keyed = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setAt((at + step + found.length) % found.length);
    else if (event.key === "Enter") pick(found[at]);
    else return;
    event.preventDefault();
  };
  return html`<${Dialog} label="Go to" class="palette" close=${close}>
    <input autofocus placeholder="A page, a trace id, or words to search for" aria-label="Go to" role="combobox" aria-expanded="true"
      aria-controls="palette-list" aria-activedescendant=${`palette-${at}`} autocomplete="off" spellcheck=${false} value=${text}
      onInput=${(event) => (setText(event.target.value), setAt(0))} onKeyDown=${keyed} />
    <ul id="palette-list" role="listbox" aria-label="Places">
      ${found.map((entry, i) => html`<li key=${entry.label} id=${`palette-${i}`} role="option" aria-selected=${i === at}
        onMouseMove=${() => setAt(i)} onClick=${() => pick(entry)}>
        <span>${entry.label}</span>${entry.keys && html`<kbd>${entry.keys}</kbd>`}
      </li>`)}
    </ul>
  <//>`;
}
