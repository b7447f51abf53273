/** JSON as lines, of which only those that are unfolded exist. */

const WIDE = 160; // characters of a text on one line

/**
 * @typedef {{path: string, depth: number, key: string|null, text: string, fold: boolean|null, kind: string}} Line
 *   `fold` is null where there is nothing to unfold
 */

/**
 * @param {any} value
 * @param {Set<string>} open the paths that are unfolded
 * @param {(path: string) => any} [fetched] what stands behind a `{$lazy: title}`
 * @returns {Line[]}
 */
export function linesOf(value, open, fetched = () => undefined) {
  const lines = [];
  const waiting = [{ value, key: null, path: "$", depth: 0 }];
  while (waiting.length) {
    const at = waiting.pop();
    if (at.closing) {
      lines.push({ ...at, key: null, text: at.closing, fold: null, kind: "close" });
      continue;
    }
    waiting.push(...describe(at, open, fetched, lines));
  }
  return lines;
}

/** Add the line of one value; return what follows it, the last first. */
function describe(at, open, fetched, lines) {
  const { path, depth, key } = at;
  const add = (text, fold, kind) => lines.push({ path, depth, key, text, fold, kind });
  let { value } = at;
  if (value?.$lazy) {
    const loaded = fetched(path);
    if (loaded === undefined || !open.has(path)) return add(value.$lazy, open.has(path), "lazy"), [];
    value = loaded;
  }
  if (typeof value === "string") return describeText(at, value, open, lines);
  if (value === null || typeof value !== "object") return add(String(value), null, "literal"), [];
  const entries = Object.entries(value);
  const [left, right] = Array.isArray(value) ? "[]" : "{}";
  if (!entries.length) return add(left + right, null, "literal"), [];
  if (!open.has(path)) return add(`${left} ${entries.length} ${right}`, false, "closed"), [];
  add(left, true, "open");
  const isList = Array.isArray(value);
  const kids = entries.map(([name, each]) => ({ value: each, key: isList ? null : name, path: `${path}/${name}`, depth: depth + 1 }));
  return [{ closing: right, depth, path: `${path}/` }, ...kids.reverse()];
}

function describeText({ path, depth, key }, value, open, lines) {
  const long = value.length > WIDE || value.includes("\n");
  const isOpen = long && open.has(path);
  const text = JSON.stringify(long ? value.slice(0, WIDE) : value);
  lines.push({ path, depth, key, text: long ? `${text}… ${value.length.toLocaleString("en-US")} characters` : text, fold: long ? isOpen : null, kind: "text" });
  if (!isOpen) return [];
  let n = 0;
  for (const line of value.split("\n")) {
    for (let from = 0; from === 0 || from < line.length; from += WIDE) {
      lines.push({ path: `${path}#${n++}`, depth: depth + 1, key: null, text: line.slice(from, from + WIDE), fold: null, kind: "words" });
    }
  }
  return [];
}

/** Every path at which a value has parts, so that all of it can be unfolded. */
export function allPaths(value, fetched = () => undefined) {
  const found = new Set();
  const waiting = [[value, "$"]];
  while (waiting.length) {
    let [at, path] = waiting.pop();
    if (at?.$lazy) at = fetched(path);
    if (at === null || typeof at !== "object") continue;
    found.add(path);
    for (const [name, each] of Object.entries(at)) waiting.push([each, `${path}/${name}`]);
  }
  return found;
}

/** The lines that have *needle*, with those they stand in. */
export function matching(lines, needle) {
  const wanted = new Set();
  const above = [];
  lines.forEach((line, i) => {
    while (above.length && lines[above.at(-1)].depth >= line.depth) above.pop();
    if (`${line.key ?? ""}: ${line.text}`.toLowerCase().includes(needle)) [...above, i].forEach((n) => wanted.add(n));
    above.push(i);
  });
  return lines.filter((_, i) => wanted.has(i));
}
