"""The spans of a trace as columns, which is what a timeline of ten thousand needs."""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

from hudtrace import semconv
from hudtrace.store import queries
from hudtrace.store.decode import decode_attributes
from hudtrace.store.queries import StoredSpan
from hudtrace.viewer.desk import Desk
from hudtrace.viewer.endpoints import TRACE_ID, Endpoint, Flag, Json, Number
from hudtrace.viewer.kinds import kind_by, kind_of, label_of, tokens_of, tool_label

_ROWS = (
    "SELECT span_id, parent_id, name, start, end, status, operation, phase, "
    "turn, CASE WHEN operation IS NOT 'execute_tool' THEN body END "
    "FROM spans WHERE trace_id = ? AND id > ? ORDER BY start, id"
)


class _Bar(NamedTuple):
    """A span of the timeline; ids are bytes, times unix ns."""

    id: bytes
    parent: bytes | None
    name: str
    kind: str
    start: int
    duration: int | None
    status: int
    state: str
    turn: int | None
    label: str
    tokens: int | None


def listed(desk: Desk, trace_id: str, after: int, packed: bool) -> Json:
    """Return the spans of a trace, a list for each column, by start, those open last.

    `start` is in µs since `base`, `duration` in µs, too. `parent` is a position in the
    lists, or an id that is not in them. `seq` counts the spans that are stored: with
    `after`, only newer ones are given, and all that are open. `packed` saves a
    fourth: all ids are one text, the base64 of their bytes; starts and turns count from
    the last one, and a parent is so many places before its span.
    """
    key = bytes.fromhex(trace_id)
    unfinished = queries.open_spans(desk.db, trace_id)
    seq, first = desk.db.execute(
        "SELECT max(id), min(start) FROM spans WHERE trace_id = ?", (key,)
    ).fetchone()
    starts = [span.start for span in unfinished] + ([] if first is None else [first])
    bars = [_stored(row) for row in desk.db.execute(_ROWS, (key, after))]
    bars += map(_open, unfinished)
    base = min(starts, default=0)
    return {
        "base": str(base),
        "unit": "us",
        "seq": seq or 0,
        "spans": (_packed if packed else _columns)(bars, base),
    }


def _columns(bars: list[_Bar], base: int) -> Json:
    places = {bar.id: place for place, bar in enumerate(bars)}
    columns: Json = {
        name: [bar[place] for bar in bars] for place, name in enumerate(_Bar._fields)
    }
    columns["id"] = [bar.id.hex() for bar in bars]
    columns["parent"] = [
        places.get(parent, parent.hex()) if parent else None
        for parent in columns["parent"]
    ]
    columns["start"] = [(start - base) // 1000 for start in columns["start"]]
    columns["duration"] = [
        None if duration is None else -(-duration // 1000)
        for duration in columns["duration"]
    ]
    return columns


def _packed(bars: list[_Bar], base: int) -> Json:
    columns = _columns(bars, base)
    columns["id"] = base64.b64encode(b"".join(bar.id for bar in bars)).decode()
    columns["start"] = _steps(columns["start"])
    columns["turn"] = _steps(columns["turn"])
    columns["parent"] = [
        place - parent if isinstance(parent, int) else parent
        for place, parent in enumerate(columns["parent"])
    ]
    return columns


def _steps(values: list[int | None]) -> list[int | None]:
    """Return each value as what is between it and the last that there was."""
    last, steps = 0, []
    for value in values:
        steps.append(None if value is None else value - last)
        last = last if value is None else value
    return steps


def _stored(row: tuple[Any, ...]) -> _Bar:
    span_id, parent, name, start, end, status, operation, phase, turn, body = row
    kind, label, tokens = kind_of(operation, name, phase), "", None
    if kind is None or kind == "model":
        attributes = decode_attributes(body)
        kind = kind or kind_by(attributes, name)
        label = label_of(kind, attributes, name)
        tokens = tokens_of(attributes) if kind == "model" else None
    elif kind == "tool":
        label = tool_label(name)
    took = end - start
    return _Bar(
        span_id, parent, name, kind, start, took, status, "done", turn, label, tokens
    )


def _open(span: StoredSpan) -> _Bar:
    attributes = span.attributes
    kind = kind_by(attributes, span.name)
    return _Bar(
        bytes.fromhex(span.span_id),
        bytes.fromhex(span.parent_id) if span.parent_id else None,
        span.name,
        kind,
        span.start,
        None,
        0,
        span.state,
        attributes.get(semconv.TURN_INDEX),
        label_of(kind, attributes, span.name),
        None,
    )


ENDPOINTS = (
    Endpoint(
        "/trace/{trace_id}/spans",
        listed,
        (TRACE_ID,),
        (
            Number("after", "only spans stored since this `seq`", default=0),
            Flag("packed", "ids and starts in their shortest form"),
        ),
    ),
)
