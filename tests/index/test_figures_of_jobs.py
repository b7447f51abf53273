"""Jobs and lift against figures made by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_stores import BEGIN, MINUTE, Call, Filled, Made

import hudtrace as hud
from hudtrace import semconv
from hudtrace.index import Index, filters, jobs, lift, open_index


def episode(task: str, reward: float | None, number: int, *calls: Call) -> Made:
    """An episode of the job `nightly`."""
    root = {
        semconv.JOB_ID: "nightly",
        semconv.TASK_ID: task,
        semconv.MODEL: "gpt-5" if number % 2 else "claude",
        semconv.FAILURE_CLASS: "none" if reward is not None else "infra",
        semconv.OUTCOME: "scored" if reward is not None else "provider_error",
        semconv.ARGS: f'{{"task": "{task}"}}',
        semconv.HUD_USAGE_INPUT: 100,
        semconv.HUD_USAGE_OUTPUT: 10,
        semconv.COST_TOTAL: 0.5,
    }
    if reward is not None:
        root[semconv.REWARD] = reward
    return Made(root, calls=calls, start=BEGIN + number * MINUTE)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """A job of two tasks: one was tried four times and passed twice, one never graded once."""
    store = Filled(tmp_path / "t.db")
    slow = Call("bash", took=4 * 10**9)
    store.add(
        [
            episode("a", 1.0, 1, slow),
            episode("a", 0.0, 2, Call("bash", error="TimeoutError", took=10**9)),
            episode("a", 1.0, 3, Call("read")),
            episode("a", 0.5, 4),
            episode("b", 0.0, 5, Call("bash", error="TimeoutError"), Call("read")),
            episode("b", None, 6),
            Made({semconv.JOB_ID: "other", semconv.REWARD: 1.0}, start=BEGIN),
            Made({semconv.REWARD: 1.0}, start=BEGIN),
        ]
    )
    with open_index(store.path) as made:
        made.catch_up()
        yield made
    store.store.close()


def test_a_job_and_its_tasks(index: Index) -> None:
    """Figures, pass@k of each task and of all, tools and errors are as made by hand."""
    found = jobs.job(index, "nightly")
    assert found is not None
    assert (found.episodes, found.done, found.running, found.errors) == (6, 6, 0, 1)
    assert found.reward_mean == pytest.approx(2.5 / 5)
    # Clusters: a has 2.5 of 4 (0.5 above the mean), b 0 of 1 (0.5 below).
    assert found.reward_stderr == pytest.approx(math.sqrt((0.25 + 0.25) * 2) / 5)
    assert found.figures.cost == pytest.approx(3.0)
    assert found.figures.outcomes == {"scored": 5, "provider_error": 1}
    assert found.models == ["claude", "gpt-5"]
    a, b = found.tasks
    assert (a.task_id, a.label) == ("a", "env:scenario(task=a)")
    assert (a.n, a.graded, a.mean, a.min, a.max) == (4, 4, 0.625, 0.0, 1.0)
    assert a.rewards == [1.0, 0.0, 1.0, 0.5]
    assert a.stderr == pytest.approx(
        math.sqrt((2 * 0.375**2 + 0.625**2 + 0.125**2) / 3 / 4)
    )
    assert (a.k, a.pass_1, a.pass_k) == (4, 0.5, 1.0)
    assert (b.n, b.graded, b.pass_1, b.pass_k, b.stderr) == (2, 1, 0.0, 0.0, None)
    # Of two tries of a: 1 - C(2,2)/C(4,2).
    assert found.k == 2
    assert found.pass_1 == pytest.approx((0.5 + 0.0) / 2)
    assert found.pass_k == pytest.approx((1 - 1 / 6 + 0.0) / 2)
    bash, read = found.tools
    assert (bash.name, bash.calls, bash.failed) == ("bash", 3, 2)
    assert bash.seconds == pytest.approx(5.001)
    assert bash.slowest == 4.0
    assert (read.name, read.calls, read.failed) == ("read", 2, 0)
    assert found.error_kinds == {"TimeoutError": 2}


def test_a_job_that_was_cut_off_says_so(tmp_path: Path) -> None:
    """One whose process died is interrupted, with what was cut off and never begun."""
    filled = Filled(tmp_path / "t.db")
    mine = {semconv.JOB_ID: "nightly"}
    filled.add([Made(mine), Made(mine, calls=[Call("bash")], ended=False)])
    named = {**mine, semconv.JOB_NAME: "nightly", semconv.JOB_EPISODES: 5}
    filled.add_span("c" * 32, semconv.SPAN_JOB_START, named)
    filled.add([Made({semconv.JOB_ID: "whole"})])
    with open_index(filled.path) as index:
        index.catch_up()
        cut, whole = jobs.job(index, "nightly"), jobs.job(index, "whole")
    assert cut is not None
    assert whole is not None
    assert (cut.state, cut.interrupted, cut.unbegun) == ("interrupted", 1, 3)
    assert (cut.done, cut.episodes, cut.ended) == (1, 5, None)
    assert (whole.state, whole.interrupted, whole.unbegun) == ("done", 0, 0)
    assert whole.ended is not None


def test_jobs_come_newest_first(index: Index) -> None:
    """The list of jobs has each once, in pages; a filter leaves those with a match."""
    rows = jobs.jobs(index).rows
    assert [job.job_id for job in rows] == ["nightly", "other"]
    first = jobs.jobs(index, limit=1)
    rest = jobs.jobs(index, limit=1, cursor=first.cursor)
    assert [*first.rows, *rest.rows] == rows
    assert rest.cursor is None
    some = jobs.jobs(index, filter_=filters.parse("tool:read")).rows
    assert [job.job_id for job in some] == ["nightly"]
    assert jobs.job(index, "no job; --") is None
    with pytest.raises(ValueError, match="cursor"):
        jobs.jobs(index, cursor="nonsense")


def test_lift_by_hand(index: Index) -> None:
    """What passed and failed have more often, with a filter that finds the same."""
    found = lift.lift(index, filters.parse("job:nightly"))
    assert (found.passed, found.failed) == (2, 3)
    by_what = {row.what: row for row in found.rows}
    failed = by_what["bash failed"]
    assert failed.passed_share == 0.0
    assert failed.failed_share == pytest.approx(2 / 3)
    assert failed.difference == pytest.approx(-2 / 3)
    assert failed.filter_text == "failed:bash"
    read = by_what["called read"]
    assert read.passed_share == 0.5
    assert read.failed_share == pytest.approx(1 / 3)
    assert by_what["asked gpt-5"].filter_text == "model:gpt-5"
    shares = [abs(row.difference) for row in found.rows]
    assert shares == sorted(shares, reverse=True)
    assert all(filters.parse(row.filter_text).errors == () for row in found.rows)
    nobody = lift.lift(index, filters.parse("job:other"))
    assert (nobody.passed, nobody.failed, nobody.rows) == (1, 0, [])


async def test_a_real_job_has_the_figures_that_it_says(
    store: Path, env: hud.Environment
) -> None:
    """The index comes to the same figures as the job itself."""
    tasks = [env("initials", company=name) for name in ("hud", "openai", "anthropic")]
    answers = iter(["JR", "no", "SA", "no", "no", "no"])

    @hud.traced_eval(tasks, group=2, job="real", max_concurrent=1)
    async def body(ctx: hud.EvalContext) -> None:
        await ctx.submit(next(answers))

    job = await body()
    assert hud.flush(10)
    with open_index(store) as index:
        index.catch_up()
        (listed,) = jobs.jobs(index).rows
        found = jobs.job(index, job.id)
    assert found is not None
    assert (listed.job_id, listed.name, listed.trace_id) == (
        job.id,
        job.name,
        job.trace_id,
    )
    assert (found.episodes, found.done, found.running) == (6, 6, 0)
    assert found.ended is not None
    assert found.reward_mean == pytest.approx(job.mean)
    assert found.reward_stderr == pytest.approx(job.stderr)
    assert found.pass_1 == pytest.approx(job.pass_at(1))
    assert found.k == 2
    assert found.pass_k == pytest.approx(job.pass_at(2))
