/**
 * What changes while we look. A browser opens six connections to a server and no more,
 * so its tabs share one stream: the tab that has the lock listens and tells the others.
 * Where there are no locks (plain http to another machine), each tab asks again and again.
 */

import { get, url } from "./api.mjs";
import { useEffect, useRef, useState } from "./html.mjs";

const POLL = 2000;
const NAME = "hudtrace-live";
const RESET = { reset: true, traces: [], jobs: [], more: true };

const watchers = new Set();
const states = new Set();
let state = "connecting";
let seq = null;
let channel = null;

function tell(change) {
  if (change.seq !== undefined) seq = change.seq;
  watchers.forEach((watch) => watch(change));
}

function be(next) {
  if (next === state) return;
  state = next;
  states.forEach((watch) => watch(state));
}

function share(message) {
  channel?.postMessage(message);
  receive(message);
}

function receive({ change, now }) {
  if (now) be(now);
  if (change) tell(change);
}

/** Listen for all tabs, for as long as this one is there. */
function lead() {
  if (state === "live") tell(RESET); // the one that listened before has gone
  return new Promise(() => {
    const stream = new EventSource(url("/events"));
    stream.onopen = () => share({ now: "live" });
    stream.onerror = () => share({ now: "offline" });
    stream.addEventListener("change", (event) => share({ change: JSON.parse(event.data), now: "live" }));
    stream.addEventListener("reset", () => share({ change: RESET, now: "live" }));
    channel.addEventListener("message", ({ data }) => data.hello && channel.postMessage({ now: state }));
    addEventListener("pagehide", () => stream.close());
    addEventListener("pageshow", (event) => event.persisted && location.reload());
  });
}

async function poll() {
  try {
    const change = await get(`/changes${seq === null ? "" : `?since=${seq}`}`);
    be("live");
    if (change.reset || change.more || change.traces?.length || change.jobs?.length) tell(change);
    else if (change.seq !== undefined) seq = change.seq;
  } catch {
    be("offline");
  }
  setTimeout(poll, document.hidden ? POLL * 5 : POLL);
}

function start() {
  if (!navigator.locks || !globalThis.BroadcastChannel) {
    poll();
    return;
  }
  channel = new BroadcastChannel(NAME);
  channel.addEventListener("message", ({ data }) => receive(data));
  channel.postMessage({ hello: true });
  navigator.locks.request(NAME, lead);
}

let started = false;

function join(set, watch) {
  if (!started) {
    started = true;
    start();
  }
  set.add(watch);
  return () => set.delete(watch);
}

/**
 * Call *callback* with every change: {seq, traces, jobs, more}; after a gap with
 * {reset: true, more: true}, where `more` means: anything may have changed.
 */
export function useLive(callback) {
  const latest = useRef(callback);
  latest.current = callback;
  useEffect(() => join(watchers, (change) => latest.current(change)), []);
}

/** "connecting", "live" or "offline". */
export function useLiveState() {
  const [now, setNow] = useState(state);
  useEffect(() => {
    setNow(state);
    return join(states, setNow);
  }, []);
  return now;
}
