"""One stored span: where it is, and who has recorded it."""

from __future__ import annotations

import functools
import sqlite3

from hudtrace.store import queries
from hudtrace.store.decode import decode_attributes
from hudtrace.store.queries import StoredSpan
from hudtrace.store.services import service_of
from hudtrace.viewer.endpoints import Json


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


def source(db: sqlite3.Connection, span: StoredSpan) -> tuple[Json, Json]:
    """Return who has recorded *span*; nothing while it is open."""
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


@functools.lru_cache(maxsize=256)
def service(resource: bytes) -> str:
    """Return what the service of a stored resource is called."""
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

    return service_of(ResourceSpans.FromString(resource).resource)
