"""Finds traces as Jaeger's search does: those with one span that is all that is asked."""

from __future__ import annotations

import json
import sqlite3
from itertools import islice

from hudtrace.index import candidates
from hudtrace.viewer.jaeger_params import Search
from hudtrace.viewer.jaeger_tags import Wanted, origins

_PAGE = 500


def find(db: sqlite3.Connection, search: Search) -> list[str]:
    """Return the ids of traces that match, newest first, at most as many as asked for."""
    where = [each for each in origins(db) if search.service in ("", each.service)]
    wanted = Wanted(search.tags, where) if search.tags else None
    sources = {origin.id for origin in where}
    traces = candidates.of_service(
        db,
        service=search.service,
        operation=search.operation,
        start=search.start,
        end=search.end,
    )
    found: list[str] = []
    while len(found) < search.limit and (page := list(islice(traces, _PAGE))):
        matching = _matching(db, page, search, sources, wanted)
        found += [key.hex() for key in page if key in matching]
    return found[: search.limit]


def _matching(
    db: sqlite3.Connection,
    page: list[bytes],
    search: Search,
    sources: set[int],
    wanted: Wanted | None,
) -> set[bytes]:
    """Return those traces of *page* that have a span that matches."""
    condition, values = "1", list[object]()
    if wanted is not None:
        condition, values = wanted.condition()
    rows = db.execute(
        f"SELECT s.trace_id, s.source, {'s.body' if wanted else 'NULL'} FROM spans AS s "
        f"WHERE s.trace_id IN ({','.join('?' * len(page))}) "
        f"AND s.source IN (SELECT value FROM json_each(?)) "
        f"AND s.start BETWEEN ? AND ? AND (? = '' OR s.name = ?) "
        f"AND max(s.end - s.start, 1) >= ? AND (? = 0 OR max(s.end - s.start, 1) <= ?) "
        f"AND {condition}",
        (
            *page,
            json.dumps(sorted(sources)),
            search.start,
            search.end,
            search.operation,
            search.operation,
            search.min_duration,
            search.max_duration,
            search.max_duration,
            *values,
        ),
    )
    found: set[bytes] = set()
    for trace_id, source, body in rows:
        if trace_id not in found and (wanted is None or wanted.match(source, body)):
            found.add(trace_id)
    return found
