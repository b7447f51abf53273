"""Keeps the index up with its store, a slice of time at a time."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hudtrace.errors import HudtraceError
from hudtrace.index import Index, open_index
from hudtrace.notices import internal_error


class Upkeep:
    """The index as one thread writes it; `done` says whether it has all of the store.

    `path` is where it is, which need not be beside the store.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._index: Index | None = None
        self.path: Path | None = None
        self.done = False

    def go_on(self, seconds: float) -> None:
        """Read what is new in the store, for about that long."""
        try:
            self.done = self._catch_up(seconds)
        except (sqlite3.Error, OSError, HudtraceError):
            self.close()  # whoever asks for something is told
            self.done = True
        except Exception as error:
            internal_error("keeping the index", error)
            self.close()
            self.done = True

    def close(self) -> None:
        """Close the index."""
        index, self._index, self.path = self._index, None, None
        if index is not None:
            index.close()

    def _catch_up(self, seconds: float) -> bool:
        if not self._store.exists():
            return True
        if self._index is None:
            self._index = open_index(self._store)
        self._index.catch_up(max_seconds=seconds)
        self.path = self._index.path
        return self._index.lag() == 0
