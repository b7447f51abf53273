"""`@hud.traced_eval`: a function that is an eval, bound to a task or on its own."""

from __future__ import annotations

import asyncio
import inspect
import math
import re
from collections.abc import Callable
from typing import Any

import pytest

import hudtrace as hud
from hudtrace.errors import NoCurrentEval
from hudtrace.store import queries
from hudtrace.testing import captured_spans, span_tree

Stored = Callable[[str], list[queries.StoredSpan]]
pytestmark = pytest.mark.usefixtures("store")


async def test_bound(task: hud.Task) -> None:
    """A bound function gets the context and its own arguments; it gives a result."""
    seen = []

    @hud.traced_eval(task, agent="a", variant="v")
    async def run(ctx: hud.EvalContext, answer: str, *, loud: bool = False) -> str:
        """Run."""
        seen.append((ctx.prompt, answer, loud))
        await ctx.submit(answer)
        return "ignored"

    result = await run("JR", loud=True)
    assert isinstance(result, hud.EvalResult)
    assert (result.reward, result.agent, result.variant) == (1.0, "a", "v")
    again = await run("no")
    assert again.reward == 0.0
    assert again.trace_id != result.trace_id
    assert seen[0] == ("What are the initials of the CEO of HUD?", "JR", True)
    assert (run.__name__, run.__doc__) == ("run", "Run.")


async def test_bound_passes_errors_on(task: hud.Task) -> None:
    """What a bound body raises is raised, or recorded if that was asked for."""

    async def run(ctx: hud.EvalContext) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await hud.traced_eval(task)(run)()
    result = await hud.traced_eval(task, on_error="record")(run)()
    assert result.outcome == "agent_error"


def test_wrong_decorations(task: hud.Task) -> None:
    """What cannot be an eval is refused at once, with the right form."""
    for bound in (task, [task]):
        with pytest.raises(TypeError, match="is a generator"):

            @hud.traced_eval(bound)
            def run(ctx: hud.EvalContext) -> Any:
                yield 1

    with pytest.raises(TypeError, match="is a generator"):

        @hud.traced_eval
        def generate() -> Any:
            yield 1

    with pytest.raises(TypeError, match="is a generator"):

        @hud.traced_eval()
        async def agenerate() -> Any:
            yield 1

    with pytest.raises(TypeError, match="a Task or a function"):
        hud.traced_eval("task")  # type: ignore[call-overload]


def test_bare_sync_is_transparent(stored: Stored) -> None:
    """A bare function returns and raises what it did before, in a trace of its own."""

    @hud.traced_eval
    def double(n: int, secret: object = None) -> int:
        """Double."""
        hud.score(1.0 if n else 0.0, explanation="because")
        return 2 * n

    with captured_spans() as spans:
        assert double(2) == 4
    assert double.__name__ == "double"
    assert span_tree(spans).splitlines() == [
        "eval test_bare_sync_is_transparent.<locals>.double reward=1.0 outcome=scored",
        "├─ invoke_agent agent",
        "└─ reward score=1.0",
    ]
    root = stored(spans[0].trace_id)[0]
    assert root.attributes["code.function.name"].endswith("double")
    assert root.attributes["hud.scenario_args"] == '{"n": 2, "secret": null}'
    with pytest.raises(NoCurrentEval):
        hud.current_eval()


async def test_bare_async_and_nested_calls(task: hud.Task) -> None:
    """A bare coroutine is an eval; evals inside it are traces of their own, linked."""

    @hud.traced_eval(name="outer", case=("x",))
    async def outer(x: int, y: int) -> str:
        async with hud.eval(task) as ctx:
            await ctx.submit("JR")
        hud.score(0.5)
        return ctx.trace_id

    result = await outer.eval(1, 2)
    inner = result.answer
    assert result.reward == 0.5
    assert result.trace_id != inner
    assert (await outer.eval(1, 99)).duration > 0
    assert result.name == "outer"


def test_case_names_the_task() -> None:
    """Only the named arguments tell cases apart; an unknown name is refused."""

    @hud.traced_eval(name="f", case=("x",), reward="return")
    def f(x: int, y: int) -> float:
        return 1.0

    with captured_spans() as spans:
        f(1, 2)
        f(1, 3)
        f(2, 2)
    ids = [s.attributes["hud.task.id"] for s in spans if s.name == "eval f"]
    assert ids[0] == ids[1] != ids[2]
    with pytest.raises(TypeError, match="has no argument 'z'"):
        hud.traced_eval(case=("z",))(lambda x: x)(1)


@pytest.mark.parametrize(
    ("value", "reward", "outcome"),
    [
        (0.25, 0.25, "scored"),
        (True, 1.0, "scored"),
        (hud.Grade(0.75), 0.75, "scored"),
        ("x", None, "grader_error"),
        (math.nan, None, "grader_error"),
    ],
)
def test_reward_is_the_return_value(value: Any, reward: Any, outcome: str) -> None:
    """With `reward="return"` the value is the reward, if it is one."""
    f = hud.traced_eval(reward="return")(lambda: value)
    result = f.eval()
    assert (result.reward, result.outcome) == (reward, outcome)
    returned = f()
    assert returned is value


def test_scores_make_the_reward() -> None:
    """One unnamed score is the reward; several are its parts, and it is their mean."""

    @hud.traced_eval
    def one() -> None:
        hud.score(0.25, explanation="why")

    @hud.traced_eval
    def two() -> None:
        hud.score(1.0, name="a")
        hud.score(0.0, name="b")

    @hud.traced_eval
    def none() -> None: ...

    assert one.eval().grade == hud.Grade(0.25, (), "why")
    both = two.eval()
    assert both.reward == 0.5
    assert [s.name for s in both.grade.subscores] == ["a", "b"]
    assert (none.eval().reward, none.eval().outcome) == (None, "no_answer")


def test_assertions_are_rewards() -> None:
    """An AssertionError is a reward of 0.0 with its message; it is still raised."""

    @hud.traced_eval
    def test_something(n: int) -> None:
        assert n == 1, "n must be 1"

    assert test_something.eval(1).reward == 1.0
    failed = test_something.eval(2)
    assert (failed.reward, failed.outcome, failed.error) == (0.0, "scored", None)
    assert "n must be 1" in failed.grade.explanation
    with pytest.raises(AssertionError, match="n must be 1"):
        test_something(2)


def test_errors_are_not_rewards(stored: Stored) -> None:
    """Another exception is an agent error without a reward, kept by `.eval`."""

    @hud.traced_eval
    def broken() -> None:
        raise RuntimeError("no")

    result = broken.eval()
    assert (result.reward, result.outcome) == (None, "agent_error")
    assert isinstance(result.error, RuntimeError)
    assert stored(result.trace_id)[0].attributes["error.type"] == "RuntimeError"
    with pytest.raises(RuntimeError):
        broken()
    with pytest.raises(TypeError):
        broken(1, 2, 3)


def test_methods() -> None:
    """A method can be decorated; `self` is no part of the case."""

    class Agent:
        @hud.traced_eval(reward="return")
        def act(self, n: int) -> float:
            return n / 10

    assert Agent().act(5) == 0.5
    with captured_spans() as spans:
        Agent().act(3)
    root = spans[-1]
    assert root.attributes["hud.scenario_args"] == '{"n": 3}'
    assert root.attributes["hud.reward"] == 0.3


async def test_bare_evals_at_the_same_time() -> None:
    """Bare evals in one loop keep their scores apart."""

    @hud.traced_eval
    async def f(n: int) -> None:
        await asyncio.sleep(0.001 * (5 - n % 5))
        hud.score(n / 10)

    results = await asyncio.gather(*(f.eval(n) for n in range(10)))
    assert [r.reward for r in results] == [n / 10 for n in range(10)]


async def test_cancelled() -> None:
    """A bare coroutine that is cancelled says so, and passes it on."""

    @hud.traced_eval
    async def wait() -> None:
        await asyncio.sleep(60)

    with captured_spans() as spans:
        running = asyncio.create_task(wait())
        await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert spans[-1].attributes["hud.outcome"] == "cancelled"


async def test_methods_evaluated() -> None:
    """`f.eval` of a method knows the object, in sync and in async code."""

    class Agent:
        scale = 10

        @hud.traced_eval(case=("n",), reward="return")
        def act(self, n: int) -> float:
            return n / self.scale

        @hud.traced_eval(reward="return")
        async def think(self, n: int) -> float:
            await asyncio.sleep(0)
            return n / self.scale

        @staticmethod
        @hud.traced_eval(reward="return")
        def alone(n: int) -> float:
            return n / 10

        @classmethod
        @hud.traced_eval(reward="return")
        def of_all(cls, n: int) -> float:
            return n / cls.scale

    agent = Agent()
    assert agent.act.eval(1).reward == 0.1
    assert Agent.act.eval(agent, 2).reward == 0.2
    assert (agent.act(3), Agent.act(agent, n=4)) == (0.3, 0.4)
    assert str(inspect.signature(agent.act)) == "(n: 'int') -> 'float'"
    assert inspect.iscoroutinefunction(agent.think)
    assert await agent.think(5) == 0.5
    assert (await agent.think.eval(6)).reward == 0.6
    assert (Agent.alone(7), Agent.alone.eval(8).reward) == (0.7, 0.8)
    assert (Agent.of_all(9), agent.of_all(1)) == (0.9, 0.1)


async def test_methods_bound_to_tasks(task: hud.Task) -> None:
    """A method gets its object first, then the context, then its own arguments."""

    class Agent:
        says = "JR"

        @hud.traced_eval(task)
        async def run(self, ctx: hud.EvalContext, more: str = "") -> None:
            await ctx.submit(more or self.says)

        @hud.traced_eval(task)
        def run_sync(self, ctx: hud.SyncEvalContext, more: str = "") -> None:
            ctx.submit(more or self.says)

        @hud.traced_eval(task, group=2)
        async def job(self, ctx: hud.EvalContext) -> None:
            await ctx.submit(self.says)

        @hud.traced_eval([task])
        def job_sync(self, ctx: hud.SyncEvalContext) -> None:
            ctx.submit(self.says)

        @staticmethod
        @hud.traced_eval(task)
        def alone(ctx: hud.SyncEvalContext, says: str) -> None:
            ctx.submit(says)

    agent = Agent()
    assert (await agent.run()).reward == 1.0
    assert (await agent.run(more="no")).reward == 0.0
    assert (agent.run_sync().reward, agent.run_sync("no").reward) == (1.0, 0.0)
    assert [r.reward for r in (await agent.job()).results] == [1.0, 1.0]
    assert agent.job_sync().mean == 1.0
    assert Agent.alone("JR").reward == 1.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeut": 3}, "no option 'timeut'"),
        ({"max_concurrent": 0}, "max_concurrent=0: it is 1 or more"),
        ({"max_concurrent": "3"}, "max_concurrent='3': it is a whole number"),
        ({"group": "3"}, "group='3': it is a whole number"),
        ({"group": True}, "group=True: it is a whole number"),
        ({"group": 0}, "group=0: it is 1 or more"),
        ({"name": 5}, "name=5: it is a text"),
        ({"on_error": "keep"}, "on_error='keep': it is 'raise' or 'record'"),
    ],
)
@pytest.mark.parametrize("many", [False, True])
def test_wrong_options(
    task: hud.Task, options: dict[str, Any], said: str, many: bool
) -> None:
    """An option that is none is refused where it is written."""
    with pytest.raises((TypeError, ValueError), match=re.escape(said)):
        hud.traced_eval([task] if many else task, **options)


def test_wrong_options_of_a_function(task: hud.Task) -> None:
    """A bare function has options of its own; a scenario is no task."""
    with pytest.raises(TypeError, match=r"no option 'nam'.*did you mean 'name'"):
        hud.traced_eval(nam="x")
    with pytest.raises(TypeError, match="no option 'group'"):
        hud.traced_eval(group=2)
    with pytest.raises(TypeError, match="metadata=5: it is a mapping"):
        hud.traced_eval(metadata=5)
    _, scenario = task.resolve()
    with pytest.raises(TypeError, match="the scenario 'initials' itself; call"):
        hud.traced_eval(scenario)
    with pytest.raises(TypeError, match=r"the scenario 'initials' itself.*@hud.traced"):
        hud.traced_eval([scenario])  # type: ignore[list-item]
