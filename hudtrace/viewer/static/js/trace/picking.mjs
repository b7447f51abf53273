/** Which span is picked: the URL says it, and all views of the page show it. */

import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "../html.mjs";
import { useRoute } from "../router.mjs";
import { shareBefore, spoken } from "./walk.mjs";

/**
 * @param {{trace: any, get: Function, set: Function, view: string, place: {current: any}}} options
 *   `place` takes the conversation to a block
 */
export function usePicking({ trace, get, set, view, place }) {
  const id = get("span");
  const origin = useRef("url");
  const latest = useRef(trace);
  latest.current = trace;
  const pick = useCallback((span, from = "page") => {
    origin.current = from;
    set({ span }, { replace: true });
  }, [set]);
  useChatPlace({ id, origin, latest, place, shown: view === "chat" || view === "split" });
  const pickNext = useCallback((span) => {
    const { read } = latest.current.head.data;
    const at = read.indexOf(new URLSearchParams(location.search).get("span"));
    pick(read.includes(span) && at >= 0 ? read[(at + 1) % read.length] : span, "link");
  }, [pick]);
  return { id, pick, pickNext, span: (id && trace.tree.byId.get(id)) || null };
}

/** Take the conversation to what was picked elsewhere, or to the message that the URL names. */
function useChatPlace({ id, origin, latest, place, shown }) {
  const { hash } = useRoute();
  useLayoutEffect(() => {
    if (!shown) return undefined;
    const from = origin.current;
    origin.current = "url";
    if (from === "chat") return undefined;
    let current = true;
    const message = from === "url" && /^#m(\d+)$/.exec(hash);
    const { items, tree } = latest.current;
    const span = id && tree.byId.get(id);
    const said = span && spoken(tree, span);
    const found = message ? items.ofMessage(Number(message[1])) : said && blockOf(latest.current, said);
    found?.then?.((index) => current && place.current?.go(index, message ? null : said.id));
    return () => (current = false);
  }, [id, hash, shown]);
}

/** The block of the conversation that a span is in. */
function blockOf({ items, base, calls }, span) {
  const time = BigInt(base) + BigInt(Math.round(span.start * 1000));
  return items.ofSpan(span.id, time, shareBefore(calls, span));
}

/** Whether one follows: then, whatever is new is picked. */
export function useFollow(trace, picking) {
  const [follows, setFollows] = useState(false);
  const newest = trace.ordered.at(-1)?.id;
  useEffect(() => {
    if (follows && newest) picking.pick(newest, "follow");
  }, [follows, newest]);
  return { follows, follow: () => setFollows(!follows) };
}
