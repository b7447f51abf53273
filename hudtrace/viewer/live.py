"""Tells browsers what changes, as it changes: one watch of the store for all of them.

Changes are numbered upwards, from the clock on, so that a number of an earlier viewer
is known as such. What a slow reader has missed is told it at once.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from hudtrace.notices import internal_error
from hudtrace.viewer.encoding import encode
from hudtrace.viewer.nothing import EmptyStore
from hudtrace.viewer.problems import Problem
from hudtrace.viewer.upkeep import Upkeep
from hudtrace.viewer.watch import MOST, Sighting, Watch

TICK = 0.25  # seconds: so often a browser is told at most
_IDLE = 1.0  # where nobody listens
_LISTENED = 10.0  # seconds that somebody who has asked is taken to listen on
_HEARTBEAT = 15.0
_SLICE = 0.2  # that the index is kept up, before anything is told
_KEPT = 500  # changes
_LISTENERS = 256
Json = dict[str, Any]


class Live:
    """The changes of a store, and who listens to them.

    The index is kept up first (`upkeep`), so that whoever is told of a change finds it.
    `ready` is set once that has been begun.
    """

    def __init__(self, path: Path, empty: EmptyStore) -> None:
        self.seq = time.time_ns() // 1_000_000
        self.ready = threading.Event()
        self.upkeep = Upkeep(path)
        self._oldest = self.seq
        self._changes: deque[tuple[int, Sighting]] = deque()
        self._watch = Watch(path, empty)
        self._listeners: set[asyncio.Event] = set()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._woken = threading.Event()
        self._asked = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(
            target=self._run, name="hudtrace-watch", daemon=True
        )

    async def start(self) -> None:
        """Begin to watch: what comes from now on is told."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._look)
        self._thread.start()

    def end_streams(self) -> None:
        """Bring all streams to their end; called on the event loop."""
        self._ending.set()
        self._woken.set()
        self._notify()

    def close(self) -> None:
        """Stop watching."""
        self._ending.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join()

    def since(self, seq: int) -> Json | None:
        """Return what has changed after *seq*; None if that is too long ago."""
        self._asked = time.monotonic()
        self._woken.set()
        with self._lock:
            if not self._oldest <= seq <= self.seq:
                return None
            newer = [sighting for at, sighting in self._changes if at > seq]
            return _joined(newer, self.seq)

    def check_room(self) -> None:
        """Raise `Problem` if as many streams are open as may be."""
        if len(self._listeners) >= _LISTENERS:
            raise Problem(503, f"{_LISTENERS} streams are open already")

    async def stream(self, seq: int | None) -> AsyncIterator[bytes]:
        """Yield events, from *seq* on or from now on, until the viewer ends."""
        changed = asyncio.Event()
        self._listeners.add(changed)
        self._woken.set()
        try:
            yield b"retry: 2000\n\n"
            current = self.seq if seq is None else seq
            changed.set()  # the first event says where the stream begins
            while not self._ending.is_set():
                try:
                    await asyncio.wait_for(changed.wait(), _HEARTBEAT)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                changed.clear()
                newest = self.seq
                told = self.since(current)
                current = newest if told is None else int(told["seq"])
                yield _event(told, current)
                await asyncio.sleep(TICK / 2)
        finally:
            self._listeners.discard(changed)

    def _run(self) -> None:
        self.upkeep.go_on(_SLICE)
        self.ready.set()
        while not self._ending.is_set():
            self._step()
            self._woken.clear()
            if not self.upkeep.done:
                continue
            listening = self._listeners or time.monotonic() - self._asked < _LISTENED
            if listening:
                self._ending.wait(TICK)
            else:
                self._woken.wait(_IDLE)
        self._watch.close()
        self.upkeep.close()

    def _step(self) -> None:
        """Look once, and tell what is new; all is, once the index has come after."""
        seen = self._look()
        if seen is not None or not self.upkeep.done:
            late = not self.upkeep.done
            self.upkeep.go_on(_SLICE)
            if late and self.upkeep.done:
                seen = seen or Sighting()
                seen.more = True
        if seen is not None:
            self._add(seen)

    def _look(self) -> Sighting | None:
        try:
            return self._watch.look()
        except (sqlite3.Error, Problem):
            self._watch.close()  # whoever asks for something is told
        except Exception as error:
            internal_error("watching the store", error)
        return None

    def _add(self, seen: Sighting) -> None:
        with self._lock:
            self.seq += 1
            if seen.reset:
                self._changes.clear()
                self._oldest = self.seq
            else:
                self._changes.append((self.seq, seen))
                if len(self._changes) > _KEPT:
                    self._oldest = self._changes.popleft()[0]
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._notify)

    def _notify(self) -> None:
        for changed in self._listeners:
            changed.set()


def _joined(sightings: list[Sighting], seq: int) -> Json:
    traces: Json = {}
    jobs: set[str] = set()
    for sighting in reversed(sightings):
        for id_, state in sighting.traces.items():
            traces.setdefault(id_, state)
        jobs |= sighting.jobs
    more = len(traces) > MOST or any(sighting.more for sighting in sightings)
    return {
        "seq": seq,
        "traces": list(traces.values())[:MOST],
        "jobs": sorted(jobs),
        "more": more,
    }


def _event(change: Json | None, seq: int) -> bytes:
    """Return an event of a stream; without a change, everything may be another."""
    name, data = ("reset", {}) if change is None else ("change", change)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (seq, name.encode(), encode(data))
