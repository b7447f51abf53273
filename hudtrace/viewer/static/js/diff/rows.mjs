/** The rows of a comparison: what is the same folded, what is not side by side. */

import { number, visible } from "../format.mjs";
import { html, memo, useState } from "../html.mjs";
import { Said } from "../trace/parts.mjs";
import { argumentsText, pretty } from "../trace/words.mjs";

const FEW = 3; // rows that are the same and stay on the page
const PIECES = 400; // of a text that are drawn at once

/**
 * The rows as they are drawn: runs of the same as one entry, unless they are opened.
 * @param {any[]} rows @param {Set<number>} open the first rows of the runs that are open
 * @returns {{row?: any, index: number, same?: any[]}[]}
 */
export function entriesOf(rows, open) {
  const entries = [];
  for (let i = 0; i < rows.length; ) {
    let end = i;
    while (end < rows.length && rows[end].kind === "same") end++;
    if (end - i > FEW && !open.has(i)) {
      entries.push({ index: i, same: rows.slice(i, end) });
      i = end;
    } else {
      const until = Math.max(end, i + 1);
      for (; i < until; i++) entries.push({ index: i, row: rows[i] });
    }
  }
  return entries;
}

/** @param {{entry: any, urls: [string, string], onOpen: Function}} props `urls` are of A and B */
export const Entry = memo(function Entry({ entry, urls, onOpen }) {
  if (entry.same) return html`<${Folded} entry=${entry} onOpen=${onOpen} />`;
  const { row } = entry;
  if (row.kind === "same") return html`<${Same} row=${row} url=${urls[0]} />`;
  return html`<div class=${`diff-row ${row.kind}`} role="group" aria-label=${`${row.kind}: ${nameOf(row)}`}>
    <${Side} row=${row} side=${row.a} url=${urls[0]} own="-" />
    <${Side} row=${row} side=${row.b} url=${urls[1]} own="+" />
  </div>`;
});

const nameOf = (row) => (row.what ?? "").replaceAll("_", " ");

function Folded({ entry, onOpen }) {
  const first = entry.same[0];
  return html`<button type="button" class="diff-same" onClick=${() => onOpen(entry.index)}>
    <b>${number(entry.same.length)} same</b>
    <span class="mut cut">${visible([nameOf(first), first.a?.name, first.a?.text].filter(Boolean).join(" ").slice(0, 160))}</span>
  </button>`;
}

function Same({ row, url }) {
  return html`<div class="diff-row same" role="group" aria-label=${`same: ${nameOf(row)}`}>
    <div class="diff-side wide"><${Who} row=${row} side=${row.a} url=${url} /><${Said} text=${wordsOf(row, row.a)} code=${isCode(row)} /></div>
  </div>`;
}

function Who({ row, side, url }) {
  const place = [side.turn != null && `turn ${side.turn}`, nameOf(row), side.name].filter(Boolean).join(" · ");
  return html`<p class="diff-who"><a href=${`${url}?span=${side.span_id}`} title="Open in its episode">${visible(place)}</a></p>`;
}

const isCode = (row) => !["text", "prompt", "reasoning", "answer"].includes(row.what);
const wordsOf = (row, side) => (row.what === "tool_call" ? argumentsText(side.text) : pretty(side.text));

function Side({ row, side, url, own }) {
  if (!side) return html`<div class="diff-side none"><span class="mut">${own === "-" ? "only in B" : "only in A"}</span></div>`;
  return html`<div class=${`diff-side ${own === "-" ? "in-a" : "in-b"}`}>
    <${Who} row=${row} side=${side} url=${url} />
    ${row.args ? html`<${Arguments} args=${row.args} which=${own === "-" ? "a" : "b"} />`
      : row.words ? html`<${Words} words=${row.words} own=${own} code=${isCode(row)} />`
      : html`<${Said} text=${wordsOf(row, side)} code=${isCode(row)} />`}
    ${side.length > (side.text ?? "").length && html`<p class="mut"><small>the first ${number(side.text.length)} of ${number(side.length)} characters</small></p>`}
  </div>`;
}

/** The text of one side, with what only it has marked. */
function Words({ words, own, code }) {
  const [shown, setShown] = useState(PIECES);
  const mine = words.filter(([op]) => op === "=" || op === own);
  const Mark = own === "-" ? "del" : "ins";
  return html`<div class=${`said ${code ? "code" : ""}`}>
    ${mine.slice(0, shown).map(([op, text], i) => (op === "=" ? visible(text) : html`<${Mark} key=${i}>${visible(text)}<//>`))}
    ${mine.length > shown && html`<button type="button" onClick=${() => setShown(shown * 4)}>${number(mine.length - shown)} more pieces</button>`}
  </div>`;
}

/** What differs in the arguments, place by place. */
function Arguments({ args, which }) {
  if (!args.length) return html`<p class="mut">the same arguments</p>`;
  const Mark = which === "a" ? "del" : "ins";
  return html`<dl class="diff-args">${args.map((arg) => html`<div key=${arg.path}>
    <dt>${visible(arg.path)}</dt>
    <dd>${which in arg ? html`<${Mark} class="said code">${visible(pretty(arg[which]) || String(arg[which]))}<//>` : html`<span class="mut">not there</span>`}</dd>
  </div>`)}</dl>`;
}
