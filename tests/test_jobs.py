"""Jobs: many tasks and repeats, counted right, in a trace of their own."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import hudtrace as hud
from hudtrace.store import queries

Stored = Callable[[str], list[queries.StoredSpan]]


@pytest.fixture
def numbers() -> hud.Environment:
    """An environment whose tasks ask for a number; 13 cannot be set up."""
    env = hud.Environment("numbers")

    @env.scenario("number")
    async def number(wanted: int) -> AsyncIterator[Any]:
        if wanted == 13:
            raise hud.EnvironmentFailure("no thirteen here")
        answer = yield f"say {wanted}"
        yield 1.0 if answer == str(wanted) else 0.0

    return env


async def test_a_list_of_tasks(numbers: hud.Environment, stored: Stored) -> None:
    """Each task is an episode that links to the job; the totals are on its span."""
    tasks = [numbers("number", wanted=n) for n in range(6)]

    @hud.traced_eval(tasks, max_concurrent=3)
    async def agent(ctx: hud.EvalContext) -> None:
        await ctx.submit(
            "3" if ctx.task.args["wanted"] > 3 else str(ctx.task.args["wanted"])
        )

    job = await agent()
    assert [r.task.args["wanted"] for r in job.results if r.task] == list(range(6))
    assert [r.reward for r in job.results] == [1, 1, 1, 1, 0, 0]
    assert job.mean == pytest.approx(4 / 6)
    assert job.stderr == pytest.approx(math.sqrt(4 / 6 * 2 / 6 / 5))
    assert {r.job_id for r in job.results} == {job.id}
    assert job.id.startswith("agent-")
    job.raise_for_errors()
    start, span = stored(job.trace_id)
    assert (start.name, span.name, span.parent_id) == (
        "hud.job.start",
        "hud.job",
        start.span_id,
    )
    assert span.attributes["hud.job.episodes"] == 6
    assert span.attributes["hud.job.scored"] == 6
    assert span.attributes["hud.job.reward.mean"] == pytest.approx(4 / 6)
    for result in job.results:
        assert len({result.trace_id for result in job.results}) == 6
        root = stored(result.trace_id)[0]
        (link,) = [x for x in root.links if x.attributes["hud.link"] == "job"]
        assert (link.trace_id, link.span_id) == (job.trace_id, start.span_id)
        assert root.attributes["hud.job.id"] == job.id


async def test_errors_stay_with_their_episode(
    numbers: hud.Environment, stored: Stored
) -> None:
    """An episode that fails, in its set-up or its body, does not stop the others."""
    tasks = [numbers("number", wanted=n) for n in (1, 13, 2, 3)]

    @hud.traced_eval(tasks)
    async def agent(ctx: hud.EvalContext) -> None:
        if ctx.task.args["wanted"] == 2:
            raise RuntimeError("two is too much")
        await ctx.submit(str(ctx.task.args["wanted"]))

    job = await agent()
    assert job.outcomes == {"scored": 2, "environment_error": 1, "agent_error": 1}
    assert (job.mean, job.mean_with_errors) == (1.0, 0.5)
    assert job.stderr == 0.0
    assert job.stderr_with_errors == pytest.approx(math.sqrt(0.25 / 3))
    assert len(job.errors) == 2
    with pytest.raises(ExceptionGroup, match="2 of 4 episodes") as failed:
        job.raise_for_errors()
    assert {type(e) for e in failed.value.exceptions} == {
        hud.EnvironmentFailure,
        RuntimeError,
    }
    assert job.results[2].trace_url in failed.value.exceptions[1].__notes__[0]
    assert stored(job.trace_id)[1].attributes["hud.job.errors"] == 2


async def test_groups_of_repeats(numbers: hud.Environment, stored: Stored) -> None:
    """Repeats of a task make a group: its span, pass@k, clustered errors."""
    tries: dict[int, int] = {}

    @hud.traced_eval([numbers("number", wanted=n) for n in (1, 2)], group=4)
    async def agent(ctx: hud.EvalContext) -> None:
        wanted = ctx.task.args["wanted"]
        tries[wanted] = tries.get(wanted, 0) + 1
        await ctx.submit(str(wanted) if wanted == 1 or tries[wanted] == 1 else "x")

    job = await agent()
    assert (len(job.results), job.mean) == (8, 5 / 8)
    assert [r.attempt for r in job.results] == [1, 2, 3, 4] * 2
    assert job.pass_at(1) == pytest.approx((1 + 1 / 4) / 2)
    assert job.pass_at(2) == pytest.approx((1 + 1 / 2) / 2)
    assert job.pass_at(4) == 1.0
    with pytest.raises(ValueError, match="group=5"):
        job.pass_at(5)
    # Two clusters, each off by 4 x 3/8: twice that squared, times 2, rooted, over 8.
    assert job.stderr == pytest.approx(math.sqrt(2 * 2 * (4 * 3 / 8) ** 2) / 8)
    spans = stored(job.trace_id)
    groups = [span for span in spans if span.name == "group"]
    (parent,) = [span for span in spans if span.name == "hud.job"]
    assert [g.parent_id for g in groups] == [parent.span_id] * 2
    found = {g.attributes["hud.group.mixed"]: g.attributes for g in groups}
    assert found[True]["hud.group.reward.mean"] == 0.25
    assert found[True]["hud.group.reward.min"] == 0.0
    assert found[False]["hud.group.reward.min"] == 1.0
    assert found[True]["hud.group.size"] == 4


async def test_no_more_than_so_many_at_once(numbers: hud.Environment) -> None:
    """`max_concurrent` bounds how many episodes are open."""
    now = most = 0

    @hud.traced_eval([numbers("number", wanted=n) for n in range(12)], max_concurrent=4)
    async def agent(ctx: hud.EvalContext) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1

    job = await agent()
    assert most == 4
    assert job.outcomes == {"no_answer": 12}


async def test_a_cancelled_job_ends_its_trace(
    numbers: hud.Environment, stored: Stored
) -> None:
    """Cancelling a job cancels its episodes and writes what there is."""
    started = asyncio.Event()

    @hud.traced_eval([numbers("number", wanted=n) for n in range(5)], job="mine")
    async def agent(ctx: hud.EvalContext) -> None:
        if ctx.task.args["wanted"] == 0:
            await ctx.submit("0")
            return
        started.set()
        await asyncio.sleep(60)

    running = asyncio.create_task(agent())
    await started.wait()
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert hud.flush(10)
    from hudtrace import runtime

    with runtime.get_runtime().pipeline.reading() as db:
        outcomes = [e.outcome for e in queries.episodes(db, job="mine")]
        (trace,) = db.execute(
            "SELECT trace_id FROM spans WHERE name = 'hud.job'"
        ).fetchone()
    assert sorted(map(str, outcomes)) == ["cancelled"] * 4 + ["scored"]
    job = stored(trace.hex())[1]
    assert job.attributes["hud.job.scored"] == 1
    assert job.attributes["error.type"] == "cancelled"


async def test_one_task_with_repeats(numbers: hud.Environment) -> None:
    """A single task with `group=` is a job, too; options are those of `hud.eval`."""

    @hud.traced_eval(numbers("number", wanted=7), group=2, variant="b", job="seven")
    async def agent(ctx: hud.EvalContext, answer: str) -> None:
        await ctx.submit(answer)

    job = await agent("7")
    assert (job.id, job.mean, len(job.results)) == ("seven", 1.0, 2)
    assert {r.variant for r in job.results} == {"b"}
    assert str(job) == "agent: reward 1 over 2 episodes (2 scored)"


def test_what_is_no_task_is_refused(numbers: hud.Environment) -> None:
    """A list with something else in it is refused at once."""
    with pytest.raises(TypeError, match="takes a Task"):
        hud.traced_eval([numbers("number", wanted=1), "two"])  # type: ignore[list-item]
