"""Figures of many episodes together."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hudtrace.index import Index
from hudtrace.index.conditions import ERROR, Condition, condition
from hudtrace.index.filters import Filter
from hudtrace.index.running import running

BUCKETS = 12
_BUCKET = (
    "CASE WHEN e.reward IS NULL THEN NULL WHEN e.reward <= 0 THEN 0 "
    f"WHEN e.reward >= 1 THEN {BUCKETS - 1} ELSE 1 + CAST(e.reward * 10 AS INTEGER) END"
)
_SUMS = (
    "count(*), count(e.reward), total(e.reward), "
    "total((e.reward - 0.5) * (e.reward - 0.5)), "
    f"total(e.reward >= 1), total({ERROR}), sum(e.input_tokens), sum(e.output_tokens), "
    "sum(e.cost), total(e.cost IS NULL AND e.tokens > 0), total(e.end IS NULL)"
)


@dataclass(frozen=True, slots=True)
class Summary:
    """Episodes summed up; what nobody knows is None.

    `reward_mean` is over those that were graded, `pass_rate` the share of them with a
    reward of 1 or more. `errors` are failures of the agent and of the machinery.
    `cost` is of those whose price is known, and `unpriced` counts the others. The
    `histogram` of rewards has those of 0 or less, ten equal steps up to 1, and those of
    1 or more.
    """

    count: int = 0
    graded: int = 0
    reward_mean: float | None = None
    reward_stderr: float | None = None
    pass_rate: float | None = None
    errors: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None
    unpriced: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    histogram: list[int] = field(default_factory=lambda: [0] * BUCKETS)


def summary(index: Index, filter_: Filter) -> Summary:
    """Sum up the episodes that *filter_* leaves; none if it has errors."""
    if filter_.errors:
        return Summary()
    alive = running(index.db)
    return summed_up(index.db, condition(index, filter_, alive), alive)


def summed_up(
    db: sqlite3.Connection, where: Condition, alive: Sequence[int]
) -> Summary:
    """Sum up the episodes that *where* leaves."""
    rows = db.execute(
        f"SELECT e.outcome, {_BUCKET} AS bucket, {_SUMS} FROM listed AS e "
        f"WHERE {where.sql} GROUP BY e.outcome, bucket",
        where.values,
    ).fetchall()
    if not rows:
        return Summary()
    many, graded, rewards, squares = (
        sum(row[at] for row in rows) for at in range(2, 6)
    )
    return Summary(
        count=many,
        graded=graded,
        reward_mean=rewards / graded if graded else None,
        reward_stderr=_stderr(graded, rewards, squares),
        pass_rate=sum(row[6] for row in rows) / graded if graded else None,
        errors=int(sum(row[7] for row in rows)),
        input_tokens=_sum([row[8] for row in rows]),
        output_tokens=_sum([row[9] for row in rows]),
        cost=_sum([row[10] for row in rows]),
        unpriced=int(sum(row[11] for row in rows)),
        outcomes=_outcomes(db, where, alive, rows),
        histogram=_histogram(rows),
    )


def _histogram(rows: Sequence[Sequence[Any]]) -> list[int]:
    found = [0] * BUCKETS
    for row in rows:
        if row[1] is not None:
            found[row[1]] += row[3]
    return found


def _outcomes(
    db: sqlite3.Connection,
    where: Condition,
    alive: Sequence[int],
    rows: Sequence[Sequence[Any]],
) -> dict[str, int]:
    """Count outcomes, and states of those that have none."""
    found: Counter[str] = Counter()
    for row in rows:
        found[row[0] or "done"] += row[2]
    unended = int(sum(row[12] for row in rows if row[0] is None))
    if unended:
        marks = ",".join("?" * len(alive))
        (run,) = db.execute(
            f"SELECT count(*) FROM listed AS e WHERE ({where.sql}) "
            f"AND e.end IS NULL AND e.trace IN ({marks})",
            (*where.values, *alive),
        ).fetchone()
        found["done"] -= unended
        found["running"] += run
        found["interrupted"] += unended - run
    return {name: many for name, many in found.most_common() if many}


def _stderr(many: int, rewards: float, squares: float) -> float | None:
    """Return the standard error of the mean; *squares* are of distances from 0.5."""
    if many < 2:
        return None
    shifted = rewards - 0.5 * many
    variance = (squares - shifted * shifted / many) / (many - 1)
    return math.sqrt(max(0.0, variance) / many)


def _sum(values: Sequence[Any]) -> Any:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
