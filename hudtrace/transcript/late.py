"""Verdicts that came later: each is a trace of its own, which names the episode."""

from __future__ import annotations

import sqlite3

_NEAR = 5_000  # rows around the time of a verdict


def late_trace(db: sqlite3.Connection, span_id: str, at: int) -> str | None:
    """Return the trace that a late verdict is, by looking near the time it was given.

    Rows are added soon after a span's end, so the ends of rows nearly ascend.
    """
    (low, high) = db.execute(
        "SELECT coalesce(min(id), 0), coalesce(max(id), 0) FROM spans"
    ).fetchone()
    least, most = low, high
    while low < high:
        middle = (low + high) // 2
        row = db.execute(
            "SELECT id, end FROM spans WHERE id >= ? ORDER BY id LIMIT 1", (middle,)
        ).fetchone()
        if row[1] < at:
            low = row[0] + 1
        else:
            high = middle
    for reach in (_NEAR, most - least):
        row = db.execute(
            "SELECT trace_id FROM spans WHERE id BETWEEN ? AND ? AND span_id = ?",
            (low - reach, low + reach, bytes.fromhex(span_id)),
        ).fetchone()
        if row is not None:
            return str(row[0].hex())
    return None
