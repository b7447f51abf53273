"""ag2 1.x, which began anew."""

from __future__ import annotations

from typing import Any

import pytest
from contract import Contract, check_trace, framework, tree

import hudtrace as hud
from hudtrace.testing import ScriptedModel, call, captured_spans, say

ag2 = framework("ag2")

from ag2 import Agent  # noqa: E402
from ag2.config import OpenAIConfig  # noqa: E402

pytestmark = pytest.mark.usefixtures("store")


def agent(
    ctx: hud.EvalContext, model: ScriptedModel, name: str | None = None, **how: Any
) -> Any:
    """Make an agent that asks *model*."""
    config = OpenAIConfig(
        model=name or model.model, base_url=model.url, api_key="none", **how
    )
    tools = ctx.as_autogen_tools("ag2")
    return Agent("helper", "Do what you are asked.", config=config, tools=tools)


class TestAsk(Contract):
    """`Agent.ask`."""

    images = False

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        return await agent(ctx, model, streaming=False).ask(ctx.prompt)


class TestStreamed(Contract):
    """The same with a streaming client."""

    images = False

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        return await agent(ctx, model, streaming=True).ask(ctx.prompt)


@pytest.mark.section("AutoGen", "ag2", "Agent.ask")
async def test_modern(task: hud.Task) -> None:
    """The modern form of the page's section: the tool is called, the answer right."""
    script = [call(("lookup_ceo", {"company": "HUD"})), say("The initials are JR.")]
    with ScriptedModel(script) as model, captured_spans() as spans:
        async with hud.eval(task) as ctx:
            await ctx.submit(await agent(ctx, model, "gpt-4o").ask(ctx.prompt))
    assert ctx.answer == "The initials are JR."
    expected = tree("gpt-4o", ["lookup_ceo"], [], env="trivia:initials")
    check_trace(spans, ctx.result, expected)
