"""Agents of LlamaIndex, evaluated on one task: as of today, and as before 0.13.

    python examples/12_llamaindex.py [MODEL]

With OPENAI_API_KEY set, and a model named, that model answers. Without, a
scripted one does, offline. Tried with llama-index-core 0.12.52 and 0.14.25; the
older form, `ReActAgent.from_tools`, is left out where there is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

from llama_index.core.agent import ReActAgent
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai import OpenAI

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


async def agent_of_today(ctx: hud.EvalContext, llm: OpenAI) -> None:
    """Run an agent that is a workflow; it uses the model's own tool calls."""
    agent = FunctionAgent(tools=ctx.as_llamaindex_tools(), llm=llm)
    await ctx.submit(await agent.run(ctx.prompt))


async def agent_from_tools(ctx: hud.EvalContext, llm: OpenAI) -> None:
    """Run an agent as before 0.13; it reads tool calls from the model's text."""
    agent = ReActAgent.from_tools(ctx.as_llamaindex_tools(), llm=llm)
    await ctx.submit(await agent.achat(ctx.prompt))


CALL = call(("lookup_ceo", {"company": "HUD"}))
SAID = 'Thought: I look it up.\nAction: lookup_ceo\nAction Input: {"company": "HUD"}'
SCRIPTS = {
    agent_of_today: [CALL, say("JR")],
    agent_from_tools: [
        say(SAID),
        say("Thought: I can answer without using any more tools.\nAnswer: JR"),
    ],
}


@contextlib.contextmanager
def model_to_ask(agent: Any) -> Iterator[OpenAI]:
    """Give an LLM: the real one, or a scripted one.

    LlamaIndex wants a name that it knows, for the model's limits.
    """
    if os.environ.get("OPENAI_API_KEY") and len(sys.argv) > 1:
        yield OpenAI(model=sys.argv[1])
        return
    with ScriptedModel(SCRIPTS[agent]) as scripted:
        yield OpenAI(model="gpt-4o", api_base=scripted.url, api_key="none")


async def main() -> None:
    """Evaluate each agent that can be made here, and print what came of it."""
    agents = [agent_of_today]
    agents += [agent_from_tools] if hasattr(ReActAgent, "from_tools") else []
    for agent in agents:
        with model_to_ask(agent) as llm:
            limits = hud.Limits(turns=8)
            task = initials(company="HUD", wanted="JR")
            async with hud.eval(task, limits=limits) as ctx:
                await agent(ctx, llm)
        result = ctx.result
        print(f"{agent.__name__}: reward {result.reward}, {result.turns} turns")
        print(f"  hudtrace show {result.trace_id[:12]}")


if __name__ == "__main__":
    asyncio.run(main())
