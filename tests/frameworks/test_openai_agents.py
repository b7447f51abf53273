"""OpenAI Agents SDK, through Responses and Chat Completions, streamed and not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from contract import Contract, framework

import hudtrace as hud
from hudtrace.testing import (
    ScriptedModel,
)

agents = framework("agents")

from agents import Agent, Runner  # noqa: E402
from openai import AsyncOpenAI  # noqa: E402

pytestmark = pytest.mark.usefixtures("store", "quiet")


@pytest.fixture
def quiet() -> Iterator[None]:
    """The SDK's own traces would go to OpenAI."""
    agents.set_tracing_disabled(True)
    yield
    agents.set_default_openai_api("responses")


def agent(ctx: hud.EvalContext, model: ScriptedModel, api: str) -> Any:
    """Make an agent that asks *model*."""
    client = AsyncOpenAI(base_url=model.url, api_key="none", max_retries=0)
    kind = {
        "responses": agents.OpenAIResponsesModel,
        "chat": agents.OpenAIChatCompletionsModel,
    }[api]
    return Agent(
        name="errand-agent",
        instructions="Do what you are asked.",
        tools=ctx.as_openai_agent_tools(),
        model=kind(model=model.model, openai_client=client),
    )


class Agents(Contract):
    """What is the same for all of them."""

    unknown_tool = agents.ModelBehaviorError


class TestResponses(Agents):
    """Agents over the Responses API, which is the default."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        return await Runner.run(agent(ctx, model, "responses"), ctx.prompt)


class TestChatCompletions(Agents):
    """Agents over Chat Completions."""

    images = False  # Chat Completions takes text alone from tools

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        return await Runner.run(agent(ctx, model, "chat"), ctx.prompt)


class TestStreamed(Agents):
    """Agents whose events are read while they run."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        result = Runner.run_streamed(agent(ctx, model, "responses"), ctx.prompt)
        async for _ in result.stream_events():
            pass
        return result


class TestSync(Agents):
    """`Runner.run_sync`, from a thread, as it refuses to run beside a running loop."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        one = agent(ctx, model, "responses")
        return await asyncio.to_thread(Runner.run_sync, one, ctx.prompt)
