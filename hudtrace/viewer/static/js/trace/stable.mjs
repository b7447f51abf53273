import { useCallback, useRef } from "../html.mjs";

/** *run* as a function that stays the same, so that rows which get it need not be drawn again. */
export function useStable(run) {
  const latest = useRef(run);
  latest.current = run;
  return useCallback((...values) => latest.current(...values), []);
}
