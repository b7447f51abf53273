"""Limits on tool calls: what is allowed runs to its end, what is not ends the body."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

import hudtrace as hud
from hudtrace.toolbox import ToolRecord

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture
def task() -> hud.Task:
    """A task with slow tools, of which one calls another."""
    env = hud.Environment("slow")

    @env.tool
    async def wait(n: int) -> int:
        """Wait."""
        await asyncio.sleep(0.05)
        return n

    @env.tool
    def block(n: int) -> int:
        """Wait in a thread."""
        time.sleep(0.05)
        return n

    @env.tool
    async def nest() -> str:
        """Call another tool."""
        return str(await hud.current_eval().call_tool("wait", n=9))

    @env.scenario("one")
    async def one() -> Any:
        yield "go"
        calls = hud.current_eval().tool_calls
        yield hud.Grade(1.0, info={"values": [call.result.value for call in calls]})

    return one()


def values(result: hud.EvalResult) -> Any:
    assert result.grade is not None
    return sorted(result.grade.info["values"])


@pytest.mark.parametrize("tool", ["wait", "block"])
async def test_the_calls_that_are_allowed_run(task: hud.Task, tool: str) -> None:
    """Of five calls at once and a limit of two, two run and are recorded."""
    after: list[str] = []
    async with hud.eval(task, limits=hud.Limits(tool_calls=2)) as ctx:
        calls = [{"name": tool, "arguments": {"n": n}} for n in range(5)]
        await ctx.call_tools(calls)
        after.append("never")
    result = ctx.result
    assert (result.outcome, result.stopped_by) == ("no_answer", "tool_calls")
    assert (result.tool_calls, values(result), after) == (2, [0, 1], [])


async def test_calls_of_the_bodys_own_tasks(task: hud.Task) -> None:
    """The same holds where the body makes the calls in tasks of its own."""
    async with hud.eval(task, limits=hud.Limits(tool_calls=2)) as ctx:
        await asyncio.gather(*(ctx.tools["wait"](n=n) for n in range(4)))
    assert (ctx.result.stopped_by, values(ctx.result)) == ("tool_calls", [0, 1])


async def test_a_call_beyond_the_limit_inside_of_a_tool(task: hud.Task) -> None:
    """A tool whose own call is refused is stopped, and nothing waits for itself."""
    async with asyncio.timeout(5):
        async with hud.eval(task, limits=hud.Limits(tool_calls=1)) as ctx:
            await ctx.call_tool("nest")
    assert ctx.result.stopped_by == "tool_calls"


async def test_the_time_limit_still_holds(task: hud.Task) -> None:
    """Calls that are waited for do not outlast the limit on time."""
    start = time.monotonic()
    limits = hud.Limits(tool_calls=1, time=0.02)
    async with hud.eval(task, limits=limits) as ctx:
        await ctx.call_tools([{"name": "wait", "arguments": {"n": n}} for n in (1, 2)])
    assert ctx.result.stopped_by == "time"
    assert time.monotonic() - start < 2
    records: list[ToolRecord] = ctx.tool_calls
    assert records == []
