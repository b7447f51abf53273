"""LangChain 0.3 and 1.x: agents of both generations, async and sync."""

from __future__ import annotations

from typing import Any

import pytest
from contract import Contract, framework

import hudtrace as hud
from hudtrace.testing import ScriptedModel

langchain = framework("langchain")

from langchain_core.prompts import ChatPromptTemplate  # noqa: E402
from langchain_openai import ChatOpenAI  # noqa: E402

pytestmark = pytest.mark.usefixtures("store")

NEW = langchain.__version__ >= "1"
new = pytest.mark.skipif(not NEW, reason="create_agent came with LangChain 1")

if NEW:
    from langchain.agents import create_agent
    from langchain_classic.agents import AgentExecutor, create_tool_calling_agent
else:
    from langchain.agents import AgentExecutor, create_tool_calling_agent


def chat(model: ScriptedModel, **options: Any) -> Any:
    """Make the chat model that asks *model*."""
    return ChatOpenAI(
        model=model.model, base_url=model.url, api_key="none", max_retries=0, **options
    )


def executor(ctx: hud.EvalContext, llm: Any) -> Any:
    """Make an agent like the page's."""
    tools = ctx.as_langchain_tools()
    prompt = ChatPromptTemplate.from_messages(
        [
            ("system", "You are a helpful assistant."),
            ("human", "{input}"),
            ("placeholder", "{agent_scratchpad}"),
        ]
    )
    agent = create_tool_calling_agent(llm, tools, prompt)
    return AgentExecutor(agent=agent, tools=tools)


def graph(ctx: hud.EvalContext, llm: Any) -> Any:
    """Make an agent as of LangChain 1."""
    return create_agent(llm, tools=ctx.as_langchain_tools())


def said(ctx: hud.EvalContext) -> dict[str, Any]:
    """Say the prompt as the new agents want it."""
    return {"messages": [{"role": "user", "content": ctx.prompt}]}


class TestExecutor(Contract):
    """`AgentExecutor.ainvoke`, which streams from the model."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        return await executor(ctx, chat(model)).ainvoke({"input": ctx.prompt})


class TestExecutorSync(Contract):
    """`AgentExecutor.invoke` in the thread of the eval's loop."""

    together = False

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        return executor(ctx, chat(model)).invoke({"input": ctx.prompt})


@new
class TestAgent(Contract):
    """`create_agent`, over Chat Completions."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        return await graph(ctx, chat(model)).ainvoke(said(ctx))


@new
class TestAgentOverResponses(Contract):
    """`create_agent`, over the Responses API."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        llm = chat(model, use_responses_api=True)
        return await graph(ctx, llm).ainvoke(said(ctx))


@new
class TestAgentSync(Contract):
    """`create_agent(…).invoke` in the thread of the eval's loop, which it blocks."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        return graph(ctx, chat(model)).invoke(said(ctx))


@new
class TestAgentStreamed(Contract):
    """`create_agent(…).astream`, read to its end."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        agent = graph(ctx, chat(model, streaming=True))
        states = agent.astream(said(ctx), stream_mode="values")
        return [state async for state in states][-1]
