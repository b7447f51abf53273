"""Jobs: how each went, and how it went with each of its tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hudtrace.index import Index, cursors
from hudtrace.index.conditions import Condition, all_of
from hudtrace.index.figures import Summary, summed_up
from hudtrace.index.filters import Filter
from hudtrace.index.running import running
from hudtrace.index.tasks import TaskView, mean, tasks
from hudtrace.store.queries import State

_MOST_TOOLS = 20
_OF_EPISODE = "job_id IN (SELECT e.job_id FROM listed AS e WHERE {})"
_ALL = (
    "SELECT job_id, min(start) AS began FROM ("
    "SELECT job_id, start FROM listed WHERE job_id IS NOT NULL "
    "UNION ALL SELECT job_id, start FROM jobs) GROUP BY job_id"
)


@dataclass(frozen=True, slots=True)
class ToolView:
    """The calls of one tool; `seconds` together, and of the `slowest` one."""

    name: str
    calls: int
    failed: int
    seconds: float
    slowest: float


@dataclass(frozen=True, slots=True)
class JobView:
    """One job; `figures` has its reward and what it used.

    It is `running` while its process or an episode does, and `interrupted` if one of
    them was cut off: `interrupted` counts episodes that were, `unbegun` those that
    were to come. `reward_stderr` takes repeats of a task as one cluster. `episodes` is how many there
    are to be, as far as it is known. `trace_id` is the trace of the job itself. What
    is below `models` is there only for a single job.
    """

    job_id: str
    name: str | None
    trace_id: str | None
    started: int
    ended: int | None
    episodes: int
    done: int
    running: int
    interrupted: int
    unbegun: int
    state: State
    reward_mean: float | None
    reward_stderr: float | None
    figures: Summary
    envs: list[str]
    models: list[str]
    k: int = 1
    pass_1: float | None = None
    pass_k: float | None = None
    tasks: list[TaskView] = field(default_factory=list)
    tools: list[ToolView] = field(default_factory=list)
    error_kinds: dict[str, int] = field(default_factory=dict)

    @property
    def errors(self) -> int:
        """How many episodes have failed."""
        return self.figures.errors


@dataclass(frozen=True, slots=True)
class Jobs:
    """Some jobs, the newest first; `cursor` asks for those after them."""

    rows: list[JobView]
    cursor: str | None


def jobs(
    index: Index,
    limit: int = 100,
    cursor: str | None = None,
    filter_: Filter | None = None,
) -> Jobs:
    """Return the newest jobs, with *filter_* those that have an episode of those it leaves.

    Raises ValueError for a cursor that there is not.
    """
    behind, values = "1", list[Any]()
    if cursor is not None:
        behind, values = "(began, job_id) < (?, ?)", cursors.read(cursor, "jobs", 2)
    alive = running(index.db)
    where = all_of(index, filter_, alive, _OF_EPISODE)
    found = index.db.execute(
        f"SELECT job_id, began FROM ({_ALL}) WHERE {behind} AND {where.sql} "
        f"ORDER BY began DESC, job_id DESC LIMIT ?",
        (*values, *where.values, limit + 1),
    ).fetchall()
    rows = [_view(index, job_id, began, alive) for job_id, began in found[:limit]]
    more = len(found) > limit
    last = found[limit - 1] if more else None
    return Jobs(rows, cursors.written("jobs", last[1], last[0]) if last else None)


def count(index: Index, filter_: Filter | None = None) -> int:
    """Return how many jobs there are, with *filter_* of those that `jobs` returns."""
    where = all_of(index, filter_, running(index.db), _OF_EPISODE)
    (found,) = index.db.execute(
        f"SELECT count(*) FROM ({_ALL}) WHERE {where.sql}", where.values
    ).fetchone()
    return int(found)


def name_of(index: Index, job_id: str) -> str | None:
    """Return what a job is called, None if it is not known."""
    row = index.db.execute(
        "SELECT name FROM jobs WHERE job_id = ?", (job_id,)
    ).fetchone()
    return None if row is None else row[0]


def job(index: Index, job_id: str) -> JobView | None:
    """Return everything about one job, None if there is none of that id."""
    row = index.db.execute(
        "SELECT min(start) FROM (SELECT start FROM listed WHERE job_id = ?1 "
        "UNION ALL SELECT start FROM jobs WHERE job_id = ?1)",
        (job_id,),
    ).fetchone()
    if row[0] is None:
        return None
    found = tasks(index, job_id)
    k = min((task.n for task in found if task.n), default=1)
    return _view(
        index,
        job_id,
        row[0],
        running(index.db),
        k=k,
        pass_1=mean([task.pass_1 for task in found]),
        pass_k=mean([task.chance(k) for task in found if task.n]),
        tasks=found,
        tools=_tools(index, job_id),
        error_kinds=_error_kinds(index, job_id),
    )


def _view(
    index: Index, job_id: str, began: int, alive: Sequence[int], **more: Any
) -> JobView:
    db = index.db
    figures = summed_up(db, Condition("e.job_id = ?", [job_id]), alive)
    own = db.execute(
        "SELECT j.name, lower(hex(t.trace_id)), j.planned, j.end, t.id FROM jobs AS j "
        "JOIN traces AS t ON t.id = j.trace WHERE j.job_id = ?",
        (job_id,),
    ).fetchone()
    name, trace_id, planned, ended, number = own or (None, None, None, None, None)
    done, last = db.execute(
        "SELECT count(end), max(end) FROM listed WHERE job_id = ?", (job_id,)
    ).fetchone()
    runs = figures.outcomes.get("running", 0)
    cut = figures.outcomes.get("interrupted", 0)
    episodes = max(planned or 0, figures.count)
    unbegun = episodes - figures.count
    state: State = "done"
    if runs or number in alive:
        state = "running"
    elif ended is None and (cut or unbegun):
        state = "interrupted"
    return JobView(
        job_id=job_id,
        name=name,
        trace_id=trace_id,
        started=began,
        ended=last if ended is None and state == "done" else ended,
        episodes=episodes,
        done=done,
        running=runs,
        interrupted=cut,
        unbegun=unbegun,
        state=state,
        reward_mean=figures.reward_mean,
        reward_stderr=_clustered_stderr(index, job_id),
        figures=figures,
        envs=_distinct(index, "env", job_id),
        models=_distinct(index, "model", job_id),
        **more,
    )


def _clustered_stderr(index: Index, job_id: str) -> float | None:
    """Return the standard error of the mean reward, with each task as a cluster."""
    clusters = index.db.execute(
        "SELECT count(reward), total(reward) FROM listed "
        "WHERE job_id = ? AND reward IS NOT NULL "
        "GROUP BY coalesce(task_id, env || ':' || scenario, '')",
        (job_id,),
    ).fetchall()
    if len(clusters) < 2:
        return None
    many = int(sum(n for n, _ in clusters))
    middle = float(sum(rewards for _, rewards in clusters)) / many
    squares = math.fsum((rewards - n * middle) ** 2 for n, rewards in clusters)
    return math.sqrt(squares * len(clusters) / (len(clusters) - 1)) / many


def _distinct(index: Index, column: str, job_id: str) -> list[str]:
    rows = index.db.execute(
        f"SELECT {column}, count(*) FROM listed WHERE job_id = ? "
        f"AND {column} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10",
        (job_id,),
    )
    return [value for value, _ in rows]


def _tools(index: Index, job_id: str) -> list[ToolView]:
    rows = index.db.execute(
        "SELECT f.value, sum(c.calls), sum(c.failed), sum(c.took), max(c.longest) "
        "FROM listed AS e CROSS JOIN trace_tools AS c ON c.trace = e.trace "
        "CROSS JOIN facts AS f ON f.id = c.tool WHERE e.job_id = ? "
        "GROUP BY f.id ORDER BY 4 DESC LIMIT ?",
        (job_id, _MOST_TOOLS),
    )
    return [
        ToolView(name, calls, failed, took / 1e9, longest / 1e9)
        for name, calls, failed, took, longest in rows
    ]


def _error_kinds(index: Index, job_id: str) -> dict[str, int]:
    return dict(
        index.db.execute(
            "SELECT f.value, count(*) FROM listed AS e "
            "CROSS JOIN trace_facts AS t ON t.trace = e.trace "
            "CROSS JOIN facts AS f ON f.id = t.fact "
            "WHERE e.job_id = ? AND f.kind = 'error' GROUP BY f.id ORDER BY 2 DESC, 1",
            (job_id,),
        ).fetchall()
    )
