/** What can be done on the page, whether by key or by button. */

import { query } from "../api.mjs";
import { copy, toast } from "../bits.mjs";
import { navigate } from "../router.mjs";
import { markedBeside, toggleMark } from "./marks.mjs";
import { nextTurn } from "./walk.mjs";

/** The span that stands for a step: its row in the timeline, its call in the chat. */
export const spanOf = (step, view) => (view === "timeline" ? step.span : (step.calls[0] ?? step.span)).id;

/** @param {any} page what the page has: its trace, view, picking, and so on */
export function actionsOf(page) {
  const { id, trace, view, list, picking, here, set, field, needle, neighbours } = page;
  return {
    ...page,
    open: (name) => set({ view: name === "chat" ? null : name }, { replace: false }),
    turn: (by) => {
      const step = nextTurn(trace.steps, here, by);
      if (step) picking.pick(spanOf(step, view), "turn");
    },
    find: () => (field.current.focus(), field.current.select()),
    neighbour: (which) => goTo(neighbours?.[which], list, view),
    up: () => upFrom({ needle, set, picking, list }),
    mark: () => toast(toggleMark(id) ? "Marked to compare: c on another episode" : "Mark taken away"),
    compare: () => compare(id),
    copyId: () => void copy(id, "Trace id copied"),
  };
}

function goTo(other, list, view) {
  if (!other) return false;
  navigate(`/trace/${other}${query({ ...list, view: view === "chat" ? null : view })}`);
  return undefined;
}

/** Out of what is innermost: the search, the picked span, the page. */
function upFrom({ needle, set, picking, list }) {
  if (needle) set({ find: null });
  else if (picking.id) picking.pick(null);
  else navigate(`/${query(list)}`);
}

function compare(id) {
  const other = markedBeside(id);
  if (other) navigate(`/diff/${other}...${id}`);
  else toast("Mark another episode first: x");
}
