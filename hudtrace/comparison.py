"""Two sets of episodes side by side, and what their difference is worth."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hudtrace.messages import Usage
from hudtrace.result import EvalResult

_RESAMPLES = 4000
_Z_95, _Z_POWER_80 = 1.96, 0.8416


@dataclass(frozen=True, slots=True)
class Summary:
    """One set of episodes: `reward` is the mean over those that were graded.

    `error` is its standard error, None below two graded episodes. `pass_rate`
    counts a reward of 1 or more. Failures of the machinery are in `outcomes`
    only, never in the reward.
    """

    name: str
    episodes: int
    graded: int
    reward: float | None
    error: float | None
    pass_rate: float | None
    outcomes: dict[str, int]
    stopped: int
    usage: Usage
    tool_errors: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean difference over tasks that both sets have graded, b minus a.

    `low` and `high` bound its 95 % bootstrap interval. `needed` is about how
    many tasks would show a difference of this size four times in five, None
    if there is no difference to show.
    """

    tasks: int
    mean: float
    low: float
    high: float
    needed: int | None

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def summarize(name: str, results: Sequence[EvalResult]) -> Summary:
    """Sum up the episodes of one variant."""
    rewards = [r.reward for r in results if r.reward is not None]
    total = Usage()
    for result in results:
        total += result.usage
    deviation = statistics.stdev(rewards) if len(rewards) > 1 else None
    return Summary(
        name=name,
        episodes=len(results),
        graded=len(rewards),
        reward=statistics.fmean(rewards) if rewards else None,
        error=None if deviation is None else deviation / math.sqrt(len(rewards)),
        pass_rate=sum(r >= 1.0 for r in rewards) / len(rewards) if rewards else None,
        outcomes=dict(Counter(r.outcome for r in results)),
        stopped=sum(r.stopped_by is not None for r in results),
        usage=total,
        tool_errors=sum(r.tool_errors for r in results),
        seconds=sum(r.duration for r in results),
    )


def difference(a: Sequence[EvalResult], b: Sequence[EvalResult]) -> Difference | None:
    """Compare two variants task by task; None below two tasks graded in both."""
    first, second = _by_task(a), _by_task(b)
    pairs = [second[task] - first[task] for task in first if task in second]
    if len(pairs) < 2:
        return None
    # A seed of its own: the interval of the same results is always the same.
    chance = random.Random(len(pairs))
    means = sorted(
        statistics.fmean(chance.choices(pairs, k=len(pairs))) for _ in range(_RESAMPLES)
    )
    mean = statistics.fmean(pairs)
    return Difference(
        tasks=len(pairs),
        mean=mean,
        low=means[int(0.025 * _RESAMPLES)],
        high=means[int(0.975 * _RESAMPLES)],
        needed=_needed(mean, statistics.stdev(pairs)),
    )


def _needed(mean: float, deviation: float) -> int | None:
    if not mean:
        return None
    return max(2, math.ceil(((_Z_95 + _Z_POWER_80) * deviation / mean) ** 2))


def _by_task(results: Sequence[EvalResult]) -> dict[str, float]:
    rewards: dict[str, list[float]] = {}
    for result in results:
        if result.reward is not None and result.task is not None:
            rewards.setdefault(result.task.id, []).append(result.reward)
    return {task: statistics.fmean(values) for task, values in rewards.items()}
