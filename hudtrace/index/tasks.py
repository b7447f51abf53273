"""The tasks of a job, with their repeats."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from hudtrace.index import Index
from hudtrace.store import queries


@dataclass(frozen=True, slots=True)
class TaskView:
    """One task of a job and its repeats; `n` are those that have ended.

    `pass_1` and `pass_k` estimate how often one and *k* tries have a passing one, where
    a try without a reward has not passed. `rewards` and `trace_ids` are in the order in
    which the tries began, those that still run included.
    """

    task_id: str
    label: str
    n: int
    graded: int
    mean: float | None
    stderr: float | None
    min: float | None
    max: float | None
    k: int
    pass_1: float | None
    pass_k: float | None
    rewards: list[float | None]
    trace_ids: list[str]

    def chance(self, k: int) -> float | None:
        """Estimate how often one of *k* tries passes; None for more than there were."""
        passed = sum(reward is not None and reward >= 1 for reward in self.rewards)
        return _chance(passed, self.n, k)


def tasks(index: Index, job_id: str) -> list[TaskView]:
    """Return the tasks of a job, in the order in which they began."""
    rows = index.db.execute(
        "SELECT coalesce(e.task_id, e.env || ':' || e.scenario, ''), "
        "lower(hex(t.trace_id)), e.reward, e.end IS NOT NULL FROM listed AS e "
        "JOIN traces AS t ON t.id = e.trace WHERE e.job_id = ? ORDER BY e.start, e.trace",
        (job_id,),
    ).fetchall()
    by_task: dict[str, list[tuple[str, float | None, bool]]] = {}
    for task_id, *episode in rows:
        by_task.setdefault(task_id, []).append(tuple(episode))
    firsts = [episodes[0][0] for episodes in by_task.values()]
    labels = {e.trace_id: e.label for e in _episodes_of(index, firsts)}
    return [
        _task(task_id, labels.get(episodes[0][0], task_id), episodes)
        for task_id, episodes in by_task.items()
    ]


def _episodes_of(index: Index, keys: Sequence[str]) -> list[queries.Episode]:
    found = []
    for start in range(0, len(keys), 1000):
        found += queries.episodes_of(index.db, keys[start : start + 1000])
    return found


def _task(
    task_id: str, label: str, episodes: Sequence[tuple[str, float | None, bool]]
) -> TaskView:
    graded = [reward for _, reward, _ in episodes if reward is not None]
    n = sum(ended for *_, ended in episodes)
    passed = sum(reward >= 1 for reward in graded)
    deviation = statistics.stdev(graded) if len(graded) > 1 else None
    return TaskView(
        task_id=task_id,
        label=label,
        n=n,
        graded=len(graded),
        mean=mean(graded),
        stderr=None if deviation is None else deviation / math.sqrt(len(graded)),
        min=min(graded, default=None),
        max=max(graded, default=None),
        k=n,
        pass_1=_chance(passed, n, 1),
        pass_k=_chance(passed, n, n),
        rewards=[reward for _, reward, _ in episodes],
        trace_ids=[trace_id for trace_id, *_ in episodes],
    )


def _chance(passed: int, n: int, k: int) -> float | None:
    """Return the unbiased estimate that one of *k* of *n* tries passes."""
    if not 1 <= k <= n:
        return None
    return 1.0 - math.comb(max(0, n - passed), k) / math.comb(n, k)


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of those that are known."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
