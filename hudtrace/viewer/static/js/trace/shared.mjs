/** What the parts of a page know of it without being told by those around them. */

import { createContext } from "../html.mjs";

/** What all blocks of a page share: {id, state, read: Set, verdicts: Map, needle, pick(span)}. */
export const Shared = createContext({ id: "", read: new Set(), verdicts: new Map(), needle: "", pick: () => {} });
