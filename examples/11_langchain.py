"""Agents of LangChain, evaluated on one task: as of today, and as before LangChain 1.

    python examples/11_langchain.py [MODEL]

With OPENAI_API_KEY set, and a model named, that model answers. Without, a
scripted one does, offline. Tried with langchain 0.3.30 and 1.5.2; there the older
form is in langchain-classic, and is left out if that is not installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

import hud
from hud.testing import ScriptedModel, call, say

try:
    from langchain.agents import create_agent
except ImportError:  # before LangChain 1
    create_agent = None
try:
    from langchain_classic.agents import AgentExecutor, create_tool_calling_agent
except ImportError:
    try:
        from langchain.agents import AgentExecutor, create_tool_calling_agent
    except ImportError:  # LangChain 1, without langchain-classic
        AgentExecutor = None

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


async def agent_of_today(ctx: hud.EvalContext, llm: ChatOpenAI) -> None:
    """Run an agent of LangChain 1."""
    agent = create_agent(llm, tools=ctx.as_langchain_tools())
    messages = [{"role": "user", "content": ctx.prompt}]
    await ctx.submit(await agent.ainvoke({"messages": messages}))


async def agent_executor(ctx: hud.EvalContext, llm: ChatOpenAI) -> None:
    """Run an agent as it was written before LangChain 1."""
    tools = ctx.as_langchain_tools()
    prompt = ChatPromptTemplate.from_messages(
        [
            ("system", "You are a helpful assistant."),
            ("human", "{input}"),
            ("placeholder", "{agent_scratchpad}"),
        ]
    )
    agent = create_tool_calling_agent(llm, tools, prompt)
    result = await AgentExecutor(agent=agent, tools=tools).ainvoke(
        {"input": ctx.prompt}
    )
    await ctx.submit(result["output"])


@contextlib.contextmanager
def model_to_ask() -> Iterator[ChatOpenAI]:
    """Give a chat model: the real one, or a scripted one."""
    if os.environ.get("OPENAI_API_KEY") and len(sys.argv) > 1:
        yield ChatOpenAI(model=sys.argv[1])
        return
    script = [call(("lookup_ceo", {"company": "HUD"})), say("JR")]
    with ScriptedModel(script) as scripted:
        yield ChatOpenAI(model=scripted.model, base_url=scripted.url, api_key="none")


async def main() -> None:
    """Evaluate each agent that can be made here, and print what came of it."""
    agents = [agent_of_today] if create_agent else []
    agents += [agent_executor] if AgentExecutor else []
    for agent in agents:
        with model_to_ask() as llm:
            limits = hud.Limits(turns=8)
            task = initials(company="HUD", wanted="JR")
            async with hud.eval(task, limits=limits) as ctx:
                await agent(ctx, llm)
        result = ctx.result
        print(f"{agent.__name__}: reward {result.reward}, {result.turns} turns")
        print(f"  hudtrace show {result.trace_id[:12]}")


if __name__ == "__main__":
    asyncio.run(main())
