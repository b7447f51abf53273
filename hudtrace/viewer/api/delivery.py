"""What has become of a trace's spans: stored here, and sent on or waiting to be."""

from __future__ import annotations

import sqlite3

from hudtrace.store import queries
from hudtrace.store.outbox import count_set_aside
from hudtrace.viewer.desk import Desk
from hudtrace.viewer.endpoints import Json

# Ranges of one destination do not overlap: the last that begins before a span tells.
_WAITING = """SELECT count(*) FROM spans AS s WHERE trace_id = ?1 AND s.id <= (
    SELECT last FROM outbox WHERE destination = ?2 AND first <= s.id
    ORDER BY first DESC LIMIT 1)"""


def delivery(desk: Desk, trace_id: str, stored: int) -> Json:
    """Return how many spans have arrived, and what waits to be sent on."""
    db, key = desk.db, bytes.fromhex(trace_id)
    return {
        "store": str(desk.viewer.options.store),
        "exists": desk.reading.exists,
        "stored": stored,
        "writers": sum(writer.alive for writer in queries.writers(db)),
        "destinations": _destinations(db, key) if stored else [],
    }


def _destinations(db: sqlite3.Connection, key: bytes) -> list[Json]:
    rows = db.execute(
        "SELECT id, key, label FROM destinations WHERE NOT transient ORDER BY id"
    ).fetchall()
    found = []
    for id_, destination, label in rows:
        (waiting,) = db.execute(_WAITING, (key, id_)).fetchone()
        aside = count_set_aside(db, destination, trace_id=key)
        found.append({"label": label, "waiting": waiting, "set_aside": aside})
    return found
