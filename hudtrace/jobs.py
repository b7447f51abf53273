"""Many episodes as one job: run side by side, counted, in a trace of their own.

The job's trace is small: a span that says at once that the job has begun, to which
every episode links, and below it the job with a span for each group of repeats.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import os
import statistics
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from hudtrace import semconv
from hudtrace.context import EvalContext
from hudtrace.messages import Usage
from hudtrace.progress import Progress
from hudtrace.result import EvalResult
from hudtrace.runtime import get_runtime
from hudtrace.sync_eval import SyncEvalContext
from hudtrace.task import Task
from hudtrace.threads import ToolThreads
from hudtrace.tracing.spans import Span, with_span

MAX_CONCURRENT = 20

_STOP_SECONDS = 5.0  # that a cancelled job waits for bodies in threads
_SILENT_SECONDS = 0.3  # of them, before it says so

Body = Callable[[EvalContext], Awaitable[Any]]
SyncBody = Callable[[SyncEvalContext], Any]
RunEpisode = Callable[[EvalContext], Awaitable[EvalResult]]


@dataclass
class Job:
    """Several episodes and what they come to.

    `results` are in the order of the tasks, repeats of a task together. `mean` and
    `stderr` are over the episodes that were graded; `mean_with_errors` and
    `stderr_with_errors` count those that were not as 0. Where tasks are repeated,
    the standard errors treat the repeats of one as a cluster. None where there are
    too few to say.
    """

    id: str
    name: str
    trace_id: str
    trace_url: str
    group: int = 1
    results: list[EvalResult] = field(default_factory=list)

    @property
    def scored(self) -> list[EvalResult]:
        """The episodes that were graded."""
        return [result for result in self.results if result.reward is not None]

    @property
    def errors(self) -> list[EvalResult]:
        """The episodes that an error has ended, recorded in each."""
        return [result for result in self.results if result.error is not None]

    @property
    def outcomes(self) -> dict[str, int]:
        """How many episodes ended in each way."""
        return dict(Counter(result.outcome for result in self.results))

    @property
    def usage(self) -> Usage:
        """The tokens of all agents together."""
        total = Usage()
        for result in self.results:
            total += result.usage
        return total

    @property
    def mean(self) -> float | None:
        """The mean reward of the graded episodes."""
        return _mean(self._clusters(None))

    @property
    def stderr(self) -> float | None:
        """The standard error of `mean`."""
        return _stderr(self._clusters(None))

    @property
    def mean_with_errors(self) -> float | None:
        """The mean reward of all episodes, 0 for those that were not graded."""
        return _mean(self._clusters(0.0))

    @property
    def stderr_with_errors(self) -> float | None:
        """The standard error of `mean_with_errors`."""
        return _stderr(self._clusters(0.0))

    def pass_at(self, k: int, passing: float = 1.0) -> float:
        """Return the chance that one of *k* tries of a task passes, over all tasks.

        The unbiased estimate from the repeats of each task; a try that was not graded
        has not passed. Raises ValueError if a task was tried less than *k* times.
        """
        chances = []
        for task, rewards in self._by_task(0.0).items():
            n = len(rewards)
            if not 1 <= k <= n:
                raise ValueError(
                    f"pass_at({k}): task {task} was tried {n} times; run the tasks "
                    f"with group={k} or more"
                )
            failed = sum(reward < passing for reward in rewards)
            chances.append(1.0 - math.comb(failed, k) / math.comb(n, k))
        if not chances:
            raise ValueError(f"pass_at({k}): the job has no episodes")
        return statistics.fmean(chances)

    def raise_for_errors(self) -> None:
        """Raise an ExceptionGroup of what the episodes have recorded, if anything."""
        found = []
        for result in self.errors:
            error = result.error
            if isinstance(error, Exception):
                error.add_note(f"{result.outcome} in {result.name}: {result.trace_url}")
                found.append(error)
        if found:
            many = f"{len(found)} of {len(self.results)} episodes of job {self.id}"
            raise ExceptionGroup(f"{many} have failed", found)

    def __str__(self) -> str:
        mean, stderr = self.mean, self.stderr
        reward = "no reward" if mean is None else f"reward {mean:.3g}"
        if stderr is not None:
            reward += f" ± {stderr:.2g}"
        ways = ", ".join(f"{n} {outcome}" for outcome, n in self.outcomes.items())
        return f"{self.name}: {reward} over {len(self.results)} episodes ({ways})"

    def _repr_html_(self) -> str:
        """Show the job in a notebook: its figures, and a row for each episode."""
        from hudtrace.notebook import job_html

        return job_html(self)

    def _repr_markdown_(self) -> str:
        """Show the job as Markdown."""
        from hudtrace.notebook import job_markdown

        return job_markdown(self)

    def _by_task(self, ungraded: float | None) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for result in self.results:
            reward = ungraded if result.reward is None else result.reward
            key = result.task.id if result.task else result.name
            if reward is not None:
                found.setdefault(key, []).append(reward)
        return found

    def _clusters(self, ungraded: float | None) -> list[list[float]]:
        return list(self._by_task(ungraded).values())


def _mean(clusters: Sequence[Sequence[float]]) -> float | None:
    rewards = [reward for cluster in clusters for reward in cluster]
    return statistics.fmean(rewards) if rewards else None


def _stderr(clusters: Sequence[Sequence[float]]) -> float | None:
    """Return the cluster-robust standard error; that of the mean for lone ones."""
    mean = _mean(clusters)
    if mean is None or len(clusters) < 2:
        return None
    squares = sum(sum(x - mean for x in cluster) ** 2 for cluster in clusters)
    correction = len(clusters) / (len(clusters) - 1)
    return math.sqrt(squares * correction) / sum(map(len, clusters))


async def run_job(
    tasks: Iterable[Task],
    run_one: RunEpisode,
    open_eval: Callable[[Task, InJob], EvalContext],
    *,
    name: str,
    job_id: str | None = None,
    group: int = 1,
    max_concurrent: int = MAX_CONCURRENT,
) -> Job:
    """Run each task *group* times, at most *max_concurrent* at once.

    *run_one* runs one episode, for example `run_episode` with a body. What an episode raises stays in its result. If the job is cancelled, so are its
    episodes, and its trace ends with what there is.
    """
    if group < 1 or max_concurrent < 1:
        raise ValueError("group and max_concurrent are 1 or more")
    repeats = [
        (place, task, attempt)
        for place, task in enumerate(tasks)
        for attempt in range(1, group + 1)
    ]
    running = RunningJob(name, job_id, len(repeats), group)
    places = iter(enumerate(repeats))
    results: dict[int, EvalResult] = {}
    progress = Progress(len(repeats), f"episodes of {name}")

    async def work() -> None:
        for number, (place, task, attempt) in places:
            result = await run_one(open_eval(task, running.place(attempt)))
            results[number] = result
            running.note(place, task, result)
            progress.advance()

    error: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(max_concurrent, len(repeats))):
                workers.create_task(work())
    except BaseException as raised:
        error = raised
        raise
    finally:
        progress.close(quiet=True)
        running.job.results = [results[number] for number in sorted(results)]
        running.close(error)
    return running.job


async def run_episode(body: Body, context: EvalContext) -> EvalResult:
    """Run one episode; its errors are its own, those of its set-up too."""
    try:
        async with context:
            await body(context)
    except Exception:
        if not context.has_result:
            raise  # there was no episode: the fault is in the job, or in us
    return context.result


class SyncEpisodes:
    """Runs episodes with a sync body, each in a thread, up to *size* at once."""

    def __init__(self, body: SyncBody, size: int) -> None:
        self._body = body
        self._threads = ToolThreads(size)
        self._stopping: set[asyncio.Future[EvalResult]] = set()
        self._told = False

    def __enter__(self) -> SyncEpisodes:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Let the threads end."""
        self._threads.close()

    async def run(self, context: EvalContext) -> EvalResult:
        """Run one episode; its errors are its own.

        Cancelling this stops the body at its next call, and waits a while for that.
        """
        running = self._threads.run(functools.partial(self._run, context))
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            context._cancel_sync()
            await self._wait_to_stop(running)
            running.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise
        return running.result()  # type: ignore[no-any-return]

    async def _wait_to_stop(self, running: asyncio.Future[EvalResult]) -> None:
        """Give a body time to stop; say that, once for all, if it takes some."""
        self._stopping.add(running)
        running.add_done_callback(self._stopping.discard)
        await asyncio.wait([running], timeout=_SILENT_SECONDS)
        if running.done():
            return
        if not self._told:
            self._told = True
            bodies = "body" if len(self._stopping) == 1 else "bodies"
            line = f"waiting for {len(self._stopping)} {bodies}; Ctrl-C again to leave"
            with contextlib.suppress(OSError, ValueError):  # stderr is closed
                print(line, file=sys.stderr)
        await asyncio.wait([running], timeout=_STOP_SECONDS - _SILENT_SECONDS)

    def _run(self, context: EvalContext) -> EvalResult:
        try:
            with context as ctx:
                self._body(ctx)
        except Exception:
            if not context.has_result:
                raise
        return context.result


class InJob(NamedTuple):
    """The place of an episode: its job, the span to link to, which repeat it is."""

    id: str
    start: SpanContext
    attempt: int


class RunningJob:
    """The recorded side of a job under way."""

    def __init__(self, name: str, job_id: str | None, total: int, group: int) -> None:
        runtime = get_runtime()
        self._tracer = runtime.tracer
        self._size = group
        self._groups: dict[int, list[EvalResult]] = {}
        id_ = job_id or f"{name}-{os.urandom(4).hex()}"
        facts: dict[str, Any] = {semconv.JOB_ID: id_, semconv.JOB_NAME: name}
        facts[semconv.JOB_EPISODES] = total
        begun = self._tracer.start(semconv.SPAN_JOB_START, Context(), facts)
        begun.end()
        self.start: SpanContext = begun.context
        below = with_span(Context(), begun)
        self.span: Span = self._tracer.start(semconv.SPAN_JOB, below, facts)
        trace_id = format(begun.context.trace_id, "032x")
        url = runtime.trace_url(trace_id, format(begun.context.span_id, "016x"))
        self.job = Job(id_, name, trace_id, url, group)

    def place(self, attempt: int) -> InJob:
        """Return what an episode has to know of the job that it belongs to."""
        return InJob(self.job.id, self.start, attempt)

    def note(self, place: int, task: Task, result: EvalResult) -> None:
        """Take the result of an episode; the last of a group writes its span."""
        group = self._groups.setdefault(place, [])
        group.append(result)
        if self._size > 1 and len(group) == self._size:
            self._write_group(task, group)

    def close(self, error: BaseException | None) -> None:
        """Write the totals and end the job's trace."""
        job = self.job
        self.span.set_attributes(_totals(job))
        if error is not None:
            self.span.fail(error)
        self.span.end()

    def _write_group(self, task: Task, group: Sequence[EvalResult]) -> None:
        rewards = [r.reward for r in group if r.reward is not None]
        facts: dict[str, Any] = {
            semconv.JOB_ID: self.job.id,
            semconv.TASK_ID: task.id,
            semconv.GROUP_ID: task.id,
            semconv.GROUP_SIZE: len(group),
            semconv.GROUP_MIXED: len(set(rewards)) > 1,
        }
        if rewards:
            facts[semconv.GROUP_REWARD_MEAN] = statistics.fmean(rewards)
            facts[semconv.GROUP_REWARD_MIN] = min(rewards)
            facts[semconv.GROUP_REWARD_MAX] = max(rewards)
        began = min(int(r.started_at.timestamp() * 1e9) for r in group)
        span = self._tracer.start(
            semconv.SPAN_GROUP,
            with_span(Context(), self.span),
            facts,
            start_time=max(began, self.span.start_time),
        )
        span.end()


def _totals(job: Job) -> Mapping[str, Any]:
    totals: dict[str, Any] = {
        semconv.JOB_SCORED: len(job.scored),
        semconv.JOB_ERRORS: len(job.errors),
        semconv.HUD_USAGE_INPUT: job.usage.input_tokens,
        semconv.HUD_USAGE_OUTPUT: job.usage.output_tokens,
    }
    for key, value in (
        (semconv.JOB_REWARD_MEAN, job.mean),
        (semconv.JOB_REWARD_STDERR, job.stderr),
    ):
        if value is not None:
            totals[key] = float(value)
    return totals
