"""Answers questions from the store, in a few threads beside the event loop.

Each thread has a read-only connection of its own, and an answer sees one state of
the store. The store need not be there yet: until it is, it is as if it were empty.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from hudtrace.errors import HudtraceError
from hudtrace.index import Index, open_index
from hudtrace.store.store import VERSION, file_identity, open_uri, reading_uri
from hudtrace.viewer.nothing import EmptyStore
from hudtrace.viewer.problems import Problem

Answer = TypeVar("Answer")
_THREADS = 4
_BUSY_SECONDS = 2.0  # that another process may keep us from reading
_LONGEST = 30.0  # seconds for one answer
_KEPT = 4  # of what takes long to make, in each thread
_STEPS = 20_000  # of SQLite between two looks at the clock


class Reading:
    """What one thread reads from: the store as `db`, and whether it `exists`.

    Where there is none, *empty* takes its place.
    """

    def __init__(self, path: Path, empty: EmptyStore) -> None:
        self.path = path
        self.identity = file_identity(path)
        self._empty = empty
        self.exists = False
        self._index: Index | None = None
        self._until = 0.0
        self._kept: dict[Hashable, Any] = {}
        self.db = self._open()
        self.db.set_progress_handler(self._is_late, _STEPS)

    @property
    def outdated(self) -> bool:
        """Whether the file is another one by now, or has become a store."""
        making = not self.exists and self.identity is not None
        return making or file_identity(self.path) != self.identity

    def answer(self, question: Callable[[Reading], Answer]) -> Answer:
        """Ask *question* of one state of the store."""
        self._until = time.monotonic() + _LONGEST
        if self._index is not None and self._index.outdated:
            self._close_index()
        used = [self.db] if self._index is None else [self.db, self._index.db]
        try:
            for db in used:
                db.execute("BEGIN")
            return question(self)
        finally:
            for db in used:
                with contextlib.suppress(sqlite3.Error):  # closed, or never begun
                    db.execute("ROLLBACK")

    def kept(self, key: Hashable, make: Callable[[], Answer]) -> Answer:
        """Return what was made for *key* before, or make it; the last few are kept."""
        found: Any = self._kept.pop(key, None)
        if found is None:
            found = make()
        self._kept[key] = found
        if len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]
        return found  # type: ignore[no-any-return]

    def index(self, at: Path | None) -> Index:
        """Return the index of the store; it is opened anew if it is not the one *at*."""
        if (
            self._index is not None
            and self.exists
            and at not in (None, self._index.path)
        ):
            self._close_index()
        if self._index is None:
            self._index = open_index(self._store)
            self._index.db.set_progress_handler(self._is_late, _STEPS)
        return self._index

    def interrupt(self) -> None:
        """Have the answer that is being made fail at once."""
        self._until = 0.0
        self.db.interrupt()

    def close(self) -> None:
        """Close the files."""
        self._close_index()
        self.db.close()

    def _close_index(self) -> None:
        index, self._index = self._index, None
        if index is not None:
            index.close()

    def _open(self) -> sqlite3.Connection:
        self._store = self.path
        if self.identity is not None:
            db = open_store(self.path)
            if db is not None:
                self.exists = True
                return db
        self._store = self._empty.path
        return connect(self._store)

    def _is_late(self) -> bool:
        return time.monotonic() > self._until


class Readers:
    """The threads that answer; `ask` from the event loop."""

    def __init__(self, path: Path, empty: EmptyStore) -> None:
        self.path = path
        self._empty = empty
        self._pool = ThreadPoolExecutor(_THREADS, "hudtrace-view")
        self._local = threading.local()
        self._open: set[Reading] = set()

    async def ask(self, question: Callable[[Reading], Answer]) -> Answer:
        """Return the answer to *question*; raises `Problem` if the store cannot."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self.answer, question)

    def answer(self, question: Callable[[Reading], Answer]) -> Answer:
        """Answer *question* in the calling thread."""
        try:
            return self._reading().answer(question)
        except (sqlite3.Error, FileNotFoundError, HudtraceError) as error:
            self._forget()
            raise unreadable(self.path, error) from error

    def close(self) -> None:
        """End the threads, and close what they have read from."""
        for reading in list(self._open):
            reading.interrupt()
        self._pool.shutdown(wait=True, cancel_futures=True)
        while self._open:
            self._open.pop().close()

    def _reading(self) -> Reading:
        reading: Reading | None = getattr(self._local, "reading", None)
        if reading is not None and not reading.outdated:
            return reading
        self._forget()
        reading = self._local.reading = Reading(self.path, self._empty)
        self._open.add(reading)
        return reading

    def _forget(self) -> None:
        reading: Any = getattr(self._local, "reading", None)
        if reading is not None:
            self._local.reading = None
            self._open.discard(reading)
            reading.close()


def open_store(path: Path) -> sqlite3.Connection | None:
    """Open the store to read from; None while it is being made.

    Raises `Problem` if this hudtrace cannot read it.
    """
    db = connect(path)
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version == VERSION:
            return db
    except BaseException:
        db.close()
        raise
    db.close()
    if version == 0:
        return None
    raise Problem(503, _of_other_version(path, version), title="Another store version")


def connect(path: Path) -> sqlite3.Connection:
    """Open a file to read from it, for a moment, whichever thread that is in."""
    db = open_uri(reading_uri(path), _BUSY_SECONDS)
    db.execute("PRAGMA query_only = 1")
    return db


def unreadable(path: Path, error: Exception) -> Problem:
    """Return what to tell of a store that cannot be read."""
    said = str(error)
    headers = {"retry-after": "2"}
    if "interrupted" in said:
        detail = f"this took longer than {_LONGEST:g} s; ask for less"
        return Problem(503, detail, title="Took too long", headers=headers)
    if "locked" in said or "busy" in said:
        detail = f"another process keeps the store {path} locked; try again"
        return Problem(503, detail, title="Store is locked", headers=headers)
    detail = (
        f"cannot read the store {path}: {said}; 'hudtrace store check' looks closer"
    )
    return Problem(503, detail, title="Store cannot be read")


def _of_other_version(path: Path, version: int) -> str:
    if version > VERSION:
        return (
            f"the store {path} has version {version}, but this hudtrace reads up to "
            f"{VERSION}; upgrade hudtrace, or choose another with --store"
        )
    return (
        f"the store {path} has version {version}, and this hudtrace reads {VERSION}; "
        f"'hudtrace store migrate' brings it there"
    )
