"""What episodes that passed have more often than those that failed, and less often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from hudtrace.index import Index
from hudtrace.index.chosen import chosen
from hudtrace.index.conditions import Condition, condition
from hudtrace.index.filters import Filter, quoted
from hudtrace.index.running import running

_MOST = 40
_WORDS = {
    "tool": "called {}",
    "failed": "{} failed",
    "error": "error {}",
    "model": "asked {}",
    "tag": "tag {}",
    "env": "environment {}",
    "scenario": "scenario {}",
    "agent": "agent {}",
    "variant": "variant {}",
    "stopped": "stopped by {}",
}
_COLUMNS = {
    "env": "env",
    "scenario": "scenario",
    "agent": "agent",
    "variant": "variant",
    "stopped": "stopped_by",
}
_NUMBERS = {
    "turns": ("turns", "more than {} turns"),
    "calls": ("tool_calls", "more than {} tool calls"),
    "errors": ("tool_errors", "more than {} failed tool calls"),
    "tokens": ("tokens", "more than {} tokens"),
    "dur": ("took", "longer than {}"),
}
_GRADED = "temp.chosen AS c CROSS JOIN listed AS e ON e.trace = c.trace"
_SPLIT = "total(e.reward >= 1), total(e.reward < 1)"


class LiftRow(NamedTuple):
    """One thing, the shares of both sides that have it, and the filter for it."""

    what: str
    passed_share: float
    failed_share: float
    difference: float
    filter_text: str


@dataclass(frozen=True, slots=True)
class Lift:
    """How many passed and failed, and the things that differ most between them.

    Of more than 10,000 graded episodes these are the newest.
    """

    passed: int
    failed: int
    rows: list[LiftRow]


def lift(index: Index, filter_: Filter) -> Lift:
    """Compare those of a reward of 1 or more with the other graded ones."""
    if filter_.errors:
        return Lift(0, 0, [])
    where = condition(index, filter_, running(index.db))
    graded = Condition(f"({where.sql}) AND e.reward IS NOT NULL", where.values)
    with chosen(index.db, graded):
        passed, failed = index.db.execute(f"SELECT {_SPLIT} FROM {_GRADED}").fetchone()
        found = list(_things(index)) if passed and failed else []
    rows = [
        LiftRow(what, a / passed, b / failed, a / passed - b / failed, text)
        for what, a, b, text in found
    ]
    telling = [row for row in rows if abs(row.difference) > 1e-9]
    telling.sort(key=lambda row: (-abs(row.difference), row.what))
    return Lift(int(passed), int(failed), telling[:_MOST])


_Thing = tuple[str, float, float, str]


def _things(index: Index) -> Iterator[_Thing]:
    for kind, value, passed, failed in index.db.execute(
        f"SELECT f.kind, f.value, {_SPLIT} FROM {_GRADED} "
        "CROSS JOIN trace_facts AS t ON t.trace = c.trace "
        "CROSS JOIN facts AS f ON f.id = t.fact GROUP BY f.id"
    ):
        yield _thing(kind, value, passed, failed)
    for name, column in _COLUMNS.items():
        for value, passed, failed in index.db.execute(
            f"SELECT e.{column}, {_SPLIT} FROM {_GRADED} "
            f"WHERE e.{column} IS NOT NULL GROUP BY 1"
        ):
            yield _thing(name, value, passed, failed)
    for name, (column, words) in _NUMBERS.items():
        yield from _above_the_middle(index, name, column, words)


def _thing(kind: str, value: str, passed: float, failed: float) -> _Thing:
    return _WORDS[kind].format(value), passed, failed, f"{kind}:{quoted(value)}"


def _above_the_middle(
    index: Index, name: str, column: str, words: str
) -> Iterator[_Thing]:
    """Yield how many have more of something than the one in the middle."""
    values = index.db.execute(
        f"SELECT e.{column} FROM {_GRADED} WHERE e.{column} IS NOT NULL ORDER BY 1"
    ).fetchall()
    if not values:
        return
    (middle,) = values[(len(values) - 1) // 2]
    shown = str(middle)
    if name == "dur":
        middle -= middle % 10**6
        shown = f"{middle // 10**6}ms"
    passed, failed = index.db.execute(
        f"SELECT {_SPLIT} FROM {_GRADED} WHERE e.{column} > ?", (middle,)
    ).fetchone()
    yield words.format(shown), passed, failed, f"{name}>{shown}"
