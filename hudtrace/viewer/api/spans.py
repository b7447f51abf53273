"""The spans of a trace: as columns for a timeline, and one of them whole."""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from hudtrace import semconv
from hudtrace.store import queries
from hudtrace.store.decode import decode_attributes, decode_span
from hudtrace.store.queries import StoredSpan
from hudtrace.viewer import addresses
from hudtrace.viewer.desk import Desk
from hudtrace.viewer.encoding import exact
from hudtrace.viewer.endpoints import SPAN_ID, TRACE_ID, Endpoint, Flag, Json, Number
from hudtrace.viewer.kinds import kind_by, kind_of
from hudtrace.viewer.problems import Problem

COLUMNS = (
    "id",
    "parent",
    "name",
    "kind",
    "start",
    "duration",
    "status",
    "state",
    "turn",
    "label",
    "tokens",
)
_LONGEST = 20_000  # characters of a text that is sent unasked
_HEAD = 2_000
_ROWS = (
    "SELECT id, span_id, parent_id, name, start, end, status, operation, model, phase, "
    "turn, CASE WHEN node IS NOT NULL OR operation IS NOT 'execute_tool' THEN body END "
    "FROM spans WHERE trace_id = ? AND id > ? ORDER BY start, id"
)


def listed(desk: Desk, trace_id: str, after: int) -> Json:
    """Return the spans of a trace by start, those open last; times from `base` on.

    `seq` counts the spans that are stored: with `after`, only newer ones are given,
    and all that are open.
    """
    key = bytes.fromhex(trace_id)
    unfinished = queries.open_spans(desk.db, trace_id)
    seq, first = desk.db.execute(
        "SELECT max(id), min(start) FROM spans WHERE trace_id = ?", (key,)
    ).fetchone()
    starts = [span.start for span in unfinished] + ([] if first is None else [first])
    base = min(starts, default=0)
    rows = [_row(row, base) for row in desk.db.execute(_ROWS, (key, after))]
    rows += [_open_row(span, base) for span in unfinished]
    return {"base": str(base), "seq": seq or 0, "columns": COLUMNS, "rows": rows}


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


def find(db: sqlite3.Connection, trace_id: str, span_id: str) -> StoredSpan | None:
    """Return one span of a trace, ended or open; None if there is none."""
    row = db.execute(
        "SELECT parent_id, name, start, end, status, node, replies, tools, body "
        "FROM spans WHERE trace_id = ? AND span_id = ?",
        (bytes.fromhex(trace_id), bytes.fromhex(span_id)),
    ).fetchone()
    if row is not None:
        parent = row[0].hex() if row[0] else None
        return StoredSpan(trace_id, span_id, parent, *row[1:])
    still_open = queries.open_spans(db, trace_id)
    return next((span for span in still_open if span.span_id == span_id), None)


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


def _row(row: tuple[Any, ...], base: int) -> list[Any]:
    _, span_id, parent, name, start, end, status, operation, model, phase, turn = row[
        :11
    ]
    kind, label, tokens = kind_of(operation, name, phase), "", None
    if kind is None or kind == "model":
        attributes = decode_attributes(row[11] or b"")
        kind = kind or kind_by(attributes, name)
        label, tokens = _label(kind, name, model, attributes), _tokens(kind, attributes)
    elif kind == "tool":
        label = name.removeprefix(f"{semconv.OP_EXECUTE_TOOL} ")
    return [
        span_id.hex(),
        parent.hex() if parent else None,
        name,
        kind,
        start - base,
        end - start,
        status,
        "done",
        turn,
        label,
        tokens,
    ]


def _open_row(span: StoredSpan, base: int) -> list[Any]:
    attributes = span.attributes
    kind = kind_by(attributes, span.name)
    return [
        span.span_id,
        span.parent_id,
        span.name,
        kind,
        span.start - base,
        None,
        0,
        span.state,
        attributes.get(semconv.TURN_INDEX),
        _label(kind, span.name, attributes.get(semconv.REQUEST_MODEL), attributes),
        None,
    ]


def _label(kind: str, name: str, model: str | None, attributes: Json) -> str:
    if kind == "model":
        return str(model or attributes.get(semconv.RESPONSE_MODEL) or "")
    if kind == "tool":
        default = name.removeprefix(f"{semconv.OP_EXECUTE_TOOL} ")
        return str(attributes.get(semconv.TOOL_NAME) or default)
    return ""


def _tokens(kind: str, attributes: Json) -> int | None:
    """Return all tokens of a model's call, None where nobody has counted."""
    counts = [attributes.get(k) for k in (semconv.USAGE_INPUT, semconv.USAGE_OUTPUT)]
    known = [count for count in counts if isinstance(count, int)]
    return sum(known) if kind == "model" and known else None


def _facts(db: sqlite3.Connection, span: StoredSpan) -> Json:
    resource, scope = _source(db, span)
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


def _source(db: sqlite3.Connection, span: StoredSpan) -> tuple[Json, Json]:
    row = db.execute(
        "SELECT resource, scope FROM spans JOIN sources ON sources.id = source "
        "WHERE trace_id = ? AND span_id = ?",
        (bytes.fromhex(span.trace_id), bytes.fromhex(span.span_id)),
    ).fetchone()
    if row is None:
        return {}, {"name": "", "version": ""}
    return source_of(*row)


@functools.lru_cache(maxsize=256)
def source_of(resource: bytes, scope: bytes) -> tuple[Json, Json]:
    """Read who has recorded a span: the resource's attributes, and the scope."""
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

    about = ResourceSpans.FromString(resource).resource
    by = ScopeSpans.FromString(scope).scope
    as_span = Span(attributes=about.attributes).SerializeToString()
    return decode_attributes(as_span), {"name": by.name, "version": by.version}


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
    for reach in (5_000, most - least):
        row = db.execute(
            "SELECT trace_id FROM spans WHERE id BETWEEN ? AND ? AND span_id = ?",
            (low - reach, low + reach, bytes.fromhex(span_id)),
        ).fetchone()
        if row is not None:
            return str(row[0].hex())
    return None


def _shortened(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONGEST:
        return {"$cut": True, "length": len(value), "head": value[:_HEAD]}
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return _shortened_list(value)
    return exact(value)


def _shortened_list(values: Iterable[Any]) -> list[Any]:
    return [_shortened(value) for value in values]


ENDPOINTS = (
    Endpoint(
        "/trace/{trace_id}/spans",
        listed,
        (TRACE_ID,),
        (Number("after", "only spans stored since this `seq`", default=0),),
    ),
    Endpoint(
        "/trace/{trace_id}/span/{span_id}",
        whole,
        (TRACE_ID, SPAN_ID),
        (Flag("full", "long texts whole"),),
    ),
)
