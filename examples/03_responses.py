"""An agent on OpenAI Responses, evaluated on one task.

    python examples/03_responses.py [MODEL]
    python examples/03_responses.py --once [MODEL]

The agent goes on until the model answers; with --once it makes the one request
of the page, which is enough where the model needs no tool. With OPENAI_API_KEY
set, and a model named, that model answers. Without, a scripted one does,
offline. Tried with openai 1.109 and 3.54.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

from openai import AsyncOpenAI

import hud
from hud.testing import ScriptedModel, call, say

env = hud.Environment("trivia")


@env.tool()
def lookup_ceo(company: str) -> str:
    """Look up who leads a company.

    Args:
        company: The company's name.
    """
    return {"HUD": "Jay Ram", "NVIDIA": "Jensen Huang"}.get(company, "Unknown")


@env.scenario("initials")
async def initials(company: str, wanted: str) -> AsyncIterator[Any]:
    """Ask for initials, and grade them."""
    answer = yield f"What are the initials of the CEO of {company}? Say only them."
    yield 1.0 if answer and answer.strip(" .") == wanted else 0.0


async def agent(ctx: hud.EvalContext, client: AsyncOpenAI, model: str) -> None:
    """Let the model call tools until it answers."""
    tools: list[Any] = ctx.as_openai_responses_tools()
    items: list[Any] = [{"role": "user", "content": ctx.prompt}]
    while True:
        response = await client.responses.create(model=model, input=items, tools=tools)
        # The objects themselves: written out by hand, items have nulls that the
        # API refuses.
        items += response.output
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            return await ctx.submit(response.output_text)
        items += await ctx.call_tools(calls)


async def one_request(ctx: hud.EvalContext, client: AsyncOpenAI, model: str) -> None:
    """Ask once, and run the tools that the model asks for."""
    response = await client.responses.create(
        model=model,
        input=ctx.prompt or "",
        tools=ctx.as_openai_responses_tools(),  # type: ignore[arg-type]
    )
    for item in response.output:
        if item.type == "function_call":
            await ctx.call_tool(item)
    await ctx.submit(response.output_text)


@contextlib.asynccontextmanager
async def model_to_ask(
    names: list[str], *, once: bool
) -> AsyncIterator[tuple[AsyncOpenAI, str]]:
    """Give a client and the name of a model: the real one, or a scripted one."""
    if os.environ.get("OPENAI_API_KEY") and names:
        async with AsyncOpenAI() as client:
            yield client, names[0]
        return
    print(
        "a scripted model answers; for another, set OPENAI_API_KEY and name it",
        file=sys.stderr,
    )
    script = [call(("lookup_ceo", {"company": "HUD"})), say("JR")]
    with ScriptedModel(script[1:] if once else script) as scripted:
        async with AsyncOpenAI(base_url=scripted.url, api_key="none") as client:
            yield client, scripted.model


async def main(arguments: list[str]) -> None:
    """Run the eval and print what came of it."""
    once = "--once" in arguments
    names = [name for name in arguments if name != "--once"]
    run = one_request if once else agent
    async with model_to_ask(names, once=once) as (client, model):
        limits = hud.Limits(turns=8)
        async with hud.eval(initials(company="HUD", wanted="JR"), limits=limits) as ctx:
            await run(ctx, client, model)
    result = ctx.result
    print(f"reward {result.reward}, {result.turns} turns, {result.outcome}")
    print(f"hudtrace show {result.trace_id[:12]}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
