/** The keys there are now, from the table that they are bound by. */

import { Dialog } from "./dialog.mjs";
import { html, useState } from "./html.mjs";
import { table } from "./keys.mjs";

const NAMES = { ArrowDown: "↓", ArrowUp: "↑", ArrowLeft: "←", ArrowRight: "→", Escape: "Esc", " ": "Space" };

const Stroke = ({ keys }) => html`${keys.split(" ").map((key) => html`<kbd>${NAMES[key] ?? key}</kbd>`)}`;

/** One line for each thing to do, with all its keys. */
function merged(bindings) {
  const found = new Map();
  for (const { what, keys } of bindings) {
    const have = found.get(what) ?? [];
    found.set(what, [...have, ...keys.filter((key) => !have.includes(key))]);
  }
  return [...found];
}

export default function Help({ close }) {
  const [scopes] = useState(table);
  return html`<${Dialog} label="Keyboard" class="help" close=${close}>
    <header><h2>Keyboard</h2><button type="button" class="quiet" onClick=${close}>Close</button></header>
    <div class="scopes">
      ${scopes.filter(([, bindings]) => bindings.length).map(([name, bindings]) => html`<section key=${name}>
        <h3>${name}</h3>
        <dl>${merged(bindings).map(([what, keys]) => html`<div key=${what}><dt>${keys.map((each, i) => html`${i > 0 && " "}<${Stroke} keys=${each} />`)}</dt><dd>${what}</dd></div>`)}</dl>
      </section>`)}
    </div>
  <//>`;
}
