"""Stored spans back as OTLP, with the conversations of model calls in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hudtrace import semconv
from hudtrace.delivery import otlp
from hudtrace.store.queries import message_chain

_AT_ONCE = 500


def request_of(
    db: sqlite3.Connection, trace_ids: Iterable[str], *, content: bool = True
) -> Any:
    """Return the spans of traces as one `ExportTraceServiceRequest`.

    Those that have ended, by start time; a trace that is not there has none. Without
    *content* the messages of model calls are left out.
    """
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
    )

    keys = [bytes.fromhex(trace_id) for trace_id in trace_ids]
    request = ExportTraceServiceRequest()
    for start in range(0, len(keys), _AT_ONCE):
        for chunk in _encoded(db, keys[start : start + _AT_ONCE], content):
            request.MergeFromString(chunk)
    return request


def _encoded(
    db: sqlite3.Connection, keys: Sequence[bytes], content: bool
) -> Iterator[bytes]:
    """Yield a request for each run of spans of one resource and library."""
    marks = ",".join("?" * len(keys))
    rows = db.execute(
        f"SELECT source, body, node, replies, tools FROM spans "
        f"WHERE trace_id IN ({marks}) ORDER BY source, start, id",
        keys,
    )
    source, bodies = None, list[bytes]()
    for row in rows:
        if row[0] != source and bodies:
            yield _request(db, source, bodies)
            bodies = []
        source = row[0]
        said = _conversation(db, *row[2:]) if content else b""
        bodies.append(row[1] + said)
    if bodies:
        yield _request(db, source, bodies)


def _request(db: sqlite3.Connection, source: Any, bodies: list[bytes]) -> bytes:
    resource, scope, url = db.execute(
        "SELECT resource, scope, schema_url FROM sources WHERE id = ?", (source,)
    ).fetchone()
    return otlp.encode_request(resource, [(scope, url, bodies)])


def _conversation(
    db: sqlite3.Connection,
    node: bytes | None,
    replies: int | None,
    tools: bytes | None,
) -> bytes:
    """Return the messages of a model call as attributes to append to its span."""
    pieces = []
    if node is not None:
        messages = message_chain(db, node)
        split = len(messages) - (replies or 0)
        for key, some in (
            (semconv.INPUT_MESSAGES, messages[:split]),
            (semconv.OUTPUT_MESSAGES, messages[split:]),
        ):
            if some:
                pieces.append(otlp.string_attribute(key, b"[" + b",".join(some) + b"]"))
    if tools is not None:
        row = db.execute("SELECT body FROM messages WHERE hash = ?", (tools,))
        pieces += [
            otlp.string_attribute(semconv.TOOL_DEFINITIONS, body) for (body,) in row
        ]
    return b"".join(pieces)
