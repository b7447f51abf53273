"""All traces, those of other programs too, by service, name, time and duration."""

from __future__ import annotations

from typing import Any

from hudtrace.index import filters, traces
from hudtrace.index.copying import numbers_of
from hudtrace.index.traces import TraceRow
from hudtrace.store import queries
from hudtrace.viewer import addresses
from hudtrace.viewer.api.episodes import FILTER
from hudtrace.viewer.desk import Desk
from hudtrace.viewer.endpoints import CURSOR, Endpoint, Flag, Json, Number, Text
from hudtrace.viewer.problems import Problem

_BOUNDS = ("start", "end", "min_duration", "max_duration")


def listed(desk: Desk, prefix: str | None, q: str, **asked: Any) -> Json:
    """Return the newest traces, a page of them; or those whose id begins with `prefix`.

    With `q` they are the episodes that it leaves. All times are in ns.
    """
    index = desk.index
    if prefix is not None:
        keys = queries.find_traces(desk.db, prefix, asked["limit"])
        numbers = numbers_of(index.db, map(bytes.fromhex, keys))
        begun = traces.traces_of(index, list(numbers.values())).values()
        return {"rows": list(map(trace_data, begun)), "cursor": None, "services": []}
    filter_ = filters.parse(q) if q else None
    try:
        found = traces.traces(index, filter_=filter_, **asked)
    except ValueError as error:
        raise Problem(400, str(error)) from error
    return {
        "rows": list(map(trace_data, found.rows)),
        "cursor": found.cursor,
        "services": traces.services(index),
    }


def trace_data(row: TraceRow) -> Json:
    """Return a row of the list of traces."""
    return {
        "trace_id": row.trace_id,
        "url": addresses.trace(row.trace_id),
        "service": row.service,
        "name": row.name,
        "started": str(row.start),
        "seconds": row.seconds,
        "spans": row.spans,
        "errors": row.errors,
        "episode": row.episode,
        "state": row.state,
    }


ENDPOINTS = (
    Endpoint(
        "/traces",
        listed,
        parameters=(
            Text("service", "only traces with spans of this service"),
            Text("name", "only traces with spans of this name"),
            Flag("errors", "only traces with errors"),
            Text("prefix", "the first digits of an id", pattern="[0-9a-f]{1,32}"),
            *(Number(name, f"{name}, in unix ns or ns") for name in _BOUNDS),
            FILTER,
            CURSOR,
            Number("limit", "traces at most", default=100, least=1, most=1000),
        ),
    ),
)
