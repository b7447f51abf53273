/** Episodes that were marked to be compared; they stay marked in this tab. */

const KEY = "hudtrace-marked";

export function marked() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? [];
  } catch {
    return [];
  }
}

/** Mark the episode, or take its mark away; returns whether it is marked now. */
export function toggleMark(id) {
  const others = marked().filter((other) => other !== id);
  const now = others.length === marked().length;
  sessionStorage.setItem(KEY, JSON.stringify(now ? [...others, id].slice(-2) : others));
  return now;
}

/** The other episode to compare this one with: the one that was marked last. */
export const markedBeside = (id) => marked().filter((other) => other !== id).at(-1);
