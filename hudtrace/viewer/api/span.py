"""One span whole: its attributes, events and links, and who has recorded it."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from hudtrace.store.queries import StoredSpan
from hudtrace.viewer import addresses
from hudtrace.viewer.api.stored import find, source
from hudtrace.viewer.api.verdicts import read_by_grader, verdicts
from hudtrace.viewer.desk import Desk
from hudtrace.viewer.encoding import exact
from hudtrace.viewer.endpoints import SPAN_ID, TRACE_ID, Endpoint, Flag, Json
from hudtrace.viewer.kinds import kind_by
from hudtrace.viewer.problems import Problem

_LONGEST = 20_000  # characters of a text that is sent unasked
_HEAD = 2_000


def whole(desk: Desk, trace_id: str, span_id: str, full: bool) -> Json:
    """Return everything about one span, long texts by their beginning."""
    span = find(desk.db, trace_id, span_id)
    if span is None:
        raise Problem(404, f"the trace {trace_id} has no span {span_id} (yet)")
    shown = exact if full else _shortened
    data = _facts(desk.db, span)
    data["attributes"] = shown(span.attributes)
    data["events"] = [
        {
            "name": event.name,
            "time": str(event.timestamp),
            "attributes": shown(event.attributes),
        }
        for event in span.events
    ]
    data["links"] = [
        {
            "trace_id": link.trace_id,
            "span_id": link.span_id,
            "attributes": shown(link.attributes),
            "url": addresses.trace(link.trace_id, link.span_id),
        }
        for link in span.links
    ]
    data["read_by_grader"] = span_id in read_by_grader(desk.db, trace_id)
    data["verdict"] = next(
        (v for v in verdicts(desk.db, trace_id) if v["span_id"] == span_id), None
    )
    data["conversation"] = _conversation(desk.db, span)
    return data


def _facts(db: sqlite3.Connection, span: StoredSpan) -> Json:
    resource, scope = source(db, span)
    return {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "url": addresses.trace(span.trace_id, span.span_id),
        "name": span.name,
        "kind": kind_by(span.attributes, span.name),
        "start": str(span.start),
        "end": None if span.end is None else str(span.end),
        "state": span.state,
        "status": {"code": span.status, "message": span.status_message},
        "resource": exact(resource),
        "scope": scope,
    }


def _conversation(db: sqlite3.Connection, span: StoredSpan) -> Json | None:
    """Return how many messages a model's call was given and answered."""
    if span.node is None:
        return None
    (length,) = db.execute(
        "WITH RECURSIVE chain(hash, parent) AS ("
        " SELECT hash, parent FROM nodes WHERE hash = ?"
        " UNION ALL SELECT n.hash, n.parent FROM nodes AS n"
        " JOIN chain ON n.hash = chain.parent) SELECT count(*) FROM chain",
        (span.node,),
    ).fetchone()
    replies = span.replies or 0
    return {"input": length - replies, "output": replies, "tools": _tools(db, span)}


def _tools(db: sqlite3.Connection, span: StoredSpan) -> int:
    row = db.execute(
        "SELECT body FROM messages WHERE hash = ?", (span.tools,)
    ).fetchone()
    tools = json.loads(row[0]) if row else []
    return len(tools) if isinstance(tools, list) else 1


def _shortened(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONGEST:
        return {"$cut": True, "length": len(value), "head": value[:_HEAD]}
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    return exact(value)


ENDPOINTS = (
    Endpoint(
        "/trace/{trace_id}/span/{span_id}",
        whole,
        (TRACE_ID, SPAN_ID),
        (Flag("full", "long texts whole"),),
    ),
)
