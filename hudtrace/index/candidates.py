"""Traces of a service in a period, newest first: where a search for spans begins."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator


def of_service(
    db: sqlite3.Connection,
    *,
    service: str = "",
    operation: str = "",
    start: int,
    end: int,
) -> Iterator[bytes]:
    """Yield the ids of traces with spans of a service between two times (ns).

    Without a service they are those of any. With an *operation* the service has spans
    of that name in them.
    """
    where = ["t.start <= ? AND t.end >= ?"]
    values: list[object] = [end, start]
    if service:
        where.append(
            "EXISTS (SELECT 1 FROM trace_services AS own "
            "WHERE own.service = (SELECT id FROM services WHERE name = ?) "
            "AND own.trace = t.id AND own.start <= ? AND own.end >= ?)"
        )
        values += [service, end, start]
    if operation:
        keys = _operations(db, service, operation)
        marks = ",".join("?" * len(keys))
        where.append(
            f"EXISTS (SELECT 1 FROM trace_operations AS done "
            f"WHERE done.operation IN ({marks}) AND done.trace = t.id)"
        )
        values += keys
    rows = db.execute(
        f"SELECT t.trace_id FROM traces AS t WHERE {' AND '.join(where)} "
        f"ORDER BY t.start DESC, t.id DESC",
        values,
    )
    for (trace_id,) in rows:
        yield trace_id


def of_several_services(
    db: sqlite3.Connection, *, start: int, end: int
) -> Iterator[bytes]:
    """Yield the ids of traces between two times that more than one service is in."""
    rows = db.execute(
        "SELECT trace_id FROM traces AS t WHERE start > ? AND end < ? "
        "AND (SELECT count(*) FROM trace_services AS s WHERE s.trace = t.id) > 1",
        (start, end),
    )
    for (trace_id,) in rows:
        yield trace_id


def _operations(db: sqlite3.Connection, service: str, name: str) -> list[int]:
    rows = db.execute(
        "SELECT o.id FROM operations AS o JOIN services AS s ON s.id = o.service "
        "WHERE o.name = ? AND ? IN ('', s.name)",
        (name, service),
    )
    return [key for (key,) in rows]
