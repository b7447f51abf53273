/** Up to two episodes that are marked to be compared, in the URL. */

import { toast } from "../bits.mjs";
import { html } from "../html.mjs";
import { navigate, useQuery } from "../router.mjs";

export function useMarks() {
  const [get, set] = useQuery();
  const ids = get("mark", "").split(",").filter(Boolean);
  const toggle = (id) => {
    const next = ids.includes(id) ? ids.filter((each) => each !== id) : [...ids.slice(-1), id];
    set({ mark: next.join(",") });
  };
  const compare = () => {
    if (ids.length === 2) navigate(`/diff/${ids[0]}...${ids[1]}`);
    else toast("Mark two episodes with x, then c compares them");
  };
  return { ids, toggle, compare, clear: () => ids.length > 0 && set({ mark: null }) };
}

export function Marked({ marks: { ids, compare, clear } }) {
  if (!ids.length) return null;
  return html`<div class="marked" role="status">
    <span>${ids.length} marked</span>
    <button type="button" class="primary" disabled=${ids.length < 2} onClick=${compare}>Compare <kbd>c</kbd></button>
    <button type="button" class="quiet" onClick=${clear}>Clear</button>
  </div>`;
}
