"""LlamaIndex 0.12 and newer: its agents of both generations, async and sync."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from contract import Contract, framework

import hudtrace as hud
from hudtrace.testing import ScriptedModel, ScriptedReply, say

core = framework("llama_index.core")

from llama_index.core.agent.workflow import (  # noqa: E402
    FunctionAgent,
)
from llama_index.core.agent.workflow import (
    ReActAgent as ReActWorkflow,
)
from llama_index.llms.openai import OpenAI  # noqa: E402

pytestmark = pytest.mark.usefixtures("store")

OLD = core.__version__ < "0.13"
old = pytest.mark.skipif(not OLD, reason="ReActAgent.from_tools went with 0.13")


def llm(model: ScriptedModel) -> Any:
    """Make the LLM that asks *model*, under a name whose limits LlamaIndex knows."""
    return OpenAI(model="gpt-4o", api_base=model.url, api_key="none", max_retries=0)


class Functions(Contract):
    """`FunctionAgent` and the like, whose model call is one of gpt-4o."""

    images = False  # Chat Completions takes text alone from tools

    def tree(self, model: str, *turns: Any) -> str:
        return super().tree("gpt-4o", *turns)


class TestFunctionAgent(Functions):
    """`FunctionAgent.run`."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        agent = FunctionAgent(tools=ctx.as_llamaindex_tools(), llm=llm(model))
        return await agent.run(ctx.prompt)


class ReAct(Functions):
    """Agents that read calls from the model's text."""

    several_calls = False

    def ask(self, *calls: tuple[str, Mapping[str, Any]]) -> ScriptedReply:
        ((name, arguments),) = calls
        return say(
            f"Thought: I need a tool.\nAction: {name}\n"
            f"Action Input: {json.dumps(arguments)}"
        )

    def answer(self, text: str) -> ScriptedReply:
        return say(
            f"Thought: I can answer without using any more tools.\nAnswer: {text}"
        )

    def results(self, model: ScriptedModel) -> list[str]:
        return [str(message) for message in model.requests[-1]["messages"][-1:]]


class TestReActAgent(ReAct):
    """`ReActAgent.run`, the form of today."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        agent = ReActWorkflow(tools=ctx.as_llamaindex_tools(), llm=llm(model))
        return await agent.run(ctx.prompt)


@old
class TestOldReActAgent(ReAct):
    """`ReActAgent.from_tools(…).achat`, as on the page."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        from llama_index.core.agent import ReActAgent

        agent = ReActAgent.from_tools(ctx.as_llamaindex_tools(), llm=llm(model))
        return await agent.achat(ctx.prompt)


@old
class TestOldReActAgentSync(ReAct):
    """`ReActAgent.from_tools(…).chat` in the thread of the eval's loop."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        from llama_index.core.agent import ReActAgent

        agent = ReActAgent.from_tools(ctx.as_llamaindex_tools(), llm=llm(model))
        return agent.chat(ctx.prompt)
