"""An agent on OpenAI Chat Completions, evaluated on one task.

    python examples/01_chat_completions.py [MODEL]

With OPENAI_API_KEY set, and a model named, that model answers. Without, a
scripted one does, offline.
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
    messages: list[Any] = [{"role": "user", "content": ctx.prompt}]
    while True:
        response = await client.chat.completions.create(
            model=model, messages=messages, tools=ctx.as_openai_chat_tools()
        )
        message = response.choices[0].message
        messages.append(message)
        if not message.tool_calls:
            return await ctx.submit(message.content)
        messages += await ctx.call_tools(message.tool_calls)


@contextlib.asynccontextmanager
async def model_to_ask() -> AsyncIterator[tuple[AsyncOpenAI, str]]:
    """Give a client and the name of a model: the real one, or a scripted one."""
    if os.environ.get("OPENAI_API_KEY") and len(sys.argv) > 1:
        async with AsyncOpenAI() as client:
            yield client, sys.argv[1]
        return
    print(
        "a scripted model answers; for another, set OPENAI_API_KEY and name it",
        file=sys.stderr,
    )
    script = [call(("lookup_ceo", {"company": "HUD"})), say("JR")]
    with ScriptedModel(script) as scripted:
        async with AsyncOpenAI(base_url=scripted.url, api_key="none") as client:
            yield client, scripted.model


async def main() -> None:
    """Run the eval and print what came of it."""
    async with model_to_ask() as (client, model):
        limits = hud.Limits(turns=8)
        async with hud.eval(initials(company="HUD", wanted="JR"), limits=limits) as ctx:
            await agent(ctx, client, model)
    result = ctx.result
    print(f"reward {result.reward}, {result.turns} turns, {result.outcome}")
    print(f"hudtrace show {result.trace_id[:12]}")


if __name__ == "__main__":
    asyncio.run(main())
