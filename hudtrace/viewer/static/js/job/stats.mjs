/** What was slow, and what failed. */

import { query } from "../api.mjs";
import { quoted } from "../episodes/grammar.mjs";
import { duration, number, visible } from "../format.mjs";
import { html } from "../html.mjs";

function Tools({ tools, path }) {
  const most = Math.max(...tools.map((tool) => tool.total ?? tool.mean ?? 0), 1e-9);
  return html`<table class="plain">
    <thead><tr><th scope="col">Tool</th><th scope="col" class="num">Calls</th><th scope="col" class="num">Failed</th><th scope="col" class="num">Mean</th><th scope="col" class="num">Slowest</th><th scope="col" class="num">Together</th><th scope="col"><span class="sr">Share</span></th></tr></thead>
    <tbody>${tools.map((tool) => html`<tr key=${tool.name}>
      <th scope="row"><a href=${path + query({ q: `tool:${quoted(tool.name)}` })}>${visible(tool.name)}</a></th>
      <td class="num">${number(tool.calls)}</td>
      <td class=${`num ${tool.errors ? "bad" : "mut"}`}>${number(tool.errors)}</td>
      <td class="num">${duration(tool.mean)}</td>
      <td class="num">${duration(tool.max)}</td>
      <td class="num">${duration(tool.total)}</td>
      <td><span class="pair" aria-hidden="true"><i class="tool" style=${{ width: `${((tool.total ?? tool.mean ?? 0) / most) * 100}%` }}></i></span></td>
    </tr>`)}</tbody>
  </table>`;
}

function Errors({ kinds, path }) {
  return html`<table class="plain">
    <thead><tr><th scope="col">Error</th><th scope="col" class="num">Episodes</th></tr></thead>
    <tbody>${kinds.map((kind) => html`<tr key=${kind.type}>
      <th scope="row"><a href=${path + query({ q: `error:${quoted(kind.type)}` })}>${visible(kind.type)}</a></th>
      <td class="num">${number(kind.episodes)}</td>
    </tr>`)}</tbody>
  </table>`;
}

export function Stats({ job, path }) {
  const { tools = [], error_kinds: kinds = [] } = job;
  return html`<div class="page sheet">
    <h2>Tools, the slowest first</h2>
    ${tools.length ? html`<${Tools} tools=${tools} path=${path} />` : html`<p class="mut">No tool was called.</p>`}
    <h2>Errors</h2>
    ${kinds.length ? html`<${Errors} kinds=${kinds} path=${path} />` : html`<p class="mut">None were recorded.</p>`}
  </div>`;
}
