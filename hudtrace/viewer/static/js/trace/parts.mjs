/** The parts of messages: text, thoughts, calls of tools with their results, files. */

import { CopyButton, Markdown } from "../bits.mjs";
import { bytes, durationNs, number, visible } from "../format.mjs";
import { html, useContext, useState } from "../html.mjs";
import { Failure } from "./failure.mjs";
import { Shared } from "./shared.mjs";
import { isCut, wholeOf } from "./whole.mjs";
import { argumentsText, inline, parsed, pretty, uncut, wordsOf } from "./words.mjs";

const CHUNK = 16_000; // characters that are laid out at once
const TALL = 14; // lines, from which on a result is shown by its beginning
const MARKDOWN = /(^|\n)\s*(#{1,6} |[-*] |\d+\. |> |```|\|)|\*\*\S|`\S|\]\(/;

export const isIn = (needle, text) => needle !== "" && text.toLowerCase().includes(needle);

export function Part({ part }) {
  if (part.type === "text") return html`<${Text} part=${part} />`;
  if (part.type === "reasoning") return html`<${Thought} part=${part} />`;
  if (part.type === "tool_call") return html`<${ToolCall} part=${part} />`;
  if (part.type === "tool_call_response") return html`<${Result} parts=${part.result?.parts ?? []} />`;
  if (part.type === "blob") return html`<${Blob} part=${part} />`;
  if (part.type === "uri") return html`<${Address} part=${part} />`;
  return html`<pre class="said">${pretty(part.json ?? part)}</pre>`;
}

/** A text; JSON is set out, Markdown on demand, and what was cut off fetched on demand. */
function Text({ part }) {
  const [whole, setWhole] = useState(null);
  const [formatted, setFormatted] = useState(false);
  const text = whole ?? part.text;
  const json = parsed(text) !== undefined;
  const offers = !json && text.length < 200_000 && MARKDOWN.test(text);
  return html`<div class="words">
    ${offers && html`<button type="button" class="quiet as" aria-pressed=${formatted}
      onClick=${() => setFormatted(!formatted)}>${formatted ? "Text" : "Markdown"}</button>`}
    ${formatted ? html`<${Markdown} text=${text} />` : html`<${Said} text=${json ? pretty(text) : text} code=${json} />`}
    ${whole === null && isCut(part) && html`<${Rest} part=${part} onWhole=${setWhole} />`}
  </div>`;
}

/** Text in pieces that are laid out only when they come into view. */
export function Said({ text: said, code = false }) {
  const text = visible(said);
  const kind = code ? "said code" : "said";
  if (text.length <= CHUNK) return html`<div class=${kind}>${text}</div>`;
  return html`<div class=${`${kind} long`} tabindex="0" role="group" aria-label=${`text of ${number(text.length)} characters`}>
    ${chunks(text).map((chunk, i) => html`<div key=${i} class="chunk">${chunk}</div>`)}
  </div>`;
}

function chunks(text) {
  const found = [];
  for (let at = 0; at < text.length; ) {
    const line = text.indexOf("\n", at + CHUNK / 2);
    const end = line < 0 || line > at + CHUNK ? at + CHUNK : line + 1;
    found.push(text.slice(at, end));
    at = end;
  }
  return found;
}

function Rest({ part, onWhole }) {
  const [state, setState] = useState("");
  const load = () => {
    setState("loading …");
    wholeOf(part).then(onWhole, (error) => setState(error.message));
  };
  return html`<p class="rest"><button type="button" onClick=${load}>Show all ${number(part.length)} characters</button>
    <span class="mut" role="status">${state || `the first ${number(part.text.length)} are shown`}</span></p>`;
}

function Thought({ part }) {
  const { needle } = useContext(Shared);
  const [open, setOpen] = useState(false);
  const shown = open || isIn(needle, part.text);
  return html`<details class="thought" open=${shown} onToggle=${(e) => setOpen(e.currentTarget.open)}>
    <summary><b>reasoning</b> <span class="mut peek">${visible(part.text.slice(0, 160))}</span></summary>
    <${Text} part=${part} />
  </details>`;
}

/** A call of a tool and what came of it, as one block. */
export function ToolCall({ part }) {
  const { state } = useContext(Shared);
  const given = uncut(part.arguments);
  const line = inline(given);
  const failed = part.error ? "failed" : "";
  return html`<div class=${`call-block ${failed}`} data-span=${part.span_id} tabindex="-1">
    <div class="call-head">
      <b class="call-name">${visible(part.name ?? "a tool")}</b>
      ${line !== null && html`<code class="said args">${visible(line)}</code>`}
      <span class="fill"></span>
      ${failed && html`<span class="tag bad">failed</span>`}
      <${ReadMark} span=${part.span_id} />
      ${part.duration != null && html`<small class="mut num">${durationNs(part.duration)}</small>`}
      <${CopyButton} text=${() => wordsOf(part)} label="Copy the call and its result" />
    </div>
    ${line === null && html`<div class="said code args">${visible(argumentsText(given))}</div>`}
    ${part.href && html`<p class="pending"><a href=${part.href} target="_blank" rel="noopener noreferrer">All of it, as JSON</a></p>`}
    ${part.result ? html`<${Result} parts=${part.result.parts} n=${part.result.n} />` : html`<p class="mut pending">${unanswered(part, state)}</p>`}
    ${part.raised && html`<${Failure} error=${part.raised} open=${false} />`}
  </div>`;
}

/** Why a call has no result: its span has not ended, or nobody has seen one. */
function unanswered(part, state) {
  const ended = part.duration !== null && part.duration !== undefined;
  if (state === "running") return ended ? "no result was seen yet" : "running …";
  return state === "interrupted" && !ended ? "cut off: its process ended before it did" : "no result was seen";
}

function Result({ parts, n }) {
  const { needle } = useContext(Shared);
  const words = parts.map(wordsOf).join("\n");
  const tall = words.length > 1600 || words.split("\n", TALL + 2).length > TALL;
  const [open, setOpen] = useState(false);
  const shown = !tall || open || isIn(needle, words);
  return html`<div class="result" id=${n ? `m${n}` : null}>
    <div class=${shown ? "" : "clamp"}>${parts.map((part, i) => html`<${Part} key=${i} part=${part} />`)}</div>
    ${tall && !isIn(needle, words) && html`<button type="button" class="quiet unfold" aria-expanded=${open}
      onClick=${() => setOpen(!open)}>${open ? "Show less" : "Show more"}</button>`}
  </div>`;
}

/** The grader looked at this span. */
export function ReadMark({ span }) {
  const { read } = useContext(Shared);
  if (!read.has(span)) return null;
  return html`<span class="tag read" title="The grader read this span">read by grader</span>`;
}

const SHOWN = /^image\/(png|jpeg|gif|webp|avif)$/;

function Blob({ part }) {
  const [shown, setShown] = useState(false);
  const name = part.mime_type || part.modality || "file";
  const image = SHOWN.test(part.mime_type ?? "");
  return html`<div class="blob">
    <span class="chip">${name} <small class="mut">${bytes(part.size)}</small></span>
    ${image && html`<button type="button" aria-expanded=${shown} onClick=${() => setShown(!shown)}>${shown ? "Hide" : "Show image"}</button>`}
    <a href=${part.href} download target="_blank" rel="noopener noreferrer">Download</a>
    ${shown && html`<p class="picture"><img src=${part.href} alt=${`${name} from the conversation`} /></p>`}
  </div>`;
}

/** An address is a link only if it is a web page, and nothing follows it by itself. */
function Address({ part }) {
  const web = /^https?:\/\//i.test(part.uri ?? "");
  return html`<div class="blob"><span class="chip">${part.mime_type || part.modality || "link"}</span>
    ${web ? html`<a href=${part.uri} target="_blank" rel="noopener noreferrer" class="said">${visible(part.uri)}</a>` : html`<code class="said">${visible(part.uri)}</code>`}
  </div>`;
}
