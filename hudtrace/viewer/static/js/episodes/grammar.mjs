/** As much of the filters' grammar as it takes to help with writing one. */

/** Every field, what it takes, and what it is about. */
export const FIELDS = [
  ["reward", "<1", "0 to 1, or none"],
  ["status", ":error", "done, running, interrupted, error"],
  ["outcome", ":", "how it ended"],
  ["failure", ":", "whose it was: none, agent, infra, cancelled"],
  ["env", ":", "environment"],
  ["scenario", ":", "scenario"],
  ["task", ":", "a task's key"],
  ["model", "~", "model that was asked"],
  ["agent", ":", "agent"],
  ["variant", ":", "variant of the agent"],
  ["job", ":", "job"],
  ["group", ":", "repeats of one task"],
  ["tool", ":", "tool that was called"],
  ["failed", ":", "tool that failed"],
  ["error", ":", "type of an error"],
  ["stopped", ":", "limit that ended it"],
  ["tag", ":", "name=value"],
  ["trace", ":", "beginning of a trace id"],
  ["dur", ">30s", "how long: 250ms, 30s, 2m, 1h"],
  ["tokens", ">5k", "tokens in and out"],
  ["cost", ">0.1", "dollars"],
  ["turns", ">5", "turns"],
  ["calls", ">5", "tool calls"],
  ["errors", ">0", "tool calls that failed"],
  ["started", ">2h", "since when: 2h, 7d, 2026-11-24"],
  ["attempt", ":1", "which try"],
].map(([name, example, about]) => ({ name, example, about }));

const NAMES = new Set(FIELDS.map(({ name }) => name));
const OPERATORS = "!=|<=|>=|[:=~<>]";
const QUOTED = String.raw`"(?:[^"\\]|\\.)*"?`;
const TERM = new RegExp(String.raw`(-?)([a-z_]+)(${OPERATORS})((?:${QUOTED}|[^\s"])*)|-?${QUOTED}|\S+`, "gi");

/** The terms of a text: {text, start, end, field, operator, value, negated}; no field: words. */
export function terms(text) {
  return Array.from(text.matchAll(TERM), (found) => {
    const field = found[2]?.toLowerCase();
    const known = field !== undefined && NAMES.has(field);
    return {
      text: found[0],
      start: found.index,
      end: found.index + found[0].length,
      field: known ? field : null,
      operator: known ? found[3] : null,
      value: known ? found[4] : found[0],
      negated: found[0].startsWith("-"),
    };
  });
}

/** A value as it stands in a filter. */
export const quoted = (value) => (/[\s,"]|^$/.test(value) ? `"${value.replace(/["\\]/g, "\\$&")}"` : value);

/** The values of a term with commas between them. */
export const values = (term) =>
  Array.from(term.value.matchAll(/"((?:[^"\\]|\\.)*)"?|[^,"]+/g), (found) => found[1]?.replace(/\\(.)/g, "$1") ?? found[0]);

/** The filter without the characters [start, end). */
export const without = (text, { start, end }) =>
  `${text.slice(0, start).trimEnd()} ${text.slice(end).trimStart()}`.trim();

/** The filter with *value* of *field* taken in, or out if it is there. */
export function toggled(text, field, value) {
  const term = terms(text).find((each) => each.field === field && each.operator === ":" && !each.negated);
  if (!term) return `${text} ${field}:${quoted(value)}`.trim();
  const had = values(term);
  const rest = had.includes(value) ? had.filter((each) => each !== value) : [...had, value];
  if (!rest.length) return without(text, term);
  return `${text.slice(0, term.start)}${field}:${rest.map(quoted).join(",")}${text.slice(term.end)}`;
}

/** Whether the filter asks for *value* of *field*. */
export const asksFor = (text, field, value) =>
  terms(text).some((each) => each.field === field && each.operator === ":" && !each.negated && values(each).includes(value));

const MOST = 12;

/**
 * What could be written at *caret*: [{insert, label, about, start, end}], where *insert*
 * goes in place of the characters [start, end).
 * @param {{key: string, values: {value: string, count: number}[]}[]} facets
 */
export function completions(text, caret, facets) {
  const term = terms(text).find(({ start, end }) => start < caret && caret <= end);
  if (term?.field) return ofValue(term, facets);
  const minus = term?.negated ? 1 : 0;
  const place = { start: (term?.start ?? caret) + minus, end: term?.end ?? caret };
  const word = text.slice(place.start, caret).toLowerCase();
  const fields = FIELDS.filter(({ name }) => name.startsWith(word)).map(({ name, example, about }) => ({
    ...place,
    insert: name + (/^[:~]$/.test(example) ? example : ":"),
    label: name + example,
    about,
    open: true,
  }));
  return word ? [...fields, ...anyValue(word, facets, place)].slice(0, MOST) : fields;
}

function anyValue(word, facets, place) {
  return facets.flatMap(({ key, values: found }) =>
    found
      .filter(({ value }) => String(value).toLowerCase().includes(word))
      .map(({ value, count }) => ({ ...place, ...suggestion(`${key}:${quoted(String(value))}`, count) })),
  );
}

function ofValue(term, facets) {
  const after = term.start + term.text.length - term.value.length;
  const start = Math.max(after, after + term.value.lastIndexOf(",") + 1);
  const part = term.value.slice(start - after).replaceAll('"', "").toLowerCase();
  const facet = facets.find(({ key }) => key === term.field);
  return (facet?.values ?? [])
    .filter(({ value }) => String(value).toLowerCase().includes(part))
    .slice(0, MOST)
    .map(({ value, count }) => ({ start, end: term.end, ...suggestion(quoted(String(value)), count) }));
}

const suggestion = (insert, count) => ({ insert: `${insert} `, label: insert, about: String(count), open: false });
