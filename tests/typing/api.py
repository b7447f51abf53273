"""Code as users write it; a type checker must accept all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import hud

env = hud.Environment("typed")


@env.tool
def double(n: int) -> int:
    """Double a number."""
    return 2 * n


@env.tool(name="half", timeout=1.0, run_in="loop", parallel=False)
def halve(n: int) -> float:
    """Halve a number."""
    return n / 2


@env.scenario("sum", reward_range=(0.0, 1.0))
async def add(a: int, b: int = 1) -> AsyncIterator[object]:
    """Ask for a sum."""
    yield f"{a} + {b}?"
    yield hud.Grade(1.0, [hud.SubScore("exact", 1.0)], explanation="right")


task: hud.Task = add(1, b=2)
same: hud.Task = env("sum", a=1, b=2)


async def run() -> float | None:
    limits = hud.Limits(time=10, turns=3)
    async with hud.eval(task, agent="a@1", limits=limits, variant={"p": 1}) as ctx:
        tools: list[dict[str, object]] = ctx.as_openai_chat_tools(strict=True)
        assert tools
        await ctx.call_tool("double", n=2)
        await ctx.submit("3")
    result: hud.EvalResult = ctx.result
    await result.delivered(timeout=1)
    return result.reward


@hud.traced_eval(task)
async def bound(ctx: hud.EvalContext) -> None:
    await ctx.submit("3")


async def returning() -> float:
    async with hud.eval(task) as ctx:
        await ctx.submit("3")
        return 1.0


def returning_sync() -> float:
    with hud.eval(task, on_error="raise") as ctx:
        ctx.submit("3")
        return 1.0


def recording() -> float:  # type: ignore[return]
    with hud.eval(task, on_error="record"):  # an error in it stays in it
        return 1.0


def run_sync() -> float | None:
    with hud.eval(task) as ctx:
        double: int = ctx.tools["double"](n=2)
        messages: list[object] = ctx.call_tools([{"name": "double", "arguments": {}}])
        assert double
        assert messages
        with ctx.turn() as turn:
            assert turn.index == 1
        ctx.submit("3")
        result: hud.EvalResult = ctx.finish()
    same: hud.SyncEvalContext = ctx
    return same.reward or result.reward


@hud.traced_eval(task)
def bound_sync(ctx: hud.SyncEvalContext, n: int = 1) -> None:
    ctx.submit(str(n))


@hud.traced_eval
def bare(n: int) -> int:
    hud.score(1.0, name="fine")
    return double(n)


def served(client: object) -> object:
    options = hud.Limits(turns=3)
    env.serve_as_agent(client=client, model="m", port=0, limits=options, max_steps=3)
    return env.agent_app(client=client, model="m", api_key="k", models=["n"])


try:
    hud.configure(store="off")
except hud.errors.ConfigurationError as error:
    print(error)
