"""The rewards of an episode, early and late, and what their graders have read."""

from __future__ import annotations

import sqlite3

from hudtrace import semconv
from hudtrace.store import queries
from hudtrace.store.decode import decode_span
from hudtrace.transcript.late import late_trace
from hudtrace.viewer import addresses
from hudtrace.viewer.api.stored import find
from hudtrace.viewer.endpoints import Json


def verdicts(db: sqlite3.Connection, trace_id: str) -> list[Json]:
    """Return every reward of an episode, with what its grader said."""
    found = []
    for verdict in queries.verdicts(db, trace_id):
        where = trace_id
        if verdict.late:
            where = late_trace(db, verdict.span_id, verdict.at) or trace_id
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
