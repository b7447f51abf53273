"""A store with nothing in it, for as long as there is no other."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

from hudtrace.store.store import Store


class EmptyStore:
    """An empty store in a temporary folder, made when it is first needed."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()

    @property
    def path(self) -> Path:
        """Where it is."""
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="hudtrace-view-")
                Store(Path(self._folder.name) / "traces.db").close()
            return Path(self._folder.name) / "traces.db"

    def close(self) -> None:
        """Delete it, once nobody reads from it."""
        with self._lock:
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None
