"""`hud.eval`: every row of its table, and what the body sees."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import contextvars
import math
import pickle
import random
import re
import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from opentelemetry import trace

import hudtrace as hud
from hudtrace.errors import (
    ConfigurationError,
    EvalFinished,
    EvalNotFinished,
    NoCurrentEval,
    ScenarioProtocolError,
)
from hudtrace.store import queries
from hudtrace.testing import captured_spans

Stored = Callable[[str], list[queries.StoredSpan]]
pytestmark = pytest.mark.usefixtures("store")


def scenario_env(function: Any, **options: Any) -> hud.Task:
    """Make a task of one scenario function."""
    env = hud.Environment("small")
    env.scenario("one", **options)(function)
    task = env("one")
    task.__dict__["kept"] = env
    return task


def rewarding(reward: Any) -> hud.Task:
    """Make a task whose scenario yields *reward*."""

    async def one() -> Any:
        yield "prompt"
        yield reward

    return scenario_env(one)


@pytest.mark.parametrize(("answer", "reward"), [("JR", 1.0), (None, None)])
async def test_an_eval_that_nobody_goes_on_with(
    task: hud.Task, answer: str | None, reward: float | None
) -> None:
    """`EvalAbandoned` in the body: graded if there is an answer, and no failure of it."""
    ctx = hud.eval(task, on_error="record")
    async with ctx:
        if answer is not None:
            await ctx.submit(answer)
        raise hud.errors.EvalAbandoned("the user has left")
    assert (ctx.result.outcome, ctx.result.reward) == ("abandoned", reward)
    assert ctx.result.failure == "cancelled"


async def test_answer_is_graded(task: hud.Task) -> None:
    """The body submits, leaving the block grades, and the result has it all."""
    async with hud.eval(task, agent="solver@2", model="m", variant="v") as ctx:
        assert ctx.prompt == "What are the initials of the CEO of HUD?"
        assert len(ctx.trace_id) == 32
        assert ctx.trace_id in ctx.trace_url
        assert ctx.reward is None
        with pytest.raises(EvalNotFinished, match="still running"):
            _ = ctx.result
        await ctx.submit("JR")
    result = ctx.result
    assert (result.reward, result.outcome, result.answer) == (1.0, "scored", "JR")
    assert (result.agent, result.model, result.variant) == ("solver", "m", "v")
    assert result.trace_id == ctx.trace_id
    assert ctx.reward == 1.0
    assert result.duration > 0


@pytest.mark.parametrize(
    "wrong", [builtins.eval, "initials", [], None, 3], ids=lambda w: str(w)[:20]
)
def test_only_tasks_are_run(wrong: Any) -> None:
    """Anything but a task is a TypeError that says what it got and shows a line."""
    with pytest.raises(TypeError, match=r"takes a Task, but got .*hud\.eval\(task\)"):
        hud.eval(wrong)


@pytest.mark.parametrize(
    ("reward", "expected"),
    [
        (1, 1.0),
        (0.25, 0.25),
        (True, 1.0),
        (False, 0.0),
        (hud.Grade(0.5, explanation="half"), 0.5),
        ({"reward": 0.75, "explanation": "most"}, 0.75),
        ({"reward": 1, "subscores": [{"name": "a", "value": 1}]}, 1.0),
    ],
)
async def test_valid_rewards(reward: Any, expected: float) -> None:
    """Numbers, bools, grades and dicts of a grade's fields are rewards."""
    async with hud.eval(rewarding(reward)) as ctx:
        await ctx.submit("x")
    assert ctx.result.reward == expected
    assert type(ctx.result.reward) is float


@pytest.mark.parametrize(
    "reward", [None, math.nan, math.inf, "1.0", b"1", {}, {"score": 1}, [1], object()]
)
async def test_invalid_rewards_are_grader_errors(reward: Any) -> None:
    """What is no finite number is a protocol error, never 0.0 or 1.0."""
    ctx = hud.eval(rewarding(reward))
    with pytest.raises(ScenarioProtocolError, match=r"^scenario 'one' yielded"):
        async with ctx:
            await ctx.submit("x")
    assert (ctx.result.reward, ctx.result.outcome) == (None, "grader_error")


async def test_reward_outside_its_range() -> None:
    """A reward outside `reward_range` is refused, one inside is taken."""

    async def one(value: float) -> Any:
        yield "p"
        yield value

    env = hud.Environment("ranged")
    env.scenario("one", reward_range=(0, 10))(one)
    async with hud.eval(env("one", value=10)) as ctx:
        await ctx.submit("x")
    assert ctx.result.reward == 10
    ctx = hud.eval(env("one", value=11), on_error="record")
    async with ctx:
        await ctx.submit("x")
    assert ctx.result.outcome == "grader_error"
    assert "outside its reward_range" in str(ctx.result.error)


async def test_no_second_yield() -> None:
    """A scenario that ends without a reward is a grader error."""

    async def one() -> Any:
        yield "prompt"

    ctx = hud.eval(scenario_env(one))
    with pytest.raises(ScenarioProtocolError, match="without yielding a reward"):
        async with ctx:
            await ctx.submit("x")
    assert ctx.result.outcome == "grader_error"


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_clean_up_that_fails(
    is_async: bool, stored: Stored, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reward that was yielded before counts; the error is on its span."""

    async def one() -> Any:
        try:
            yield "prompt"
            yield 0.5
        finally:
            raise KeyError("disk")

    def two() -> Any:
        yield "prompt"
        yield 0.5
        raise KeyError("disk")

    async with hud.eval(scenario_env(one if is_async else two)) as ctx:
        await ctx.submit("x")
    assert (ctx.result.reward, ctx.result.outcome) == (0.5, "scored")
    (span,) = [s for s in stored(ctx.trace_id) if s.name == "reward"]
    assert [event.name for event in span.events] == ["exception"]
    assert "KeyError" in str(span.events[0].attributes)
    said = capsys.readouterr().err
    assert not is_async or "raised KeyError('disk') after its reward" in said


async def test_third_yield() -> None:
    """A scenario that yields a third time is a grader error."""

    async def one() -> Any:
        yield "prompt"
        yield 1.0
        yield 2.0

    ctx = hud.eval(scenario_env(one))
    with pytest.raises(ScenarioProtocolError, match="third time"):
        async with ctx:
            await ctx.submit("x")
    assert (ctx.result.reward, ctx.result.outcome) == (None, "grader_error")


async def test_a_failure_that_a_framework_wraps() -> None:
    """A tool's `EnvironmentFailure` counts as one, also where the body raises its own."""

    async def one() -> Any:
        yield "prompt"
        yield 1.0

    task = scenario_env(one)
    task.resolve()[0].tool(_outage)
    ctx = hud.eval(task, grade_on_error=True)
    with pytest.raises(RuntimeError, match="tool failed"):
        async with ctx:
            try:
                await ctx.call_tool("_outage")
            except hud.EnvironmentFailure as failure:
                raise RuntimeError("tool failed") from failure
    assert (ctx.result.reward, ctx.result.outcome) == (None, "environment_error")


def _outage() -> str:
    """Fail as the environment does."""
    raise hud.EnvironmentFailure("no power")


async def test_no_prompt() -> None:
    """A scenario that yields no text or blocks first fails at entry."""

    async def one() -> Any:
        yield 3
        yield 1.0

    ctx = hud.eval(scenario_env(one))
    with pytest.raises(ScenarioProtocolError, match="its first yield is a str"):
        async with ctx:
            pytest.fail("the body must not run")
    assert ctx.result.outcome == "environment_error"


@pytest.mark.parametrize("on_error", ["raise", "record"])
async def test_grading_raises(on_error: Any, stored: Stored) -> None:
    """What the grader raises is on the reward span, and raised or recorded."""

    async def one() -> Any:
        yield "prompt"
        raise KeyError("grader")

    ctx = hud.eval(scenario_env(one), on_error=on_error)
    with contextlib.suppress(KeyError) if on_error == "raise" else nothing():
        async with ctx:
            await ctx.submit("x")
        assert on_error == "record"
    assert ctx.result.outcome == "grader_error"
    assert isinstance(ctx.result.error, KeyError)
    reward = next(s for s in stored(ctx.trace_id) if s.name == "reward")
    assert reward.attributes["error.type"] == "KeyError"
    assert reward.status == 2
    assert reward.events[0].name == "exception"


def nothing() -> contextlib.AbstractContextManager[None]:
    """A block that changes nothing."""
    return contextlib.nullcontext()


async def test_setup_raises(stored: Stored) -> None:
    """What the set-up raises comes from entry; the trace is closed."""

    async def one() -> Any:
        if True:
            raise RuntimeError("no database")
        yield

    ctx = hud.eval(scenario_env(one), on_error="record")
    with pytest.raises(RuntimeError, match="no database"):
        async with ctx:
            pytest.fail("the body must not run")
    assert ctx.result.outcome == "environment_error"
    spans = stored(ctx.trace_id)
    assert {s.name for s in spans} == {"eval small:one", "setup"}
    assert all(s.end for s in spans)


async def test_body_raises(stored: Stored, task: hud.Task) -> None:
    """An error of the body is passed on as it is, and nothing is graded."""
    error = ValueError("mine")
    ctx = hud.eval(task)
    with pytest.raises(ValueError) as caught:
        async with ctx:
            await ctx.submit("JR")
            raise error
    assert caught.value is error
    assert error.__cause__ is None
    assert (ctx.result.reward, ctx.result.outcome) == (None, "agent_error")
    spans = stored(ctx.trace_id)
    assert "reward" not in {s.name for s in spans}
    agent = next(s for s in spans if s.name.startswith("invoke_agent"))
    assert (agent.status, agent.attributes["error.type"]) == (2, "ValueError")


async def test_body_raises_and_is_graded(task: hud.Task) -> None:
    """With `grade_on_error`, an error of the body does not prevent grading."""
    ctx = hud.eval(task, grade_on_error=True, on_error="record")
    async with ctx:
        await ctx.submit("JR")
        raise ValueError("late")
    assert (ctx.result.reward, ctx.result.outcome) == (1.0, "agent_error")
    assert isinstance(ctx.result.error, ValueError)


async def test_second_error_is_attached() -> None:
    """An error while closing is a note on the first, not in its place."""

    async def one() -> Any:
        yield "prompt"
        raise KeyError("second")

    ctx = hud.eval(scenario_env(one), grade_on_error=True)
    with pytest.raises(ValueError, match="first") as caught:
        async with ctx:
            raise ValueError("first")
    assert any("second" in note for note in caught.value.__notes__)


async def test_environment_failure(task: hud.Task) -> None:
    """`EnvironmentFailure` in the body is the environment's, not the agent's."""
    ctx = hud.eval(task)
    with pytest.raises(hud.EnvironmentFailure):
        async with ctx:
            raise hud.EnvironmentFailure("the browser crashed")
    assert ctx.result.outcome == "environment_error"
    assert ctx.result.failure == "infra"


async def test_environment_failure_in_a_tool_that_is_swallowed() -> None:
    """A framework that swallows `EnvironmentFailure` does not get a grade."""
    env = hud.Environment("broken")

    @env.tool
    def browse() -> str:
        """Browse."""
        raise hud.EnvironmentFailure("gone")

    @env.scenario("one")
    async def one() -> Any:
        yield "p"
        yield 1.0

    ctx = hud.eval(one(), on_error="record")
    async with ctx:
        with contextlib.suppress(hud.EnvironmentFailure):
            await ctx.call_tool("browse")
        await ctx.submit("x")
    assert (ctx.result.reward, ctx.result.outcome) == (None, "environment_error")


async def test_submit_twice(task: hud.Task, stored: Stored) -> None:
    """The last answer counts, and the root says how many there were."""
    async with hud.eval(task) as ctx:
        await ctx.submit("XX")
        await ctx.submit("JR")
    assert ctx.result.reward == 1.0
    assert stored(ctx.trace_id)[0].attributes["hud.submit.count"] == 2


async def test_no_submit() -> None:
    """Without an answer the grader gets None, and the outcome says so."""
    seen = []

    async def one() -> Any:
        seen.append((yield "prompt"))
        yield 0.0

    async with hud.eval(scenario_env(one)) as ctx:
        pass
    assert seen == [None]
    assert (ctx.result.reward, ctx.result.outcome) == (0.0, "no_answer")


async def test_after_the_end(task: hud.Task) -> None:
    """Tool calls and answers after the end are refused."""
    async with hud.eval(task) as ctx:
        await ctx.submit("JR")
    for late in (
        ctx.submit("x"),
        ctx.call_tool("lookup_ceo", company="HUD"),
        ctx.tools["lookup_ceo"](company="HUD"),
    ):
        with pytest.raises(EvalFinished, match="after the end"):
            await late


async def test_entering_twice(task: hud.Task) -> None:
    """A context is used once."""
    async with hud.eval(task) as ctx:
        pass
    with pytest.raises(EvalFinished, match="entered before"):
        async with ctx:
            pass


async def test_finish_early(task: hud.Task) -> None:
    """`finish` grades at once, the second time returns the same, exit does nothing."""
    async with hud.eval(task) as ctx:
        await ctx.submit("JR")
        first = await ctx.finish()
        assert await ctx.finish() is first
        assert first.reward == ctx.reward == 1.0
        with pytest.raises(EvalFinished):
            await ctx.submit("again")
    assert ctx.result is first


@pytest.mark.parametrize("how", ["graded", "body", "setup", "grader", "cancelled"])
async def test_finally_always_runs(how: str) -> None:
    """The generator's `finally` runs before the block returns, however it ends."""
    events: list[str] = []

    async def one() -> Any:
        try:
            if how == "setup":
                raise RuntimeError("setup")
            yield "prompt"
            if how == "grader":
                raise RuntimeError("grader")
            yield 1.0
        finally:
            await asyncio.sleep(0)
            events.append("closed")

    async def run() -> None:
        async with hud.eval(scenario_env(one)):
            if how == "body":
                raise RuntimeError("body")
            if how == "cancelled":
                await asyncio.sleep(60)

    running = asyncio.create_task(run())
    if how == "cancelled":
        await asyncio.sleep(0.05)
        running.cancel()
    with contextlib.suppress(RuntimeError, asyncio.CancelledError):
        await running
    assert events == ["closed"]


@pytest.mark.parametrize("where", ["setup", "body", "tool", "grading"])
async def test_cancellation_anywhere(where: str, stored: Stored) -> None:
    """Cancelled in any phase: generator closed, every span ended and marked."""
    closed = []
    env = hud.Environment("slow")

    @env.tool
    async def wait() -> str:
        """Wait."""
        await asyncio.sleep(60)
        return "never"

    @env.scenario("one")
    async def one() -> Any:
        try:
            if where == "setup":
                await asyncio.sleep(60)
            yield "p"
            if where == "grading":
                await asyncio.sleep(60)
            yield 1.0
        finally:
            closed.append(True)

    ctx = hud.eval(one())

    async def run() -> None:
        async with ctx:
            if where == "tool":
                await ctx.call_tool("wait")
            if where == "body":
                await asyncio.sleep(60)

    running = asyncio.create_task(run())
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert closed == [True]
    assert ctx.result.outcome == "cancelled"
    spans = stored(ctx.trace_id)
    assert all(span.end is not None for span in spans)
    assert spans[0].attributes["error.type"] == "cancelled"
    assert spans[0].attributes["hud.eval.ended"] is True
    assert ctx.result.delivery is not None
    assert ctx.result.delivery.complete


async def test_task_group_across_a_yield() -> None:
    """An anyio task group may be held across a scenario's yield, as MCP clients do."""
    events = []

    async def background() -> None:
        try:
            await anyio.sleep(60)
        finally:
            events.append("stopped")

    async def one() -> Any:
        async with anyio.create_task_group() as group:
            group.start_soon(background)
            answer = yield "prompt"
            yield 1.0 if answer == "x" else 0.0
            group.cancel_scope.cancel()

    async with hud.eval(scenario_env(one)) as ctx:
        await ctx.submit("x")
    assert ctx.result.reward == 1.0
    assert events == ["stopped"]


async def test_task_group_across_a_yield_when_the_body_fails() -> None:
    """A task group held across the yield is closed when nothing is graded."""
    events = []

    async def background() -> None:
        try:
            await anyio.sleep(60)
        finally:
            events.append("stopped")

    async def one() -> Any:
        async with anyio.create_task_group() as group:
            group.start_soon(background)
            try:
                yield "prompt"
            finally:
                group.cancel_scope.cancel()
            yield 1.0

    with pytest.raises(ValueError, match="body"):
        async with hud.eval(scenario_env(one)):
            raise ValueError("body")
    assert events == ["stopped"]


async def test_sync_scenario() -> None:
    """A sync generator works too, on one thread of its own from start to end."""
    threads = []

    def one() -> Any:
        threads.append(threading.current_thread())
        answer = yield "prompt"
        threads.append(threading.current_thread())
        yield 1.0 if answer == "x" else 0.0

    async with hud.eval(scenario_env(one)) as ctx:
        await ctx.submit("x")
    assert ctx.result.reward == 1.0
    assert threads[0] is threads[1]
    assert threads[0] is not threading.current_thread()


LEAK: contextvars.ContextVar[str] = contextvars.ContextVar("LEAK", default="clean")


@pytest.mark.parametrize("is_async", [True, False])
async def test_nothing_leaks_from_a_scenario(is_async: bool) -> None:
    """Neither a ContextVar nor a span of the scenario leaks; both live on inside."""
    seen = []
    tracer = trace.get_tracer("user")

    def step() -> Any:
        LEAK.set("set")
        return tracer.start_as_current_span("held")

    async def one() -> Any:
        with step():
            yield "p"
            seen.append(LEAK.get())
            yield 1.0

    def sync_one() -> Any:
        with step():
            yield "p"
            seen.append(LEAK.get())
            yield 1.0

    before = trace.get_current_span()
    async with hud.eval(scenario_env(one if is_async else sync_one)) as ctx:
        assert LEAK.get() == "clean"
        name = getattr(trace.get_current_span(), "name", "")
        assert name == "invoke_agent agent"
        await ctx.submit("x")
    assert seen == ["set"]
    assert LEAK.get() == "clean"
    assert trace.get_current_span() is before


async def test_returns_model() -> None:
    """With `returns`, the scenario gets an Answer: value, text, and error."""
    seen = []

    async def one() -> Any:
        seen.append((yield "p"))
        yield 1.0

    for answer in ('{"a": 1}', "no json", None, {"a": 2}):
        async with hud.eval(scenario_env(one, returns=dict[str, int])) as ctx:
            if answer is not None:
                await ctx.submit(answer)
    assert seen[0].value == {"a": 1}
    assert (seen[1].value, seen[1].text) == (None, "no json")
    assert seen[1].error
    assert seen[2].text is None
    assert seen[3].value == {"a": 2}


async def test_answers_that_are_not_text() -> None:
    """Plain data reaches the grader as JSON text."""
    seen = []

    async def one() -> Any:
        seen.append((yield "p"))
        yield 1.0

    async with hud.eval(scenario_env(one)) as ctx:
        await ctx.submit({"a": [1, 2]})
    assert seen == ['{"a": [1, 2]}']
    assert ctx.result.answer == {"a": [1, 2]}


async def test_state_and_log(task: hud.Task, stored: Stored) -> None:
    """Numbers logged are on the root; other values are refused with a reason."""
    async with hud.eval(task) as ctx:
        ctx.state["x"] = 1
        assert hud.current_eval() is ctx
        assert hud.current_eval().state == {"x": 1}
        ctx.log(loss=1, speed=2.5)
        with pytest.raises(TypeError, match="only numbers"):
            ctx.log(name="text")  # type: ignore[arg-type]
    root = stored(ctx.trace_id)[0]
    assert root.attributes["hud.log.loss"] == 1.0
    assert root.attributes["hud.log.speed"] == 2.5
    with pytest.raises(NoCurrentEval, match="propagate"):
        hud.current_eval()


async def test_sub_scores(stored: Stored) -> None:
    """Sub-scores of the grade and of `hud.score` are spans below the reward."""

    async def one() -> Any:
        yield "p"
        hud.score(0.5, name="style", explanation="fine")
        yield hud.Grade(1.0, [hud.SubScore("exact", 1.0, weight=2)], "good", {"k": 1})

    async with hud.eval(scenario_env(one)) as ctx:
        await ctx.submit("x")
    assert ctx.result.grade is not None
    assert [s.name for s in ctx.result.grade.subscores] == ["exact", "style"]
    spans = {s.name: s for s in stored(ctx.trace_id)}
    style = spans["reward style"]
    assert style.parent_id == spans["reward"].span_id
    assert style.attributes["gen_ai.evaluation.score.value"] == 0.5
    assert style.attributes["gen_ai.evaluation.explanation"] == "fine"
    assert spans["reward exact"].attributes["hud.subscore.weight"] == 2.0
    assert spans["reward"].attributes["hud.grade_info"] == '{"k":1}'


class TestLimits:
    """A limit stops the body; the episode is graded, and the result says why."""

    async def test_time(self, task: hud.Task) -> None:
        """The time limit ends a body that waits."""
        async with hud.eval(task, limits=hud.Limits(time=0.05)) as ctx:
            await ctx.submit("JR")
            await asyncio.sleep(60)
            pytest.fail("not stopped")
        assert (ctx.result.reward, ctx.result.stopped_by) == (1.0, "time")
        assert ctx.result.outcome == "scored"

    async def test_tool_calls(self, task: hud.Task) -> None:
        """The tool call past the limit is not made."""
        made = 0
        async with hud.eval(task, limits=hud.Limits(tool_calls=2)) as ctx:
            while True:
                await ctx.call_tool("lookup_ceo", company="HUD")
                made += 1
        assert made == ctx.result.tool_calls == 2
        assert ctx.result.stopped_by == "tool_calls"
        assert ctx.result.outcome == "no_answer"

    async def test_from_a_subtask(self, task: hud.Task) -> None:
        """A limit noticed in a task of the body's stops the body."""
        async with hud.eval(task, limits=hud.Limits(tool_calls=1)) as ctx:
            await ctx.submit("JR")

            async def work() -> None:
                while True:
                    await ctx.call_tool("lookup_ceo", company="HUD")

            await asyncio.gather(work(), asyncio.sleep(60))
        assert (ctx.result.reward, ctx.result.stopped_by) == (1.0, "tool_calls")

    async def test_outer_cancellation_wins(self, task: hud.Task) -> None:
        """A cancellation from outside is not swallowed by a limit."""
        ctx = hud.eval(task, limits=hud.Limits(time=0.05))

        async def run() -> None:
            async with ctx:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    running.cancel()
                    raise

        running = asyncio.create_task(run())
        with pytest.raises(asyncio.CancelledError):
            await running
        assert ctx.result.outcome == "cancelled"

    async def test_after_a_limit_the_task_goes_on(self, task: hud.Task) -> None:
        """Code after the block runs as if nothing had been cancelled."""
        async with hud.eval(task, limits=hud.Limits(time=0.02)):
            await asyncio.sleep(60)
        await asyncio.sleep(0)
        current = asyncio.current_task()
        assert current is not None
        assert current.cancelling() == 0

    def test_limits_are_above_zero(self) -> None:
        """A limit of 0 or less is refused."""
        with pytest.raises(ValueError, match="above 0"):
            hud.Limits(turns=0)


async def test_ids_do_not_repeat(task: hud.Task) -> None:
    """`random.seed` in user code does not repeat trace ids."""
    ids = []
    for _ in range(2):
        random.seed(0)
        async with hud.eval(task) as ctx:
            ids.append(ctx.trace_id)
    assert ids[0] != ids[1]


async def test_evals_in_one_loop_do_not_mix(task: hud.Task) -> None:
    """Fifty evals at once in one loop: each trace has its own spans alone."""

    async def run(number: int) -> hud.EvalResult:
        async with hud.eval(task, metadata={"n": number}) as ctx:
            for _ in range(3):
                await ctx.call_tool("lookup_ceo", company=f"company{number}")
            await ctx.submit("JR")
        return ctx.result

    with captured_spans() as spans:
        results = await asyncio.gather(*(run(n) for n in range(50)))
    for number, result in enumerate(results):
        mine = [s for s in spans if s.trace_id == result.trace_id]
        arguments = {
            s.attributes["gen_ai.tool.call.arguments"]
            for s in mine
            if s.name == "execute_tool lookup_ceo"
        }
        assert arguments == {f'{{"company":"company{number}"}}'}
        assert len(mine) == 7


def test_evals_in_threads_do_not_mix(task: hud.Task) -> None:
    """Evals in loops of different threads keep their spans apart."""
    results: list[hud.EvalResult] = []

    async def run() -> None:
        async with hud.eval(task) as ctx:
            await ctx.call_tool("lookup_ceo", company="HUD")
            await ctx.submit("JR")
        results.append(ctx.result)

    threads = [threading.Thread(target=lambda: asyncio.run(run())) for _ in range(8)]
    with captured_spans() as spans:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for result in results:
        assert sum(s.trace_id == result.trace_id for s in spans) == 5


async def test_result_is_plain(task: hud.Task) -> None:
    """A result can be pickled, made plain data, and shown in a notebook."""
    async with hud.eval(task) as ctx:
        await ctx.submit("JR")
    copy = pickle.loads(pickle.dumps(ctx.result))
    assert copy.reward == 1.0
    assert copy.delivery is None
    data = ctx.result.to_dict()
    assert data["task"]["args"] == {"company": "HUD"}
    assert data["usage"]["cost"] is None
    assert ctx.result.trace_id in ctx.result._repr_html_()


async def test_delivery_is_live(task: hud.Task) -> None:
    """The delivery report fills up while spans are written."""
    async with hud.eval(task) as ctx:
        await ctx.submit("JR")
    assert await ctx.result.delivered(10)
    report = ctx.result.delivery
    assert report is not None
    assert (report.started, report.stored, report.dropped) == (4, 4, 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": 5}, "name=5: it is a text"),
        ({"agent": 5}, "agent=5: it is a text"),
        ({"model": b"m"}, "model=b'm': it is a text"),
        ({"job": 4}, "job=4: it is the id of a job"),
        ({"variant": 3}, "variant=3: it is a word or a mapping"),
        ({"variant": {1: 2}}, "variant={1: 2}: its keys are texts"),
        ({"metadata": {1: 2}}, "metadata={1: 2}: its keys are texts"),
        ({"metadata": "x"}, "metadata='x': it is a mapping"),
    ],
)
def test_wrong_options(task: hud.Task, options: dict[str, Any], said: str) -> None:
    """An option of the wrong kind is refused, with its name."""
    with pytest.raises(TypeError, match=re.escape(said)):
        hud.eval(task, **options)


async def test_a_number_is_no_subscore(task: hud.Task) -> None:
    """`ctx.score` says what takes a number."""
    async with hud.eval(task) as ctx:
        with pytest.raises(TypeError, match=r"for a number there is hud\.score"):
            ctx.score(1.0)  # type: ignore[arg-type]
        await ctx.submit("JR")


def test_a_number_is_no_carrier_and_no_store() -> None:
    """What cannot be a carrier or a store is refused, with what can."""
    with pytest.raises(TypeError, match=r"attach\(5\): a carrier is"), hud.attach(5):  # type: ignore[arg-type]
        pytest.fail("the block must not run")
    with pytest.raises(ConfigurationError, match="store is 5 in configure"):
        hud.configure(store=5)  # type: ignore[arg-type]
