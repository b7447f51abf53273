"""AutoGen as Microsoft goes on with it: autogen-agentchat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

import own_spans
import pytest
from contract import Contract, People, check_trace, framework

import hudtrace as hud
from hudtrace.errors import ConfigurationError
from hudtrace.formats import FORMATS
from hudtrace.testing import ScriptedModel, call, captured_spans, say

framework("autogen_agentchat")

from autogen_agentchat.agents import AssistantAgent  # noqa: E402
from autogen_agentchat.conditions import (  # noqa: E402
    MaxMessageTermination,
    TextMentionTermination,
)
from autogen_agentchat.teams import RoundRobinGroupChat  # noqa: E402
from autogen_core import CancellationToken, FunctionCall  # noqa: E402
from autogen_core.models import FunctionExecutionResult  # noqa: E402
from autogen_ext.models.openai import OpenAIChatCompletionClient  # noqa: E402

pytestmark = pytest.mark.usefixtures("store")


def client(model: ScriptedModel, name: str | None = None) -> Any:
    """Make the client that asks *model*."""
    about = {
        "vision": False,
        "function_calling": True,
        "json_output": False,
        "structured_output": False,
        "family": "unknown",
    }
    return OpenAIChatCompletionClient(
        model=name or model.model,
        base_url=model.url,
        api_key="none",
        max_retries=0,
        model_info=about,
    )


def agent(ctx: hud.EvalContext, asked: Any) -> Any:
    """Make an agent that goes on until the model calls no tool."""
    return AssistantAgent(
        "helper",
        model_client=asked,
        tools=ctx.as_autogen_tools("agentchat"),
        max_tool_iterations=8,
    )


class TestAgent(Contract):
    """One assistant."""

    images = False  # a tool's result is text

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        asked = client(model)
        try:
            return await agent(ctx, asked).run(task=ctx.prompt)
        finally:
            await asked.close()

    def tree(self, model: str, *turns: Sequence[str]) -> str:
        return own_spans.tree(
            model,
            *turns,
            before=["create_agent helper"],
            around=["invoke_agent helper"],
        )


@pytest.mark.section("AutoGen", "autogen-agentchat", "AssistantAgent")
async def test_modern(task: hud.Task) -> None:
    """The modern form of the page's section: the tool is called, the answer right."""
    script = [call(("lookup_ceo", {"company": "HUD"})), say("The initials are JR.")]
    with ScriptedModel(script) as model, captured_spans() as spans:
        asked = client(model, "gpt-4o")
        async with hud.eval(task) as ctx:
            await ctx.submit(await agent(ctx, asked).run(task=ctx.prompt))
        await asked.close()
    assert ctx.answer == "The initials are JR."
    expected = own_spans.tree(
        "gpt-4o",
        *(["lookup_ceo"], []),
        before=["create_agent helper"],
        around=["invoke_agent helper"],
        env="trivia:initials",
    )
    check_trace(spans, ctx.result, expected)


async def test_a_team() -> None:
    """Agents of a team run in a runtime of their own, and stay in the trace."""
    people = People()
    script = [call(("slow", {"label": "one"})), say("all done")]
    with ScriptedModel(script) as model, captured_spans() as spans:
        asked = client(model)
        async with hud.eval(people.task) as ctx:
            until = TextMentionTermination("all done")
            team = RoundRobinGroupChat([agent(ctx, asked)], termination_condition=until)
            await ctx.submit(await team.run(task=ctx.prompt))
        await asked.close()
    assert ctx.answer == "all done"
    assert ctx.result.reward == 1.0
    assert {span.trace_id for span in spans} == {ctx.trace_id}
    parents = {span.span_id: span.name for span in spans}
    above = [parents[s.parent_id or ""] for s in spans if s.name.startswith("chat ")]
    assert above == ["invoke_agent helper"] * 2


@pytest.mark.timeout(30)
async def test_a_limit_stops_a_team(task: hud.Task) -> None:
    """A team that waits for ever for the call that a limit refused is stopped."""
    limits = hud.Limits(tool_calls=2, time=15)
    with ScriptedModel(lambda _: call(("lookup_ceo", {"company": "HUD"}))) as model:
        asked = client(model)
        began = monotonic()
        async with hud.eval(task, limits=limits) as ctx:
            helper = AssistantAgent("a", asked, tools=ctx.as_autogen_tools("agentchat"))
            eight = MaxMessageTermination(8)
            team = RoundRobinGroupChat([helper], termination_condition=eight)
            await ctx.submit(await team.run(task=ctx.prompt))
        await asked.close()
    assert (ctx.result.outcome, ctx.result.stopped_by) == ("no_answer", "tool_calls")
    assert ctx.result.tool_calls == 2
    assert monotonic() - began < 10


async def test_the_items_of_a_stream(task: hud.Task) -> None:
    """What `run_stream` yields ends with the result, and is submitted as that."""
    with ScriptedModel([say("JR")]) as model:
        asked = client(model)
        async with hud.eval(task) as ctx:
            stream = agent(ctx, asked).run_stream(task=ctx.prompt)
            await ctx.submit([item async for item in stream])
        await asked.close()
    assert ctx.answer == "JR"


async def test_a_failing_tool_is_marked() -> None:
    """AutoGen knows that a tool failed, and so can its handlers."""
    people = People()
    async with hud.eval(people.task) as ctx:
        tools = {tool.name: tool for tool in ctx.as_autogen_tools("agentchat")}
        with pytest.raises(hud.ToolError, match="this tool is broken: rust"):
            await tools["broken"].run_json({"reason": "rust"}, CancellationToken())
        await ctx.submit("all done")
    assert ctx.result.tool_errors == 1


async def test_calls(task: hud.Task) -> None:
    """`ctx.call_tool` answers a `FunctionCall` with a `FunctionExecutionResult`."""
    good = FunctionCall("c1", '{"company": "HUD"}', "lookup_ceo")
    broken = FunctionCall("c2", '{"company": ', "lookup_ceo")
    assert [form.name for form in FORMATS if form.parse(good)] == ["autogen"]
    async with hud.eval(task) as ctx:
        said, wrong = await ctx.call_tools([good, broken])
        await ctx.submit("JR")
    assert said == FunctionExecutionResult(
        content="Jay Ram", name="lookup_ceo", call_id="c1", is_error=False
    )
    assert (wrong.call_id, wrong.is_error) == ("c2", True)
    assert "JSON" in wrong.content


async def test_which_autogen(task: hud.Task) -> None:
    """Where several generations are imported, the tools' kind must be said."""
    pytest.importorskip("ag2")
    async with hud.eval(task) as ctx:
        with pytest.raises(ConfigurationError, match="kind='agentchat'"):
            ctx.as_autogen_tools()
        await ctx.submit("JR")


def test_the_example(run_example: Callable[[str], str]) -> None:
    """The example runs offline and earns its reward."""
    assert "reward 1.0" in run_example("15_autogen.py")
