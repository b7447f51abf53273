"""A table of the episodes that a filter leaves, to ask several questions of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from hudtrace.index.conditions import Condition

MOST = 10_000


@contextmanager
def chosen(db: sqlite3.Connection, where: Condition) -> Iterator[bool]:
    """Keep the newest 10,000 in `temp.chosen`; yield whether there are more.

    The table is of this connection alone, and in memory.
    """
    db.execute("CREATE TEMP TABLE IF NOT EXISTS chosen (trace INTEGER PRIMARY KEY)")
    db.execute("DELETE FROM temp.chosen")
    found = db.execute(
        f"INSERT INTO temp.chosen SELECT e.trace FROM listed AS e WHERE {where.sql} "
        f"ORDER BY e.start DESC LIMIT ?",
        (*where.values, MOST + 1),
    )
    capped = found.rowcount > MOST
    if capped:
        db.execute(
            "DELETE FROM temp.chosen WHERE trace = (SELECT min(trace) FROM temp.chosen)"
        )
    try:
        yield capped
    finally:
        db.execute("DELETE FROM temp.chosen")
