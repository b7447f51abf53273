"""Agents of AutoGen, evaluated on one task: Microsoft's, and of ag2 if it is here.

    python examples/15_autogen.py [MODEL]

With OPENAI_API_KEY set, and a model named, that model answers. Without, a
scripted one does, offline. Tried with autogen-agentchat 0.7 and ag2 1.2, which are
what AutoGen has become; 15_autogen_page_form.py has the form of before.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient

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


Model = dict[str, str]


async def agentchat(ctx: hud.EvalContext, model: Model) -> None:
    """Let an assistant of autogen-agentchat answer."""
    about = {
        "vision": False,
        "function_calling": True,
        "json_output": True,
        "structured_output": True,
        "family": "unknown",
    }
    client = OpenAIChatCompletionClient(**model, model_info=about)
    tools = ctx.as_autogen_tools("agentchat")
    agent = AssistantAgent(
        "assistant", model_client=client, tools=tools, max_tool_iterations=8
    )
    await ctx.submit(await agent.run(task=ctx.prompt))
    await client.close()


async def ag2(ctx: hud.EvalContext, model: Model) -> None:
    """Let an agent of ag2 1.x answer."""
    from ag2 import Agent
    from ag2.config import OpenAIConfig

    tools = ctx.as_autogen_tools("ag2")
    agent = Agent("assistant", config=OpenAIConfig(**model), tools=tools)
    await ctx.submit(await agent.ask(ctx.prompt))


@contextlib.contextmanager
def model_to_ask() -> Iterator[Model]:
    """Give what a client is made of: for the real model, or a scripted one."""
    key = os.environ.get("OPENAI_API_KEY")
    if key and len(sys.argv) > 1:
        yield {"model": sys.argv[1], "api_key": key}
        return
    script = [call(("lookup_ceo", {"company": "HUD"})), say("JR")]
    with ScriptedModel(script) as scripted:
        yield {"model": scripted.model, "base_url": scripted.url, "api_key": "none"}


async def main() -> None:
    """Evaluate each agent that can be made here, and print what came of it."""
    agents = [agentchat, ag2] if find_spec("ag2") else [agentchat]
    for agent in agents:
        with model_to_ask() as model:
            limits = hud.Limits(turns=8)
            task = initials(company="HUD", wanted="JR")
            async with hud.eval(task, limits=limits) as ctx:
                await agent(ctx, model)
        result = ctx.result
        print(f"{agent.__name__}: reward {result.reward}, {result.turns} turns")
        print(f"  hudtrace show {result.trace_id[:12]}")


if __name__ == "__main__":
    asyncio.run(main())
