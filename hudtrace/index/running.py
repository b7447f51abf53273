"""Which episodes of the list run right now."""

from __future__ import annotations

import sqlite3

from hudtrace.index.copying import numbers_of
from hudtrace.store import queries


def running(db: sqlite3.Connection) -> list[int]:
    """Return the numbers of traces with open spans of processes that are alive."""
    alive = queries.running_traces(db)
    return sorted(numbers_of(db, map(bytes.fromhex, alive)).values())
