/** What a block says, as text: for finding, for copying, and for short lines. */

/** JSON as it is shown; text that holds JSON is taken as that. */
export function pretty(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return JSON.stringify(value, null, 2);
  const json = parsed(value);
  return json === undefined ? value : JSON.stringify(json, null, 2);
}

/** The object or list that a text holds; undefined if it is no JSON of that kind. */
export function parsed(text) {
  if (!/^\s*[[{]/.test(text) || text.length > 200_000) return undefined;
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === "object" ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Data in which `{$cut, length, head}` stands for a long text, with words in its place. */
export function uncut(value) {
  if (value === null || typeof value !== "object") return value;
  if (value.$cut) return `${value.head}… [${value.length ?? "?"} characters]`;
  if (Array.isArray(value)) return value.map(uncut);
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, uncut(each)]));
}

/** Arguments in one line, if they fit there: `company="hud" year=2020`. */
export function inline(value, limit = 96) {
  const object = typeof value === "string" ? parsed(value) : value;
  if (object === null || object === undefined) return typeof value === "string" ? short(value, limit) : "";
  if (typeof object !== "object" || Array.isArray(object)) return short(JSON.stringify(object), limit);
  const pairs = Object.entries(object).map(([name, each]) => `${name}=${JSON.stringify(each)}`);
  const line = pairs.join(" ");
  return line.length <= limit && !line.includes("\\n") ? line : null;
}

function short(text, limit) {
  return text.length <= limit && !text.includes("\n") ? text : null;
}

/** Everything of a part that a search looks through. */
export function wordsOf(part) {
  if (part.type === "text" || part.type === "reasoning") return pretty(part.text);
  if (part.type === "tool_call") {
    const result = part.result?.parts ?? [];
    return [part.name, argumentsText(uncut(part.arguments)), ...result.map(wordsOf)].join("\n");
  }
  if (part.type === "uri") return part.uri ?? "";
  if (part.type === "blob") return part.mime_type ?? "";
  if (part.type === "tool_call_response") return (part.result?.parts ?? []).map(wordsOf).join("\n");
  return pretty(part.json ?? null);
}

/** Arguments as the block shows them: in one line, or a line for each. */
export function argumentsText(value) {
  const line = inline(value);
  if (line !== null) return line;
  const object = typeof value === "string" ? parsed(value) : value;
  if (object === null || typeof object !== "object" || Array.isArray(object)) return pretty(value);
  return Object.entries(object).map(([name, each]) => `${name}: ${valueText(each)}`).join("\n");
}

/** A text of several lines as those lines, set in; anything else as JSON. */
function valueText(value) {
  if (typeof value === "string" && value.includes("\n")) return `\n  ${value.replaceAll("\n", "\n  ")}`;
  return JSON.stringify(value, null, 2);
}

/** @returns {string[]} the texts of an item, one for each place that shows one */
export function textsOf(item) {
  if (item.kind === "call") {
    const error = item.error ? [`${item.error.type}: ${item.error.message ?? ""}`] : [];
    return [...item.new.flatMap((message) => message.parts.map(wordsOf)), ...error];
  }
  if (item.kind === "tool") return [wordsOf(item.part)];
  if (item.kind === "reward") return [item.name, item.explanation ?? ""];
  if (item.kind === "error") return [`${item.type}: ${item.message ?? ""}`, item.stacktrace ?? ""];
  return (item.parts ?? []).map(wordsOf);
}

/** How often *needle* (in lower case) is in the texts of an item. */
export function occurrences(item, needle) {
  let found = 0;
  for (const text of textsOf(item)) {
    const low = text.toLowerCase();
    for (let at = low.indexOf(needle); at >= 0; at = low.indexOf(needle, at + needle.length)) found++;
  }
  return found;
}

/** Markdown of a message, as copied. */
export function messageText(message) {
  return message.parts.map(wordsOf).join("\n\n");
}
