"""An agent on Anthropic Messages, evaluated on one task.

    python examples/07_anthropic.py [MODEL]

With ANTHROPIC_API_KEY set, and a model named, that model answers. Without, a
scripted one does, offline.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

from anthropic import AsyncAnthropic

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


async def agent(ctx: hud.EvalContext, client: AsyncAnthropic, model: str) -> None:
    """Let the model call tools until it answers; its answers are streamed."""
    messages: list[Any] = [{"role": "user", "content": ctx.prompt}]
    while True:
        async with client.messages.stream(
            model=model,
            max_tokens=1024,
            messages=messages,
            tools=ctx.as_claude_tools(cache_control=True),
        ) as stream:
            message = await stream.get_final_message()
        messages.append({"role": "assistant", "content": message.content})
        calls = [block for block in message.content if block.type == "tool_use"]
        if not calls:
            texts = [block.text for block in message.content if block.type == "text"]
            return await ctx.submit("".join(texts))
        # The results of one answer's calls go into one message.
        messages.append({"role": "user", "content": await ctx.call_tools(calls)})


@contextlib.asynccontextmanager
async def model_to_ask() -> AsyncIterator[tuple[AsyncAnthropic, str]]:
    """Give a client and the name of a model: the real one, or a scripted one."""
    if os.environ.get("ANTHROPIC_API_KEY") and len(sys.argv) > 1:
        async with AsyncAnthropic() as client:
            yield client, sys.argv[1]
        return
    print(
        "a scripted model answers; for another, set ANTHROPIC_API_KEY and name it",
        file=sys.stderr,
    )
    script = [call(("lookup_ceo", {"company": "HUD"})), say("JR")]
    with ScriptedModel(script) as scripted:
        async with AsyncAnthropic(base_url=scripted.origin, api_key="none") as client:
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
