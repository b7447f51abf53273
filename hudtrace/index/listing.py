"""The list of episodes: a page of it, and what lies beside one of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hudtrace.index import Index, cursors
from hudtrace.index.conditions import Condition, condition
from hudtrace.index.copying import numbers_of
from hudtrace.index.facets import facets as facets
from hudtrace.index.figures import summary as summary
from hudtrace.index.filters import Filter
from hudtrace.index.running import running
from hudtrace.store import queries
from hudtrace.store.queries import Episode
from hudtrace.store.so_far import Used

#: What a list can be in the order of, and the column that it is.
SORTS = {
    "started": "start",
    "ended": "end",
    "reward": "reward",
    "dur": "took",
    "tokens": "tokens",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cost": "cost",
    "turns": "turns",
    "calls": "tool_calls",
    "errors": "tool_errors",
    "attempt": "attempt",
    "env": "env",
    "scenario": "scenario",
    "task": "task_id",
    "model": "model",
    "agent": "agent",
    "variant": "variant",
    "outcome": "outcome",
    "failure": "failure",
    "job": "job_id",
}
MOST_COUNTED = 100_000


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list; `total` is at least that many if it is `total_capped`.

    `cursor` asks for the rows after these, None if these are the last.
    """

    rows: list[Episode]
    total: int
    total_capped: bool
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What is before and after a row, and the place that it has, from 1.

    `position` is None for one that the filter leaves out.
    """

    prev: str | None
    next: str | None
    position: int | None
    total: int


@dataclass(frozen=True, slots=True)
class Order:
    """How a list is sorted: unknown values last, equal ones by their place in the index."""

    column: str
    descending: bool

    @classmethod
    def of(cls, sort: str) -> Order:
        """Read `reward` or `-reward`; raises ValueError if there is no such column."""
        name = sort.removeprefix("-")
        if name not in SORTS:
            raise ValueError(
                f"cannot sort by {name[:40]!r}; there are: {', '.join(SORTS)}, each with "
                f"- before it for the largest first"
            )
        return cls(SORTS[name], sort.startswith("-"))

    def sql(self, backwards: bool = False) -> str:
        """Return what ORDER BY has."""
        way = "DESC" if self.descending != backwards else "ASC"
        if self.column == "start":
            return f"e.start {way}, e.trace {way}"
        nulls = "FIRST" if backwards else "LAST"
        return f"e.{self.column} {way} NULLS {nulls}, e.trace {way}"

    def after(self, value: Any, trace: int, backwards: bool = False) -> Condition:
        """Return the condition of the rows behind one; with *backwards*, before it."""
        column = f"e.{self.column}"
        sign = "<" if self.descending != backwards else ">"
        if value is None:
            tie = f"{column} IS NULL AND e.trace {sign} ?"
            return Condition(
                f"{column} IS NOT NULL OR {tie}" if backwards else tie, [trace]
            )
        more = "" if backwards or self.column == "start" else f" OR {column} IS NULL"
        return Condition(f"({column}, e.trace) {sign} (?, ?){more}", [value, trace])


def episodes(
    index: Index,
    filter_: Filter,
    sort: str = "-started",
    offset: int = 0,
    limit: int = 100,
    cursor: str | None = None,
) -> Page:
    """Return a page of the episodes that *filter_* leaves.

    A filter with errors leaves none. Raises ValueError for an order or a cursor that
    there is not.
    """
    order = Order.of(sort)
    if filter_.errors:
        return Page([], 0, total_capped=False, cursor=None)
    where = condition(index, filter_, running(index.db))
    total, capped = count(index.db, where)
    behind = Condition("1") if cursor is None else _behind(order, cursor, sort)
    found = index.db.execute(
        f"SELECT e.trace, e.{order.column}, lower(hex(t.trace_id)) FROM listed AS e "
        f"JOIN traces AS t ON t.id = e.trace WHERE ({where.sql}) AND ({behind.sql}) "
        f"ORDER BY {order.sql()} LIMIT ? OFFSET ?",
        (*where.values, *behind.values, limit + 1, offset),
    ).fetchall()
    shown = found[:limit]
    rows = _episodes(index.db, shown)
    more = len(found) > limit and bool(shown)
    following = cursors.written(f"episodes {sort}", *shown[-1][:2]) if more else None
    return Page(rows, total, capped, following)


def neighbours(index: Index, filter_: Filter, sort: str, trace_id: str) -> Neighbours:
    """Return which episodes are before and after *trace_id* in the list."""
    order = Order.of(sort)
    if filter_.errors:
        return Neighbours(None, None, None, 0)
    where = condition(index, filter_, running(index.db))
    total, _capped = count(index.db, where)
    numbers = numbers_of(index.db, [bytes.fromhex(trace_id)])
    own = index.db.execute(
        f"SELECT e.{order.column}, e.trace, ({where.sql}) FROM listed AS e "
        "WHERE e.trace = ?",
        (*where.values, next(iter(numbers.values()), None)),
    ).fetchone()
    if own is None:
        return Neighbours(None, None, None, total)
    value, number, matches = own
    before = order.after(value, number, backwards=True)
    position = None
    if matches:
        both = _both(where, before)
        (earlier,) = index.db.execute(
            f"SELECT count(*) FROM listed AS e WHERE {both.sql}", both.values
        ).fetchone()
        position = earlier + 1
    return Neighbours(
        _first(index.db, _both(where, before), order.sql(backwards=True)),
        _first(index.db, _both(where, order.after(value, number)), order.sql()),
        position,
        total,
    )


def count(db: sqlite3.Connection, where: Condition) -> tuple[int, bool]:
    """Return how many episodes *where* leaves, and whether there may be more."""
    (found,) = db.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM listed AS e WHERE {where.sql} LIMIT ?)",
        (*where.values, MOST_COUNTED + 1),
    ).fetchone()
    return min(found, MOST_COUNTED), found > MOST_COUNTED


def _episodes(
    db: sqlite3.Connection, shown: Sequence[tuple[int, Any, str]]
) -> list[Episode]:
    """Return the episodes, what those that have not ended use as the list has it."""
    found = queries.episodes_of(db, [trace_id for _, _, trace_id in shown])
    numbers = {trace_id: number for number, _, trace_id in shown}
    return [
        each
        if each.end is not None
        else queries.used(each, _use(db, numbers[each.trace_id]))
        for each in found
    ]


def _use(db: sqlite3.Connection, number: int) -> Used:
    row = db.execute(
        f"SELECT {', '.join(Used._fields)} FROM listed WHERE trace = ?", (number,)
    ).fetchone()
    return Used(*row)


def _behind(order: Order, cursor: str, sort: str) -> Condition:
    trace, value = cursors.read(cursor, f"episodes {sort}", 2)
    return order.after(value, trace)


def _both(one: Condition, other: Condition) -> Condition:
    return Condition(f"({one.sql}) AND ({other.sql})", [*one.values, *other.values])


def _first(db: sqlite3.Connection, where: Condition, order: str) -> str | None:
    row = db.execute(
        f"SELECT e.trace FROM listed AS e WHERE {where.sql} ORDER BY {order} LIMIT 1",
        where.values,
    ).fetchone()
    if row is None:
        return None
    (key,) = db.execute("SELECT trace_id FROM traces WHERE id = ?", row).fetchone()
    return str(key.hex())
