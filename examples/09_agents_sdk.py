"""An agent of the OpenAI Agents SDK, evaluated on one task.

    python examples/09_agents_sdk.py [MODEL]

With OPENAI_API_KEY set, and a model named, that model answers. Without, a
scripted one does, offline. Tried with openai-agents 0.20 and 0.24.

The SDK sends traces of its own to OpenAI unless it is told not to, as here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

from agents import Agent, OpenAIResponsesModel, Runner, set_tracing_disabled
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


@contextlib.asynccontextmanager
async def model_to_ask() -> AsyncIterator[OpenAIResponsesModel]:
    """Give the model of the agent: the real one, or a scripted one."""
    if os.environ.get("OPENAI_API_KEY") and len(sys.argv) > 1:
        async with AsyncOpenAI() as client:
            yield OpenAIResponsesModel(sys.argv[1], client)
        return
    script = [call(("lookup_ceo", {"company": "HUD"})), say("JR")]
    with ScriptedModel(script) as scripted:
        async with AsyncOpenAI(base_url=scripted.url, api_key="none") as client:
            yield OpenAIResponsesModel(scripted.model, client)


async def main() -> None:
    """Run the eval and print what came of it."""
    set_tracing_disabled(True)
    async with model_to_ask() as model:
        limits = hud.Limits(turns=8)
        async with hud.eval(initials(company="HUD", wanted="JR"), limits=limits) as ctx:
            agent = Agent(
                name="trivia-agent",
                instructions="Answer trivia questions. Use tools to look things up.",
                tools=ctx.as_openai_agent_tools(),
                model=model,
            )
            await ctx.submit(await Runner.run(agent, ctx.prompt))
    result = ctx.result
    print(f"reward {result.reward}, {result.turns} turns, {result.outcome}")
    print(f"hudtrace show {result.trace_id[:12]}")


if __name__ == "__main__":
    asyncio.run(main())
