"""Finds things in a store: a second file beside it, made from it and kept up with it.

The store's own writer knows nothing of it: it is caught up by those who read.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from hudtrace.index import catching_up, copying, database, forgetting
from hudtrace.index.places import Place
from hudtrace.store.store import file_identity


class Index:
    """The index of one store; `path` is its file, use it from one thread at a time.

    `db` reads both: the tables of the index and, as they have no names in common,
    those of the store.
    """

    def __init__(self, store: Path) -> None:
        self.store = store
        #: Which traces have a text, by what was looked for and the last span read.
        self.kept: dict[tuple[str, int], str] = {}
        self._open()

    @property
    def outdated(self) -> bool:
        """Whether the store or the index is another file by now."""
        found = (file_identity(self.store), file_identity(self.path))
        return found != self._identity

    def catch_up(self, max_seconds: float | None = None) -> int:
        """Read what the store has had since; return how many spans that were.

        It goes on where it, or another process, was stopped. With *max_seconds* it
        stops after about that long.
        """
        until = None if max_seconds is None else time.monotonic() + max_seconds
        try:
            return self._catch_up(until)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError | sqlite3.IntegrityError):
                raise
            # The file is broken.
            self._close_files()
            database.set_aside(self.path, self._identity[1])
            self._open()
            return self._catch_up(until)

    def lag(self) -> int:
        """Return about how many spans of the store are not in the index yet."""
        newest = "SELECT coalesce(max(id), 0) FROM store.spans"
        (spans,) = self.db.execute(
            f"SELECT ({newest}) - spans FROM progress"
        ).fetchone()
        return max(0, int(spans))

    def reopen(self) -> None:
        """Open both files again, as they are now."""
        self._close_files()
        self.kept.clear()
        self._open()

    def close(self) -> None:
        """Close the files; a temporary index goes with the last that uses it."""
        self._close_files()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_exc: Any) -> None:
        self.close()

    def _catch_up(self, until: float | None) -> int:
        if self.outdated:
            self.reopen()
        if catching_up.is_of_another_store(self._writer, self._source):
            catching_up.start_anew(self._writer)
        if not copying.copy_episodes(self._writer, self._source, until):
            return 0
        forgetting.forget(self._writer, self._source)
        total = 0
        while read := catching_up.read_batch(self._writer, self._source):
            total += read
            if until is not None and time.monotonic() >= until:
                break
            copying.copy_episodes(self._writer, self._source)
        return total

    def _open(self) -> None:
        self._place = Place(self.store)
        self.path = self._place.path
        self._writer = database.writer(self.path)
        self._source = database.store_reader(self.store)
        self.db = database.reader(self.path, self.store)
        self._identity = (file_identity(self.store), file_identity(self.path))

    def _close_files(self) -> None:
        for db in (self.db, self._writer, self._source):
            db.close()
        self._place.release()


def open_index(store: Path) -> Index:
    """Open the index of *store*, which is made where there is none.

    Where none can be made beside the store, it is a temporary one, which all that are
    open in this process share. Raises `FileNotFoundError` if there is no store,
    `sqlite3.Error` if it cannot be read.
    """
    if not store.exists():
        raise FileNotFoundError(f"no trace store at {store}; run an eval first")
    return Index(store.absolute())


def forget_deleted(store: Path) -> None:
    """Take out of the index of *store*, if it has one, what was deleted from the store."""
    if database.beside(store).exists():
        with open_index(store) as index:
            index.catch_up(max_seconds=0)


__all__ = ["Index", "forget_deleted", "open_index"]
