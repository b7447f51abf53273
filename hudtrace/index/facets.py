"""What a list of episodes can be narrowed to, and how many there would be of each."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from hudtrace.index import Index
from hudtrace.index.chosen import chosen
from hudtrace.index.conditions import ERROR, condition
from hudtrace.index.filters import Filter
from hudtrace.index.running import running
from hudtrace.store import queries

_MOST_VALUES = 50
_LABELS = {
    "status": "Status",
    "outcome": "Outcome",
    "env": "Environment",
    "scenario": "Scenario",
    "model": "Model",
    "agent": "Agent",
    "variant": "Variant",
    "job": "Job",
    "task": "Task",
    "tool": "Tool",
    "failed": "Failed tool",
    "error": "Error",
    "failure": "Failure of",
    "stopped": "Stopped by",
    "tag": "Tag",
}
_COLUMNS = {"job": "job_id", "task": "task_id", "stopped": "stopped_by"}
_FACTS = ("tool", "failed", "error", "tag")


@dataclass(frozen=True, slots=True)
class Facet:
    """The values of one field, the most frequent first.

    Each has a count, of at most the newest 10,000 episodes; if there are more, the
    count is capped. `labels` says in words what ids stand for.
    """

    key: str
    label: str
    values: list[tuple[str, int, bool]]
    labels: dict[str, str] = field(default_factory=dict)


def facets(index: Index, filter_: Filter) -> list[Facet]:
    """Return the facets of what *filter_* leaves, each without its own terms."""
    if filter_.errors:
        return []
    alive = running(index.db)
    own = {term.field for term in filter_.terms}
    found: dict[str, Facet] = {}
    shared = [key for key in _LABELS if key not in own]
    with chosen(index.db, condition(index, filter_, alive)) as capped:
        for key in shared:
            found[key] = _facet(index.db, key, alive, capped)
    for key in _LABELS.keys() - set(shared):
        where = condition(index, filter_.leaving_out(key), alive)
        with chosen(index.db, where) as capped:
            found[key] = _facet(index.db, key, alive, capped)
    return [found[key] for key in _LABELS if found[key].values]


def _facet(
    db: sqlite3.Connection, key: str, alive: Sequence[int], capped: bool
) -> Facet:
    if key == "status":
        rows = _states(db, alive)
    elif key in _FACTS:
        rows = _facts(db, key)
    else:
        column = _COLUMNS.get(key, key)
        rows = db.execute(
            f"SELECT e.{column}, count(*) FROM temp.chosen AS c CROSS JOIN listed AS e "
            f"ON e.trace = c.trace WHERE e.{column} IS NOT NULL "
            f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?",
            (_MOST_VALUES,),
        ).fetchall()
    values = [(value, many, capped) for value, many in rows]
    name = _NAMES.get(key)
    labels = name(db, [value for value, _ in rows]) if name else {}
    return Facet(key, _LABELS[key], values, labels)


def _tasks(db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, str]:
    """Return what is run in each task, by an episode of it."""
    marks = ",".join("?" * len(ids))
    rows = db.execute(
        f"SELECT lower(hex(t.trace_id)) FROM (SELECT max(e.trace) AS one "
        f"FROM temp.chosen AS c CROSS JOIN listed AS e ON e.trace = c.trace "
        f"WHERE e.task_id IN ({marks}) GROUP BY e.task_id) "
        "JOIN traces AS t ON t.id = one",
        ids,
    )
    some = queries.episodes_of(db, [trace_id for (trace_id,) in rows])
    return {each.task_id: each.label for each in some if each.task_id is not None}


def _jobs(db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, str]:
    marks = ",".join("?" * len(ids))
    rows = db.execute(
        f"SELECT job_id, name FROM jobs WHERE job_id IN ({marks}) AND name IS NOT NULL",
        ids,
    )
    return dict(rows.fetchall())


_NAMES = {"task": _tasks, "job": _jobs}


def _facts(db: sqlite3.Connection, kind: str) -> list[tuple[str, int]]:
    return db.execute(
        "SELECT f.value, count(*) FROM temp.chosen AS c "
        "CROSS JOIN trace_facts AS t ON t.trace = c.trace "
        "CROSS JOIN facts AS f ON f.id = t.fact WHERE f.kind = ? "
        "GROUP BY f.id ORDER BY 2 DESC, 1 LIMIT ?",
        (kind, _MOST_VALUES),
    ).fetchall()


def _states(db: sqlite3.Connection, alive: Sequence[int]) -> list[tuple[str, int]]:
    marks = ",".join("?" * len(alive))
    row = db.execute(
        f"SELECT total(e.end IS NOT NULL), total(e.end IS NULL AND e.trace IN ({marks})), "
        f"total(e.end IS NULL AND e.trace NOT IN ({marks})), total({ERROR}) "
        "FROM temp.chosen AS c CROSS JOIN listed AS e ON e.trace = c.trace",
        (*alive, *alive),
    ).fetchone()
    states = ("done", "running", "interrupted", "error")
    return [(name, int(many)) for name, many in zip(states, row, strict=True) if many]
