"""Where the index of a store is: beside it, or for a while in a folder of our own."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from pathlib import Path

from hudtrace.index import database

_UNUSABLE = (OSError, sqlite3.OperationalError)
_lock = threading.Lock()
_temporary: dict[Path, tuple[tempfile.TemporaryDirectory[str], int]] = {}


class Place:
    """The file of an index, made if need be; `release` it when it is closed.

    Where none can be made beside the store, those of one process share a temporary one,
    which goes with the last of them.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._is_temporary = False
        self.path = database.beside(store)
        try:
            database.prepare(self.path)
        except _UNUSABLE:
            self._is_temporary = True
            self.path = Path(_take(store)) / self.path.name
            database.prepare(self.path)

    def release(self) -> None:
        """Say that the file is not used any more."""
        if self._is_temporary:
            self._is_temporary = False
            _give_back(self._store)


def _take(store: Path) -> str:
    with _lock:
        known = _temporary.get(store)
        if known is None:
            known = tempfile.TemporaryDirectory(prefix="hudtrace-index-"), 0
        folder, users = known
        _temporary[store] = folder, users + 1
        return folder.name


def _give_back(store: Path) -> None:
    with _lock:
        folder, users = _temporary.pop(store)
        if users > 1:
            _temporary[store] = folder, users - 1
        else:
            folder.cleanup()
