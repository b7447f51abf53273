"""Services, their operations and calls, and the figures of traces, for Jaeger's API."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

from hudtrace.index import candidates
from hudtrace.interchange.jaeger_model import KINDS
from hudtrace.viewer.jaeger_tags import origins

_AT_ONCE = 500


def services(db: sqlite3.Connection) -> list[str]:
    """Return the services that have spans, in order."""
    rows = db.execute(
        "SELECT name FROM services AS s "
        "WHERE EXISTS (SELECT 1 FROM trace_services WHERE service = s.id) ORDER BY name"
    )
    return [name for (name,) in rows]


def operations(db: sqlite3.Connection, service: str) -> list[tuple[str, str]]:
    """Return the names and kinds of the spans of a service, in order."""
    rows = db.execute(
        "SELECT o.name, o.kind FROM operations AS o "
        "JOIN services AS s ON s.id = o.service WHERE s.name = ? "
        "AND EXISTS (SELECT 1 FROM trace_operations WHERE operation = o.id) "
        "ORDER BY o.name, o.kind",
        (service,),
    )
    return [(name, KINDS[kind] if kind < len(KINDS) else "") for name, kind in rows]


def dependencies(
    db: sqlite3.Connection, start: int, end: int
) -> list[tuple[str, str, int]]:
    """Return how often spans of one service have a parent of another."""
    names = {origin.id: origin.service for origin in origins(db)}
    found: Counter[tuple[str, str]] = Counter()
    traces = candidates.of_several_services(db, start=start, end=end)
    while page := list(islice(traces, _AT_ONCE)):
        rows = db.execute(
            f"SELECT parent.source, child.source, count(*) FROM spans AS child "
            f"JOIN spans AS parent ON parent.trace_id = child.trace_id "
            f"AND parent.span_id = child.parent_id "
            f"WHERE child.trace_id IN ({','.join('?' * len(page))}) "
            f"AND child.source <> parent.source GROUP BY 1, 2",
            page,
        )
        for parent, child, count in rows:
            found[names[parent], names[child]] += count
    return [
        (parent, child, count)
        for (parent, child), count in sorted(found.items())
        if parent != child
    ]


def summaries(db: sqlite3.Connection, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the figures of traces, in the order of *ids*."""
    found = {}
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        found.update(_summaries(db, [bytes.fromhex(trace_id) for trace_id in some]))
    return [found[trace_id] for trace_id in ids if trace_id in found]


def _summaries(
    db: sqlite3.Connection, keys: Sequence[bytes]
) -> dict[str, dict[str, Any]]:
    names = {origin.id: origin.service for origin in origins(db)}
    rows = db.execute(
        f"SELECT s.trace_id, s.source, s.parent_id IS NULL, p.span_id IS NULL, s.name, "
        f"s.start, max(s.end, s.start + 1), s.status = 2 "
        f"FROM spans AS s LEFT JOIN spans AS p "
        f"ON p.trace_id = s.trace_id AND p.span_id = s.parent_id "
        f"WHERE s.trace_id IN ({','.join('?' * len(keys))}) ORDER BY s.start, s.id",
        keys,
    )
    by_trace: dict[bytes, list[tuple[Any, ...]]] = {}
    for trace_id, source, *rest in rows:
        by_trace.setdefault(trace_id, []).append((names[source], *rest))
    return {key.hex(): _summary(key, spans) for key, spans in by_trace.items()}


def _summary(key: bytes, spans: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """Return the figures of one trace; its root is the first span without a parent."""
    first = min(spans, key=lambda span: (not span[1], not span[2]))
    by_service: dict[str, list[int]] = {}
    for service, _, _, _, _, _, failed in spans:
        count = by_service.setdefault(service, [0, 0])
        count[0] += 1
        count[1] += failed
    return {
        "traceId": key.hex(),
        "rootServiceName": first[0],
        "rootOperationName": first[3],
        "minStartTimeUnixNano": str(spans[0][4]),
        "maxEndTimeUnixNano": str(max(span[5] for span in spans)),
        "spanCount": len(spans),
        "errorSpanCount": sum(span[6] for span in spans),
        "orphanSpanCount": sum(span[2] and not span[1] for span in spans),
        "services": [
            {"name": name, "spanCount": count, "errorSpanCount": failed}
            for name, (count, failed) in sorted(by_service.items())
        ],
    }
