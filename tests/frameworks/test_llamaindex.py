"""LlamaIndex 0.12 and newer: its agents of both generations, async and sync."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from contract import Contract, SyncContract, check_trace, framework, tree
from page_code import GATEWAY, page, run, snippet

import hudtrace as hud
from hudtrace.testing import (
    ScriptedModel,
    ScriptedReply,
    call,
    captured_spans,
    redirect,
    say,
)

core = framework("llama_index.core")

from llama_index.core.agent import workflow  # noqa: E402
from llama_index.llms.openai import OpenAI, OpenAIResponses  # noqa: E402

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
        agent = workflow.FunctionAgent(tools=ctx.as_llamaindex_tools(), llm=llm(model))
        return await agent.run(ctx.prompt)


@pytest.mark.skipif(OLD, reason="OpenAIResponses is tested where it is newest")
class TestFunctionAgentOverResponses(Functions):
    """`FunctionAgent.run`, over the Responses API, which takes images from tools."""

    images = True

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        api = OpenAIResponses(
            model="gpt-4o", api_base=model.url, api_key="none", max_retries=0
        )
        agent = workflow.FunctionAgent(tools=ctx.as_llamaindex_tools(), llm=api)
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
        agent = workflow.ReActAgent(tools=ctx.as_llamaindex_tools(), llm=llm(model))
        return await agent.run(ctx.prompt)


@old
class TestOldReActAgent(ReAct):
    """`ReActAgent.from_tools(…).achat`, as on the page."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        from llama_index.core.agent import ReActAgent

        agent = ReActAgent.from_tools(ctx.as_llamaindex_tools(), llm=llm(model))
        return await agent.achat(ctx.prompt)


@old
class TestOldReActAgentSync(ReAct, SyncContract):
    """`ReActAgent.from_tools(…).chat`."""

    def run_sync(self, ctx: Any, model: ScriptedModel) -> Any:
        from llama_index.core.agent import ReActAgent

        agent = ReActAgent.from_tools(ctx.as_llamaindex_tools(), llm=llm(model))
        return agent.chat(ctx.prompt)


SCRIPT = [
    ReAct().ask(("lookup_ceo", {"company": "HUD"})),
    ReAct().answer("The initials are JR."),
]
TREE = tree("gpt-4o", ["lookup_ceo"], [], env="trivia:initials")


@page
@old
@pytest.mark.section("LlamaIndex", "llama-index-core", "as on the page")
def test_the_page(page_names: dict[str, Any]) -> None:
    """The page's example, byte for byte."""
    with (
        ScriptedModel(SCRIPT) as model,
        redirect({GATEWAY: model.origin}),
        captured_spans() as spans,
    ):
        done = run(snippet("LlamaIndex"), page_names, page_names["task"])
    check_trace(spans, done["ctx"].result, TREE)
    assert "Jay Ram" in model.requests[1]["messages"][-1]["content"]


@page
@pytest.mark.skipif(OLD, reason="ReActAgent.from_tools is there before 0.13")
@pytest.mark.section(
    "LlamaIndex",
    "llama-index-core",
    "as on the page",
    result="no ReActAgent.from_tools",
)
def test_the_page_today(page_names: dict[str, Any]) -> None:
    """`ReActAgent` has no `from_tools` any more, and says so."""
    with pytest.raises(AttributeError, match="from_tools"):
        run(snippet("LlamaIndex"), page_names, page_names["task"])


@pytest.mark.parametrize("kind", [workflow.ReActAgent, workflow.FunctionAgent])
@pytest.mark.section("LlamaIndex", "llama-index-core", "agent.run")
async def test_the_form_of_today(kind: Any, task: hud.Task) -> None:
    """Agents that are workflows; what they return goes to `ctx.submit`."""
    script = SCRIPT
    if kind is workflow.FunctionAgent:
        script = [call(("lookup_ceo", {"company": "HUD"})), say("The initials are JR.")]
    with ScriptedModel(script) as model, captured_spans() as spans:
        async with hud.eval(task) as ctx:
            agent = kind(tools=ctx.as_llamaindex_tools(), llm=llm(model))
            await ctx.submit(await agent.run(ctx.prompt))
    assert ctx.answer == "The initials are JR."
    check_trace(spans, ctx.result, TREE)


async def test_a_forgotten_await(task: hud.Task) -> None:
    """The handler of a workflow is no answer before it is awaited, and says so."""
    with ScriptedModel([say("JR")]) as model:
        async with hud.eval(task) as ctx:
            agent = workflow.FunctionAgent(
                tools=ctx.as_llamaindex_tools(), llm=llm(model)
            )
            handler = agent.run(ctx.prompt)
            with pytest.raises(TypeError, match=r"ctx.submit\(await"):
                await ctx.submit(handler)
            await ctx.submit(await handler)
    assert ctx.answer == "JR"


async def test_call_tool(task: hud.Task) -> None:
    """A `ToolSelection` gets the chat message that answers it."""
    from llama_index.core.llms import ChatMessage
    from llama_index.core.llms.llm import ToolSelection

    async with hud.eval(task) as ctx:
        selected = ToolSelection(
            tool_id="c1", tool_name="lookup_ceo", tool_kwargs={"company": "HUD"}
        )
        message = await ctx.call_tool(selected)
        await ctx.submit(ChatMessage(role="assistant", content="JR"))
    assert isinstance(message, ChatMessage)
    assert (message.role, message.content) == ("tool", "Jay Ram")
    assert message.additional_kwargs["tool_call_id"] == "c1"
    assert (ctx.answer, ctx.reward) == ("JR", 1.0)


async def test_a_tool_by_hand(task: hud.Task) -> None:
    """A tool is callable by itself, async and sync, and has the whole schema."""
    async with hud.eval(task) as ctx:
        (tool,) = ctx.as_llamaindex_tools()
        assert str(await tool.acall(company="HUD")) == "Jay Ram"
        assert str(tool.call(company="openai")) == "Sam Altman"
        (raw,) = ctx.as_tools()
        schema = tool.metadata.fn_schema.model_json_schema()
    assert schema == raw.input_schema


def test_the_example(run_example: Callable[[str], str]) -> None:
    """The example runs offline and earns its reward."""
    assert run_example("12_llamaindex.py").count("reward 1.0") == 1 + OLD
