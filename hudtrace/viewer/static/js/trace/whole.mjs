/** Long texts are sent by their beginning; all of one is there when it is asked for. */

import { get } from "../api.mjs";

export const isCut = (part) => Boolean(part.href) && part.length > (part.text?.length ?? 0);

/** Fetch all of a text that was cut off. */
export async function wholeOf(part) {
  return longestLike(await get(part.href), part.text) ?? part.text;
}

/** The text in *data* that begins as *head* does. */
function longestLike(data, head) {
  if (typeof data === "string") return data.startsWith(head.slice(0, 1000)) ? data : undefined;
  if (data === null || typeof data !== "object") return undefined;
  for (const value of Object.values(data)) {
    const found = longestLike(value, head);
    if (found !== undefined) return found;
  }
  return undefined;
}
