"""A crew of CrewAI, evaluated on one task.

    python examples/14_crewai.py [MODEL]

With OPENAI_API_KEY set, and a model named, that model answers. Without, a
scripted one does, offline. Tried with crewai 1.15.

`akickoff` runs the crew in the loop of the eval. `kickoff` is for sync code: in
`with hud.eval(task) as ctx`, or in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")  # it would phone home
os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")

from crewai import LLM, Agent, Crew, Task

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


async def crew(ctx: hud.EvalContext, llm: LLM) -> None:
    """Let a crew of one answer."""
    researcher = Agent(
        role="Researcher",
        goal="Find accurate information",
        backstory="Expert at finding information",
        tools=ctx.as_crewai_tools(),
        llm=llm,
    )
    task = Task(
        description=str(ctx.prompt),
        expected_output="The initials of the CEO",
        agent=researcher,
    )
    await ctx.submit(await Crew(agents=[researcher], tasks=[task]).akickoff())


@contextlib.contextmanager
def model_to_ask() -> Iterator[LLM]:
    """Give a model: the real one, or a scripted one."""
    if os.environ.get("OPENAI_API_KEY") and len(sys.argv) > 1:
        yield LLM(model=sys.argv[1])
        return
    script = [call(("lookup_ceo", {"company": "HUD"})), say("JR")]
    with ScriptedModel(script) as scripted:
        # A provider of its own is found by the model's name.
        yield LLM(model="gpt-4o", base_url=scripted.url, api_key="none")


async def main() -> None:
    """Run the eval and print what came of it."""
    with model_to_ask() as llm:
        limits = hud.Limits(turns=8)
        async with hud.eval(initials(company="HUD", wanted="JR"), limits=limits) as ctx:
            await crew(ctx, llm)
    result = ctx.result
    print(f"reward {result.reward}, {result.turns} turns, {result.outcome}")
    print(f"hudtrace show {result.trace_id[:12]}")


if __name__ == "__main__":
    asyncio.run(main())
