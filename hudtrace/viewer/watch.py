"""Notices what changes in a store: new spans, open ones, verdicts, writers that die.

SQLite says cheaply whether anyone has written since. Only then is it asked what, from
the last row that was seen; and now and then whether the processes that have spans
open are still alive.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hudtrace.store import queries
from hudtrace.store.writers import Writer
from hudtrace.viewer.nothing import EmptyStore
from hudtrace.viewer.reading import Reading

MOST = 100  # traces that are told one by one
_PATIENCE = 5.0  # seconds between two counts of all episodes

TraceStates = dict[str, dict[str, Any]]


@dataclass
class Sighting:
    """What has changed: traces as they are now, and jobs; or everything (`reset`)."""

    traces: TraceStates = field(default_factory=dict)
    jobs: set[str] = field(default_factory=set)
    reset: bool = False
    more: bool = False  # traces than are told


class Watch:
    """Looks at one store; used by one thread."""

    def __init__(self, path: Path, empty: EmptyStore) -> None:
        self._path = path
        self._empty = empty
        self._reading: Reading | None = None
        self._begun = False
        self._version = self._last = self._episodes = 0
        self._counted = 0.0
        self._open: dict[bytes, tuple[bytes, str]] = {}
        self._alive: set[str] = set()
        self._writers: dict[str, Writer] = {}
        self._young: dict[bytes, float] = {}  # until when they may have just begun

    def look(self) -> Sighting | None:
        """Return what has changed since the last look, None for nothing."""
        reading = self._reading
        if reading is None or reading.outdated:
            return self._begin()
        (version,) = reading.db.execute("PRAGMA data_version").fetchone()
        gone = any(not self._lives(writer) for writer in self._alive)
        grown = any(time.monotonic() > until for until in self._young.values())
        if version == self._version and not gone and not grown:
            return None
        self._version = version
        return reading.answer(self._difference)

    def close(self) -> None:
        """Close the store."""
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    def _begin(self) -> Sighting | None:
        """Open the store that is there now; what was known before is of no use."""
        known, self._begun = self._begun, True
        self.close()
        reading = Reading(self._path, self._empty)
        (self._version,) = reading.db.execute("PRAGMA data_version").fetchone()
        reading.answer(lambda reading: self._note(reading.db))
        self._young.clear()
        self._reading = reading
        return Sighting(reset=True) if known else None

    def _note(self, db: sqlite3.Connection) -> None:
        """Note how the store is now."""
        (self._last,) = db.execute("SELECT coalesce(max(id), 0) FROM spans").fetchone()
        self._open = _open_spans(db)
        self._writers = {writer.id: writer for writer in queries.writers(db)}
        wanted = {writer for _, writer in self._open.values()}
        self._alive = {writer for writer in wanted if self._lives(writer)}

    def _difference(self, reading: Reading) -> Sighting | None:
        db, last, opened, alive = reading.db, self._last, self._open, self._alive
        self._note(db)
        changed = self._touched(db, last) | self._grown()
        changed |= {trace for _, (trace, _) in opened.items() ^ self._open.items()}
        gone = alive - self._alive
        changed |= {trace for trace, writer in self._open.values() if writer in gone}
        if self._last < last or self._has_fewer(db):
            return Sighting(reset=True)
        if not changed:
            return None
        found = _sighting(db, changed)
        self._note_young(found)
        return found

    def _note_young(self, found: Sighting) -> None:
        """Remember what runs only because it has just begun: that will be over soon."""
        until = time.monotonic() + queries.JUST_BEGUN_NS / 1e9
        known = {trace for trace, _ in self._open.values()}
        for id_, state in found.traces.items():
            trace = bytes.fromhex(id_)
            if state["state"] == "running" and trace not in known:
                self._young.setdefault(trace, until)
            else:
                self._young.pop(trace, None)

    def _grown(self) -> set[bytes]:
        now = time.monotonic()
        found = {trace for trace, until in self._young.items() if now > until}
        for trace in found:
            del self._young[trace]
        return found

    def _touched(self, db: sqlite3.Connection, last: int) -> set[bytes]:
        """Return the traces of new spans, and those that new verdicts are about."""
        rows = db.execute(
            "SELECT trace_id FROM spans WHERE id > ?1 UNION "
            "SELECT v.trace_id FROM spans AS s JOIN verdicts AS v "
            "ON v.span_id = s.span_id WHERE s.id > ?1",
            (last,),
        )
        return {trace for (trace,) in rows}

    def _lives(self, writer: str) -> bool:
        found = self._writers.get(writer)
        return found is not None and found.alive

    def _has_fewer(self, db: sqlite3.Connection) -> bool:
        """Say whether episodes have been deleted, as far as was counted."""
        now = time.monotonic()
        if now - self._counted < _PATIENCE:
            return False
        self._counted, before = now, self._episodes
        (self._episodes,) = db.execute("SELECT count(*) FROM episodes").fetchone()
        return self._episodes < before


def _open_spans(db: sqlite3.Connection) -> dict[bytes, tuple[bytes, str]]:
    rows = db.execute("SELECT span_id, trace_id, writer FROM open_spans")
    return {span: (trace, writer) for span, trace, writer in rows}


def _sighting(db: sqlite3.Connection, changed: Iterable[bytes]) -> Sighting:
    """Return the state of each trace; of an episode, its reward and its job."""
    found = Sighting()
    every = sorted(changed)
    for trace in every[:MOST]:
        id_ = trace.hex()
        found.traces[id_] = _state(db, id_)
    found.more = len(every) > MOST
    for start in range(0, len(every), 500):
        some = every[start : start + 500]
        marks = ",".join("?" * len(some))
        rows = db.execute(
            "SELECT DISTINCT job_id FROM episodes WHERE job_id IS NOT NULL "
            f"AND trace_id IN ({marks})",
            some,
        )
        found.jobs |= {job for (job,) in rows}
    return found


def _state(db: sqlite3.Connection, trace_id: str) -> dict[str, Any]:
    for episode in queries.episodes_of(db, [trace_id]):
        return {
            "id": trace_id,
            "state": episode.state,
            "reward": episode.reward,
            "outcome": episode.outcome,
        }
    states = {span.state for span in queries.open_spans(db, trace_id)}
    state = next((s for s in ("running", "interrupted") if s in states), "done")
    return {"id": trace_id, "state": state, "reward": None, "outcome": None}
