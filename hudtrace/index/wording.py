"""Writes texts: each once, with the traces that have it."""

from __future__ import annotations

import hashlib
import sqlite3

from hudtrace.index.content import Text
from hudtrace.messages import encodable

_MOST_CHARACTERS = 4 * 10**6  # that are held before they are written
_AT_ONCE = 1000


class Wording:
    """The texts of one transaction; `write` writes what is still held."""

    def __init__(self, index: sqlite3.Connection) -> None:
        self._index = index
        self._texts: dict[bytes, Text] = {}
        self._had: list[tuple[bytes, int, bytes]] = []
        self._size = 0

    def add(self, trace: int, span_id: bytes, text: Text) -> None:
        """Say that a span has said *text*; it counts if its trace had it not before."""
        words = encodable(text.text)
        key = hashlib.blake2b(
            f"{text.scope}\0{words}".encode(), digest_size=16
        ).digest()
        self._had.append((key, trace, span_id))
        if key not in self._texts:
            self._texts[key] = text._replace(
                text=words, role=encodable(text.role or "") or None
            )
            self._size += len(words) + 100
        if self._size > _MOST_CHARACTERS:
            self.write()

    def write(self) -> None:
        """Write them to the index."""
        numbers = self._known()
        new = [key for key in self._texts if key not in numbers]
        (last,) = self._index.execute(
            "SELECT coalesce(max(id), 0) FROM texts"
        ).fetchone()
        numbers |= {key: number for number, key in enumerate(new, last + 1)}
        self._index.executemany(
            "INSERT INTO texts (id, hash, scope, role, text) VALUES (?, ?, ?, ?, ?)",
            [(numbers[key], key, *self._texts[key]) for key in new],
        )
        self._index.executemany(
            "INSERT INTO words (rowid, text) VALUES (?, ?)",
            [(numbers[key], self._texts[key].text) for key in new],
        )
        self._index.executemany(
            "INSERT INTO trace_texts VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            [(numbers[key], trace, span_id) for key, trace, span_id in self._had],
        )
        self._texts, self._had, self._size = {}, [], 0

    def _known(self) -> dict[bytes, int]:
        keys = list(self._texts)
        found: dict[bytes, int] = {}
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            found |= self._index.execute(
                f"SELECT hash, id FROM texts WHERE hash IN ({marks})", some
            ).fetchall()
        return found
