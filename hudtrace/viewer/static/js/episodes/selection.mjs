/** Which row is looked at: by number, and by its id where one comes back to it. */

import { get, query } from "../api.mjs";
import { useEffect, useRef, useState } from "../html.mjs";
import { recall, remember } from "../router.mjs";

const RESTS = 120; // ms: browsers limit how often the history may be written to

/**
 * @param {any} listing
 * @param {{text: string, sort: string}} list
 * @returns what is `selected`, `select`, the scroll position `top` to begin at, and
 *   `scrolled`, to be told of another
 */
export function useSelection(listing, { text, sort }) {
  const place = useRef(recall("list") ?? {}).current;
  const timer = useRef(0);
  const [selected, setSelected] = useState(place.index ?? null);
  const keep = (more) => remember("list", Object.assign(place, more));
  const select = (index) => {
    setSelected(index);
    keep({ index, id: listing?.row(index)?.trace_id });
  };
  const fresh = useRef(true);
  useEffect(() => {
    if (!listing) return;
    if (!fresh.current) {
      select(null);
      keep({ top: 0 });
    } else if (place.id) {
      find(listing, place, text, sort).then((index) => index !== null && select(index));
    }
    fresh.current = false;
  }, [listing]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const scrolled = (top) => {
    place.top = top;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => keep({ top }), RESTS);
  };
  return { selected, select, scrolled, top: place.top ?? 0 };
}

/** Where the row that was selected is now. */
async function find(listing, place, q, sort) {
  if (listing.row(place.index)?.trace_id === place.id) return place.index;
  const { position } = await get(`/neighbours${query({ q, sort, trace: place.id })}`).catch(() => ({}));
  return position ? position - 1 : null;
}
