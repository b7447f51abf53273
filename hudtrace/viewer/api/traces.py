"""All traces, those of other programs too, by service, name, time and duration."""

from __future__ import annotations

from hudtrace.index import traces
from hudtrace.index.copying import numbers_of
from hudtrace.index.traces import TraceRow
from hudtrace.store import queries
from hudtrace.viewer import addresses
from hudtrace.viewer.desk import Desk
from hudtrace.viewer.endpoints import CURSOR, Endpoint, Flag, Json, Number, Text
from hudtrace.viewer.problems import Problem

_BOUNDS = ("start", "end", "min_duration", "max_duration")


def listed(
    desk: Desk,
    service: str | None,
    name: str | None,
    errors: bool,
    prefix: str | None,
    cursor: str | None,
    limit: int,
    **bounds: int | None,
) -> Json:
    """Return the newest traces, a page of them; or those whose id begins with `prefix`."""
    index = desk.index
    if prefix is not None:
        keys = queries.find_traces(desk.db, prefix, limit)
        numbers = numbers_of(index.db, map(bytes.fromhex, keys))
        rows = traces.traces_of(index, list(numbers.values())).values()
        return {
            "rows": [trace_data(row) for row in rows],
            "cursor": None,
            "services": [],
        }
    try:
        found = traces.traces(
            index, service, name, errors=errors, limit=limit, cursor=cursor, **bounds
        )
    except ValueError as error:
        raise Problem(400, str(error)) from error
    return {
        "rows": [trace_data(row) for row in found.rows],
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
            CURSOR,
            Number("limit", "traces at most", default=100, least=1, most=1000),
        ),
    ),
)
