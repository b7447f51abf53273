"""The rewards of an episode, early and late, and what their graders have read."""

from __future__ import annotations

import sqlite3

from hudtrace import semconv
from hudtrace.store import queries
from hudtrace.store.decode import decode_span
from hudtrace.viewer import addresses
from hudtrace.viewer.api.stored import find
from hudtrace.viewer.endpoints import Json

_NEAR = 5_000  # rows around the time of a late verdict


def verdicts(db: sqlite3.Connection, trace_id: str) -> list[Json]:
    """Return every reward of an episode, with what its grader said."""
    found = []
    for verdict in queries.verdicts(db, trace_id):
        where = trace_id
        if verdict.late:
            where = _late_trace(db, verdict.span_id, verdict.at) or trace_id
        span = find(db, where, verdict.span_id)
        said = None if span is None else span.attributes
        found.append(
            {
                "span_id": verdict.span_id,
                "trace_id": where,
                "name": verdict.name,
                "value": verdict.value,
                "label": verdict.label,
                "explanation": (said or {}).get(semconv.EVALUATION_EXPLANATION),
                "kind": verdict.kind,
                "evaluator": verdict.evaluator,
                "version": verdict.version,
                "at": str(verdict.at),
                "late": verdict.late,
                "effective": verdict.effective,
                "supersedes": verdict.supersedes,
                "url": addresses.trace(where, verdict.span_id),
            }
        )
    return found


def read_by_grader(db: sqlite3.Connection, trace_id: str) -> list[str]:
    """Return the spans that the reward of an episode is linked to as read."""
    rows = db.execute(
        "SELECT body FROM spans WHERE trace_id = ? AND phase = ? AND operation IS NULL",
        (bytes.fromhex(trace_id), semconv.PHASE_GRADE),
    )
    links = (link for (body,) in rows for link in decode_span(body).links)
    read = [k.span_id for k in links if k.attributes.get(semconv.LINK_KIND) == "read"]
    return list(dict.fromkeys(read))


def _late_trace(db: sqlite3.Connection, span_id: str, at: int) -> str | None:
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
