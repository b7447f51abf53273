"""All traces, those of other programs too; their services and operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from hudtrace.index import Index, cursors
from hudtrace.index.conditions import Condition, all_of
from hudtrace.index.filters import Filter
from hudtrace.index.running import running
from hudtrace.store import queries
from hudtrace.store.queries import State


class TraceRow(NamedTuple):
    """One trace; times in unix ns, `end` None until a span of it has ended.

    `name` and `service` are those of its root, even while that is open, or of its first
    span. `state` is that of an episode: done, running, or interrupted.
    """

    trace_id: str
    service: str | None
    name: str | None
    start: int
    end: int | None
    spans: int
    errors: int
    episode: bool
    state: State = "done"

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        return None if self.end is None else (self.end - self.start) / 1e9


class Operation(NamedTuple):
    """What a service does; `kind` is that of OTLP: 1 internal, 2 server, 3 client."""

    name: str
    kind: int


@dataclass(frozen=True, slots=True)
class Traces:
    """Some traces, the newest first; `cursor` asks for those after them."""

    rows: list[TraceRow]
    cursor: str | None


_NAME = (
    "iif(t.named_at = -1, t.name, coalesce("
    "(SELECT o.name FROM open_spans AS o WHERE o.trace_id = t.trace_id "
    "AND o.parent_id IS NULL), "
    "(SELECT 'eval ' || p.name FROM episodes AS p WHERE p.trace_id = t.trace_id), "
    "t.name))"
)
_UNENDED = (
    "EXISTS (SELECT 1 FROM open_spans AS o WHERE o.trace_id = t.trace_id) OR EXISTS "
    "(SELECT 1 FROM episodes AS p WHERE p.trace_id = t.trace_id AND p.end IS NULL)"
)
_COLUMNS = (
    f"lower(hex(t.trace_id)), t.service, {_NAME}, t.start, t.end, t.spans, t.errors, "
    f"EXISTS (SELECT 1 FROM listed WHERE trace = t.id), {_UNENDED}"
)


def traces(
    index: Index,
    service: str | None = None,
    name: str | None = None,
    *,
    errors: bool = False,
    start: int | None = None,
    end: int | None = None,
    min_duration: int | None = None,
    max_duration: int | None = None,
    limit: int = 100,
    cursor: str | None = None,
    filter_: Filter | None = None,
) -> Traces:
    """Return the newest traces that have spans of *service*, or of that *name*.

    They begin between *start* and *end*; durations are of the whole trace; all in ns.
    With *filter_* they are the episodes that it leaves.
    Raises ValueError for a cursor that there is not.
    """
    where = _where(index, service, name, errors=errors, start=start, end=end)
    where += [
        Condition(sql, [value])
        for sql, value in (
            ("t.end - t.start >= ?", min_duration),
            ("t.end - t.start <= ?", max_duration),
        )
        if value is not None
    ]
    if filter_ is not None:
        where.append(all_of(index, filter_, running(index.db), _OF_EPISODE))
    if cursor is not None:
        place = cursors.read(cursor, "traces", 2)
        where.append(Condition("(t.start, t.id) < (?, ?)", place))
    found = index.db.execute(
        f"SELECT t.id, {_COLUMNS} FROM traces AS t "
        f"WHERE {' AND '.join(each.sql for each in where) or '1'} ORDER BY t.start DESC, t.id DESC LIMIT ?",
        (*(value for each in where for value in each.values), limit + 1),
    ).fetchall()
    rows = _rows(index, [row[1:] for row in found[:limit]])
    last = found[limit - 1] if len(found) > limit else None
    return Traces(rows, cursors.written("traces", last[4], last[0]) if last else None)


def count(index: Index, filter_: Filter | None = None) -> int:
    """Return how many traces there are, with *filter_* of those that `traces` returns."""
    where = Condition("1")
    if filter_ is not None:
        where = all_of(index, filter_, running(index.db), _OF_EPISODE)
    (found,) = index.db.execute(
        f"SELECT count(*) FROM traces AS t WHERE {where.sql}", where.values
    ).fetchone()
    return int(found)


def _where(
    index: Index,
    service: str | None,
    name: str | None,
    *,
    errors: bool,
    start: int | None,
    end: int | None,
) -> list[Condition]:
    found = [Condition("t.errors > 0")] if errors else []
    for sql, value in (
        ("t.start >= ?", start),
        ("t.start <= ?", end),
        (_OF_SERVICE, service),
    ):
        if value is not None:
            found.append(Condition(sql, [value]))
    if name is not None:
        keys = _operations_of(index, name, service)
        marks = ",".join("?" * len(keys))
        found.append(Condition(_OF_OPERATION.format(marks), keys))
    return found


_OF_SERVICE = (
    "EXISTS (SELECT 1 FROM trace_services AS own WHERE own.trace = t.id "
    "AND own.service = (SELECT id FROM services WHERE name = ?))"
)
_OF_EPISODE = "t.id IN (SELECT e.trace FROM listed AS e WHERE {})"
_OF_OPERATION = (
    "EXISTS (SELECT 1 FROM trace_operations AS done "
    "WHERE done.operation IN ({}) AND done.trace = t.id)"
)


def traces_of(index: Index, numbers: list[int]) -> dict[int, TraceRow]:
    """Return traces by the numbers that the index has given them."""
    marks = ",".join("?" * len(numbers))
    rows = index.db.execute(
        f"SELECT t.id, {_COLUMNS} FROM traces AS t WHERE t.id IN ({marks})", numbers
    ).fetchall()
    found = _rows(index, [row[1:] for row in rows])
    return {row[0]: trace for row, trace in zip(rows, found, strict=True)}


def services(index: Index) -> list[str]:
    """Return the names of all services."""
    rows = index.db.execute("SELECT name FROM services ORDER BY name")
    return [name for (name,) in rows]


def operations(index: Index, service: str) -> list[Operation]:
    """Return what spans of *service* are called, and of which kind they are."""
    rows = index.db.execute(
        "SELECT name, kind FROM operations "
        "WHERE service = (SELECT id FROM services WHERE name = ?) ORDER BY name, kind",
        (service,),
    )
    return [Operation(*row) for row in rows]


def _operations_of(index: Index, name: str, service: str | None) -> list[int]:
    rows = index.db.execute(
        "SELECT id FROM operations WHERE service IN "
        "(SELECT id FROM services WHERE ?1 IS NULL OR name = ?1) AND name = ?2",
        (service, name),
    )
    return [key for (key,) in rows]


def _rows(index: Index, rows: list[tuple[Any, ...]]) -> list[TraceRow]:
    alive = queries.running_traces(index.db) if any(row[-1] for row in rows) else set()
    found = []
    for *columns, episode, unended in rows:
        state: State = "done"
        if unended:
            state = "running" if columns[0] in alive else "interrupted"
        found.append(TraceRow._make((*columns, bool(episode), state)))
    return found
