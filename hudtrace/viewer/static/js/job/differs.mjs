/** What episodes that passed have more often, or less, than the others. */

import { query, useGet } from "../api.mjs";
import { Empty, Problem, Spinner } from "../bits.mjs";
import { count, percent, visible } from "../format.mjs";
import { html } from "../html.mjs";

function Row({ row, path }) {
  const { what, passed_share: passed, failed_share: failed, difference } = row;
  return html`<tr>
    <th scope="row"><a href=${path + query({ q: row.q })}>${visible(what)}</a></th>
    <td class="num">${percent(passed)}</td>
    <td><span class="pair" aria-hidden="true"><i class="ok" style=${{ width: `${passed * 100}%` }}></i><i class="bad" style=${{ width: `${failed * 100}%` }}></i></span></td>
    <td class="num">${percent(failed)}</td>
    <td class=${`num ${difference > 0 ? "ok" : "bad"}`}>${difference > 0 ? "+" : "−"}${Math.round(Math.abs(difference) * 100)}</td>
  </tr>`;
}

export function Differs({ path }) {
  const { data, error, refresh } = useGet(`${path}/lift`);
  if (error) return html`<${Problem} error=${error} retry=${refresh} />`;
  if (!data) return html`<${Spinner} label="comparing" />`;
  if (!data.passed || !data.failed) {
    return html`<${Empty} title="Nothing to compare">
      <p>${count(data.passed, "episode")} passed and ${count(data.failed, "episode")} did not: it takes some of both.</p>
    <//>`;
  }
  return html`<div class="page sheet">
    <p class="mut">What ${count(data.passed, "episode")} with a reward of 1 have more often, or less, than the ${count(data.failed, "other", "others")} that were scored. It shows what goes together, not what causes what.</p>
    <table class="plain">
      <thead><tr><th scope="col">Has</th><th scope="col" class="num">Passed</th><th scope="col"><span class="sr">Both as bars</span></th><th scope="col" class="num">Others</th><th scope="col" class="num">Points</th></tr></thead>
      <tbody>${data.rows.map((row) => html`<${Row} key=${row.what} row=${row} path=${path} />`)}</tbody>
    </table>
    ${data.rows.length === 0 && html`<p>They have everything in common that is recorded.</p>`}
  </div>`;
}
