"""The spans of a trace without their content: all of them, cheaply."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hudtrace import semconv
from hudtrace.store import queries
from hudtrace.store.decode import Decoded, decode_span

#: An attribute in OTLP bytes: its key with its length, and where the value begins.
_CALL_ID = b"\n%c%b\x12" % (len(semconv.TOOL_CALL_ID), semconv.TOOL_CALL_ID.encode())


class Row(NamedTuple):
    """A span by its columns; `end` is None for an open one."""

    span_id: str
    parent_id: str | None
    name: str
    start: int
    end: int | None
    status: int
    operation: str | None
    model: str | None
    phase: str | None
    turn: int | None
    node: bytes | None
    replies: int
    call_id: str | None
    state: str = "done"

    @property
    def order(self) -> tuple[bool, int, int]:
        """Rows come in the order of their ends, so that later ones come last."""
        return (self.end is None, self.end or self.start, self.start)

    @property
    def is_tool(self) -> bool:
        """Whether the span is a call of a tool."""
        return self.operation == semconv.OP_EXECUTE_TOOL


def rows(db: sqlite3.Connection, trace_id: str) -> list[Row]:
    """Return every span of a trace, in the order in which they ended."""
    found = [_row(*each) for each in _ended(db, trace_id)]
    for place, row in enumerate(found):
        if row.call_id == "":  # longer than what was looked at
            whole = detail(db, trace_id, row.span_id).attributes
            found[place] = row._replace(call_id=str(whole.get(semconv.TOOL_CALL_ID)))
    found += [_open(span) for span in queries.open_spans(db, trace_id)]
    return sorted(found, key=lambda row: row.order)


def detail(db: sqlite3.Connection, trace_id: str, span_id: str) -> Decoded:
    """Return what is in a span beside its columns."""
    key = bytes.fromhex(trace_id), bytes.fromhex(span_id)
    for table in ("spans", "open_spans"):
        row = db.execute(
            f"SELECT body FROM {table} WHERE trace_id = ? AND span_id = ?", key
        ).fetchone()
        if row is not None:
            return decode_span(row[0])
    return Decoded({}, [], [], "")


def _ended(db: sqlite3.Connection, trace_id: str) -> Iterator[Any]:
    at = "instr(body, ?2)"
    return db.execute(
        'SELECT span_id, parent_id, name, start, "end", status, operation, model, '
        f"phase, turn, node, replies, CASE WHEN operation = ?3 AND {at} "
        f"THEN substr(body, {at} + {len(_CALL_ID)}, 130) END "
        "FROM spans WHERE trace_id = ?1",
        (bytes.fromhex(trace_id), _CALL_ID, semconv.OP_EXECUTE_TOOL),
    )


def _row(span_id: bytes, parent: bytes | None, *rest: Any) -> Row:
    *columns, replies, call_id = rest
    ids = span_id.hex(), parent.hex() if parent else None
    return Row._make((*ids, *columns, replies or 0, _text_at(call_id), "done"))


def _text_at(value: bytes | None) -> str | None:
    """Read a text at the start of an encoded value; empty for a long one."""
    if value is None:
        return None
    length = value[2] if len(value) > 2 and value[1] == 0x0A else 0x80
    if length & 0x80 or len(value) < 3 + length:
        return ""
    return value[3 : 3 + length].decode("utf-8", "replace")


def _open(span: queries.StoredSpan) -> Row:
    known: Mapping[str, Any] = span.attributes
    return Row(
        span.span_id,
        span.parent_id,
        span.name,
        span.start,
        None,
        0,
        known.get(semconv.OPERATION),
        known.get(semconv.REQUEST_MODEL),
        known.get(semconv.PHASE),
        known.get(semconv.TURN_INDEX),
        None,
        0,
        known.get(semconv.TOOL_CALL_ID),
        span.state,
    )


def scopes(spans: Sequence[Row], *operations: str) -> dict[str, str | None]:
    """Return for each span the nearest one around it of one of *operations*."""
    by_id = {row.span_id: row for row in spans}
    around: dict[str | None, str | None] = {None: None}  # what a child of it is in
    for row in spans:
        path, at = [], row.parent_id
        while at not in around:
            path.append(at)
            parent = by_id.get(at or "")
            is_scope = parent is not None and parent.operation in operations
            around[at] = at if is_scope else None  # a ring of parents ends here
            at = None if parent is None or is_scope else parent.parent_id
        for each in path:
            around[each] = around[each] or around[at]
    return {row.span_id: around[row.parent_id] for row in spans}
