"""The seam of framework converters: one tool of an eval, from any thread or loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import hudtrace as hud
from hudtrace.errors import EvalFinished, MissingExtra
from hudtrace.frameworks.agent_tool import AgentTool, required
from hudtrace.testing import captured_spans

pytestmark = [pytest.mark.usefixtures("store"), pytest.mark.timeout(30)]


def tools_of(ctx: hud.EvalContext) -> dict[str, AgentTool]:
    return {tool.name: tool for tool in ctx._agent_tools()}


async def in_thread(work: Callable[[], Any], *, context: bool = True) -> Any:
    """Run *work* in a thread, with or without the caller's contextvars."""
    run = contextvars.copy_context().run if context else (lambda f: f())
    with ThreadPoolExecutor(1, "worker") as pool:
        return await asyncio.wrap_future(pool.submit(run, work))


async def test_what_a_converter_sees(env: hud.Environment) -> None:
    """A tool has a name, a description and a schema of its own."""
    async with hud.eval(env("ask")) as ctx:
        tool = tools_of(ctx)["double"]
        tool.schema["properties"].clear()
        again = tools_of(ctx)["double"]
    assert (tool.name, tool.description) == ("double", "Double a number.")
    assert again.schema["properties"]["n"]["type"] == "integer"


@pytest.mark.parametrize("given", [{"n": 2}, '{"n": 2}'])
async def test_arguments_as_models_send_them(env: hud.Environment, given: Any) -> None:
    """Arguments are a mapping or JSON text; the result has text and value."""
    async with hud.eval(env("ask")) as ctx:
        tool = tools_of(ctx)["double"]
        result = await tool.run(given, id="call_1")
        same = await in_thread(lambda: tool.run_sync(given))
        assert ctx.tool_calls[0].id == "call_1"
    assert (result.text, result.value, result.is_error) == ("4", 4, False)
    assert same == result


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("double", "{broken", "not valid JSON"),
        ("double", "[1]", "send a JSON object"),
        ("double", {"n": "x"}, "invalid arguments"),
        ("double", None, "missing"),
        ("broken", "", "the tool failed with KeyError"),
    ],
)
async def test_mistakes_come_back_in_band(
    env: hud.Environment, name: str, given: Any, says: str
) -> None:
    """What the model or the tool did wrong is a result, from sync code as well."""
    async with hud.eval(env("ask")) as ctx:
        tool = tools_of(ctx)[name]
        result = await tool.run(given)
        same = await in_thread(lambda: tool.run_sync(given))
    assert result.is_error
    assert says in result.text
    assert same == result


async def test_what_ends_the_eval_passes_through(env: hud.Environment) -> None:
    """A failure of the environment and a call after the end are raised."""
    with pytest.raises(hud.EnvironmentFailure):
        async with hud.eval(env("ask")) as ctx:
            tools = tools_of(ctx)
            await in_thread(lambda: tools["ruined"].run_sync({}))
    assert ctx.result.outcome == "environment_error"
    with pytest.raises(EvalFinished):
        await tools["double"].run({"n": 1})
    with pytest.raises(EvalFinished):
        tools["double"].run_sync({"n": 1})


async def test_a_free_loop_runs_its_tools(env: hud.Environment) -> None:
    """While the eval's loop is free, async tools run there, whoever calls."""
    here = threading.current_thread().name
    async with hud.eval(env("ask")) as ctx:
        tool = tools_of(ctx)["where"]

        def own_loop() -> str:
            return asyncio.run(tool.run({})).text

        assert (await tool.run({})).text == here
        assert (await in_thread(lambda: tool.run_sync({}))).text == here
        assert await in_thread(own_loop) == here


async def test_a_blocked_loop_is_not_waited_for(env: hud.Environment) -> None:
    """Under a sync call that blocks the eval's loop, tools run all the same."""
    async with hud.eval(env("ask")) as ctx:
        tool = tools_of(ctx)["where"]

        def own_loop() -> str:
            return asyncio.run(tool.run({})).text

        with ThreadPoolExecutor(4) as pool:
            found = [tool.run_sync({}).text]
            found += [f.result().text for f in _many(pool, tool)]
            found += [pool.submit(own_loop).result(10)]
        again = await in_thread(lambda: tool.run_sync({}))
    assert {name.split("-")[1] for name in found} == {"loop"}
    assert again.text == threading.current_thread().name
    assert ctx.result.tool_calls == 7


def _many(pool: ThreadPoolExecutor, tool: AgentTool) -> list[Any]:
    return [pool.submit(tool.run_sync, {}) for _ in range(4)]


async def test_spans_keep_their_place(env: hud.Environment) -> None:
    """A tool span is below the caller's span, else the agent's; never elsewhere."""
    other = env("ask").replace(id="other")
    with captured_spans() as spans:
        async with hud.eval(env("ask")) as ctx:
            tool = tools_of(ctx)["where"]
            async with hud.eval(other) as inner:
                tool.run_sync({})  # its caller is in another eval
            await in_thread(lambda: tool.run_sync({}), context=False)
            async with ctx.turn():
                await in_thread(lambda: tool.run_sync({}))
    of = {s.span_id: s for s in spans}
    calls = [s for s in spans if s.name == "execute_tool where"]
    parents = [of[s.parent_id or ""].name for s in calls]
    assert {s.trace_id for s in calls} == {ctx.trace_id} != {inner.trace_id}
    assert parents == ["invoke_agent agent", "invoke_agent agent", "turn"]


async def test_one_at_a_time_across_loops(env: hud.Environment) -> None:
    """A tool that is not parallel stays so when it is called on several loops."""
    async with hud.eval(env("ask")) as ctx:
        tool = tools_of(ctx)["alone"]
        waiting = [asyncio.create_task(tool.run({"seconds": 0.01})) for _ in range(3)]
        with ThreadPoolExecutor(4) as pool:
            blocked = [pool.submit(tool.run_sync, {"seconds": 0.01}) for _ in range(4)]
            assert {f.result(10).text for f in blocked} == {"1"}
        assert {(await task).text for task in waiting} == {"1"}


async def test_a_limit_under_a_blocked_loop(env: hud.Environment) -> None:
    """A limit stops a sync agent, also while a call waits on the loop it blocks."""
    async with hud.eval(env("ask"), limits=hud.Limits(tool_calls=2)) as ctx:
        tool = tools_of(ctx)["nap"]
        waiting = asyncio.create_task(tool.run({"seconds": 0.01}))
        await asyncio.sleep(0)
        with ThreadPoolExecutor(4) as pool:
            pool.submit(tool.run_sync, {"seconds": 0.01}).result(10)
            pool.submit(tool.run_sync, {"seconds": 0.01}).result(10)
        raise AssertionError("not stopped")
    assert ctx.result.stopped_by == "tool_calls"
    assert (await waiting).text == "slept"


async def test_a_time_limit_under_a_blocked_loop(env: hud.Environment) -> None:
    """A time limit is kept by the next tool call where the loop is blocked."""
    async with hud.eval(env("ask"), limits=hud.Limits(time=0.2)) as ctx:
        tool = tools_of(ctx)["nap"]
        with ThreadPoolExecutor(4) as pool:
            for _ in range(100):
                pool.submit(tool.run_sync, {"seconds": 0.1}).result(10)
    assert ctx.result.stopped_by == "time"
    assert ctx.result.tool_calls < 5


async def test_cancelling_across_loops(env: hud.Environment) -> None:
    """A call from another loop that is cancelled cancels the tool."""
    async with hud.eval(env("ask")) as ctx:
        tool = tools_of(ctx)["alone"]

        async def impatient() -> None:
            async with asyncio.timeout(0.05):
                await tool.run({"seconds": 60})

        with pytest.raises(TimeoutError):
            await in_thread(lambda: asyncio.run(impatient()))
        assert (await tool.run({})).text == "2"  # the lock is free again


def test_a_missing_framework_has_its_pip_line() -> None:
    """Where a framework is not installed, the error says how to get it."""
    assert required("json.decoder", "json").__name__ == "json.decoder"
    with pytest.raises(MissingExtra, match=r"pip install 'hudtrace\[swarm\]'"):
        required("agentswarm.tools", "hudtrace[swarm]")
