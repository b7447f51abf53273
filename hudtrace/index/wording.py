"""Writes texts: each once, with the traces that have it."""

from __future__ import annotations

import hashlib
import sqlite3

from hudtrace.index.content import Text
from hudtrace.messages import encodable


class Wording:
    """The texts of one transaction."""

    def __init__(self, index: sqlite3.Connection) -> None:
        self._index = index
        self._known: dict[bytes, int] = {}

    def add(self, trace: int, span_id: bytes, text: Text) -> None:
        """Write down that a span has said *text*, unless its trace had it before."""
        self._index.execute(
            "INSERT INTO trace_texts VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (self._number(text), trace, span_id),
        )

    def _number(self, text: Text) -> int:
        words = encodable(text.text)
        key = hashlib.blake2b(
            f"{text.scope}\0{words}".encode(), digest_size=16
        ).digest()
        if key not in self._known:
            row = self._index.execute(
                "SELECT id FROM texts WHERE hash = ?", (key,)
            ).fetchone()
            self._known[key] = row[0] if row else self._write(key, text, words)
        return self._known[key]

    def _write(self, key: bytes, text: Text, words: str) -> int:
        number = self._index.execute(
            "INSERT INTO texts (hash, scope, role, text) VALUES (?, ?, ?, ?)",
            (key, text.scope, encodable(text.role or "") or None, words),
        ).lastrowid
        self._index.execute(
            "INSERT INTO words (rowid, text) VALUES (?, ?)", (number, words)
        )
        return int(number or 0)
