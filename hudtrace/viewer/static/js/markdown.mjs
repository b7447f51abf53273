/**
 * Markdown, drawn only when it is asked for. What a model wrote is hostile: it is
 * parsed, then cleaned of all but plain formatting. Nothing is loaded by itself, and
 * links open elsewhere, without saying where they were.
 */

import { html, useEffect, useRef, useState } from "./html.mjs";

const TAGS = [
  ...["p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "code", "em", "strong", "del"],
  ...["ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "a", "sub", "sup"],
];
let libraries = null;

function load() {
  libraries ??= Promise.all([import("../vendor/marked.mjs"), import("../vendor/dompurify.mjs")]);
  return libraries;
}

function clean(purify, dirty) {
  const fragment = purify.sanitize(dirty, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ["href", "start", "align"],
    ALLOWED_URI_REGEXP: /^https?:\/\//i,
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    RETURN_DOM_FRAGMENT: true,
  });
  for (const link of fragment.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer";
  }
  return fragment;
}

/** Images become their words; HTML stays text. */
function parse(marked, text) {
  const reader = new marked.Marked({ gfm: true, breaks: true });
  const escaped = (value) => value.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
  reader.use({ renderer: { image: ({ text: words }) => `[image: ${escaped(words)}]`, html: ({ text: raw }) => escaped(raw) } });
  return reader.parse(text);
}

/** @param {{text: string}} props */
export function Markdown({ text }) {
  const place = useRef(null);
  useEffect(() => {
    let current = true;
    load().then(([marked, purify]) => {
      if (current) place.current?.replaceChildren(clean(purify.default, parse(marked, text)));
    });
    return () => (current = false);
  }, [text]);
  return html`<div class="markdown" ref=${place}><div class="text">${text}</div></div>`;
}

/** Text as it is, with a switch to read it as Markdown. */
export function Prose({ text }) {
  const [formatted, setFormatted] = useState(false);
  const worth = text.length < 200_000 && /(^|\n)\s*(#|[-*] |\d+\. |>|```|\|)|\*\*|`|\]\(/.test(text);
  return html`<div class="prose">
    ${worth && html`<button type="button" class="quiet as" aria-pressed=${formatted} onClick=${() => setFormatted(!formatted)}>${formatted ? "Text" : "Markdown"}</button>`}
    ${formatted ? html`<${Markdown} text=${text} />` : html`<div class="text">${text}</div>`}
  </div>`;
}
