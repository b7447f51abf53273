"""An agent of Google's Agent Development Kit, evaluated on one task.

    python examples/13_adk.py [MODEL]

With GOOGLE_API_KEY set, and a model named, that model answers. Without, a
scripted one does, offline. Tried with google-adk 1.39 and 2.13.

`adk.run` gives an agent a session, runs it on the prompt and returns its last
text. To keep sessions or see events, use ADK's `Runner.run_async`, and submit the
list of its events.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

from google.adk.agents import Agent
from google.adk.models.google_llm import Gemini

import hud
from hud.frameworks import adk
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


async def agent(ctx: hud.EvalContext, model: Any) -> None:
    """Let an agent answer; its name must be an identifier."""
    helper = Agent(
        name="trivia_agent",
        model=model,
        instruction="Answer trivia questions. Use tools to look up information.",
        tools=ctx.as_adk_tools(),
    )
    await ctx.submit(await adk.run(helper, ctx.prompt))


@contextlib.contextmanager
def model_to_ask() -> Iterator[Any]:
    """Give a model: the real one, or a scripted one."""
    if os.environ.get("GOOGLE_API_KEY") and len(sys.argv) > 1:
        yield sys.argv[1]
        return
    os.environ["GOOGLE_API_KEY"] = "none"  # the client wants one
    script = [call(("lookup_ceo", {"company": "HUD"})), say("JR")]
    with ScriptedModel(script) as scripted:
        yield Gemini(model=scripted.model, base_url=scripted.origin)


async def main() -> None:
    """Run the eval and print what came of it."""
    with model_to_ask() as model:
        limits = hud.Limits(turns=8)
        async with hud.eval(initials(company="HUD", wanted="JR"), limits=limits) as ctx:
            await agent(ctx, model)
    result = ctx.result
    print(f"reward {result.reward}, {result.turns} turns, {result.outcome}")
    print(f"hudtrace show {result.trace_id[:12]}")


if __name__ == "__main__":
    asyncio.run(main())
