"""What is new in the conversation of a model call: what its trace has not had before."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

from hudtrace.index.content import Text, texts_of
from hudtrace.notices import internal_error

_LONGEST = 100_000  # messages of one conversation
_MOST_KEPT = 2000


class Speech:
    """The conversations of one transaction; a message is read once in it."""

    def __init__(self, index: sqlite3.Connection, store: sqlite3.Connection) -> None:
        self._index, self._store = index, store
        self._read: dict[bytes, list[Text]] = {}

    def new_in(self, trace: int, node: bytes) -> Iterator[Text]:
        """Yield the texts of the messages up to *node* behind those of an earlier call."""
        for message in reversed(self._new_messages(trace, node)):
            if message not in self._read:
                if len(self._read) >= _MOST_KEPT:
                    self._read.clear()
                self._read[message] = list(self._texts(message))
            yield from self._read[message]
        self._index.execute(
            "INSERT INTO heads VALUES (?, ?) ON CONFLICT DO NOTHING", (trace, node)
        )

    def _new_messages(self, trace: int, node: bytes) -> list[bytes]:
        """Return the hashes of messages, the last one first."""
        found: list[bytes] = []
        at: bytes | None = node
        while at is not None and len(found) < _LONGEST and not self._is_head(trace, at):
            row = self._store.execute(
                "SELECT parent, message FROM nodes WHERE hash = ?", (at,)
            ).fetchone()
            if row is None:
                break  # it was deleted
            at, message = row
            found.append(message)
        return found

    def _is_head(self, trace: int, node: bytes) -> bool:
        return (
            self._index.execute(
                "SELECT 1 FROM heads WHERE trace = ? AND node = ?", (trace, node)
            ).fetchone()
            is not None
        )

    def _texts(self, message: bytes) -> Iterator[Text]:
        row = self._store.execute(
            "SELECT body FROM messages WHERE hash = ?", (message,)
        ).fetchone()
        if row is None:
            return
        try:
            read = json.loads(row[0])
            yield from texts_of(read) if isinstance(read, dict) else ()
        except Exception as error:
            internal_error("indexing a message", error)
