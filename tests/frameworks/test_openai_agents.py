"""OpenAI Agents SDK, through Responses and Chat Completions, streamed and not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pydantic
import pytest
from contract import Contract, SyncContract, check_trace, framework, tree
from page_code import page, run, snippet

import hudtrace as hud
from hudtrace.testing import ScriptedModel, call, captured_spans, say

agents = framework("agents")

from agents import Agent, Runner  # noqa: E402
from openai import AsyncOpenAI  # noqa: E402

pytestmark = pytest.mark.usefixtures("store", "quiet")


@pytest.fixture
def quiet() -> Iterator[None]:
    """Keep the SDK's own traces from being sent to OpenAI."""
    agents.set_tracing_disabled(True)
    yield
    agents.set_tracing_disabled(False)


def agent(ctx: Any, model: ScriptedModel, api: str) -> Any:
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


class TestSync(SyncContract):
    """`Runner.run_sync`, which refuses to run in a thread where a loop runs."""

    unknown_tool = agents.ModelBehaviorError

    def run_sync(self, ctx: Any, model: ScriptedModel) -> Any:
        return Runner.run_sync(agent(ctx, model, "responses"), ctx.prompt)

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        return await asyncio.to_thread(self.run_sync, ctx, model)


SCRIPT = [call(("lookup_ceo", {"company": "HUD"})), say("The initials are JR.")]


@page
@pytest.mark.section("Agents SDK", "openai-agents", "as on the page")
def test_the_page(page_names: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's example; the SDK finds the model by OpenAI's variables."""
    with ScriptedModel(SCRIPT) as model, captured_spans() as spans:
        monkeypatch.setenv("OPENAI_BASE_URL", model.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        done = run(snippet("Agents SDK"), page_names, page_names["task"])
    asked = model.requests[0]["model"]  # the page names none
    expected = tree(asked, ["lookup_ceo"], [], env="trivia:initials")
    check_trace(spans, done["ctx"].result, expected)


async def test_a_call_keeps_its_id(task: hud.Task) -> None:
    """The tool's span has the id that the model gave the call."""
    with ScriptedModel(SCRIPT) as model, captured_spans() as spans:
        async with hud.eval(task) as ctx:
            await ctx.submit(await Runner.run(agent(ctx, model, "chat"), ctx.prompt))
    (tool,) = [span for span in spans if span.name == "execute_tool lookup_ceo"]
    answer = model.requests[1]["messages"][-1]
    assert tool.attributes["gen_ai.tool.call.id"] == answer["tool_call_id"]
    assert ctx.result.reward == 1.0


async def test_beside_the_traces_of_the_sdk(task: hud.Task) -> None:
    """Where the SDK's own traces are wanted, the eval's trace is the same."""
    seen: list[Any] = []

    class Processor(agents.TracingProcessor):
        def on_trace_start(self, trace: Any) -> None:
            seen.append(trace)

        def on_trace_end(self, trace: Any) -> None: ...

        def on_span_start(self, span: Any) -> None: ...

        def on_span_end(self, span: Any) -> None: ...

        def shutdown(self) -> None: ...

        def force_flush(self) -> None: ...

    agents.set_tracing_disabled(False)
    agents.set_trace_processors([Processor()])
    try:
        with ScriptedModel(SCRIPT) as model, captured_spans() as spans:
            async with hud.eval(task) as ctx:
                one = agent(ctx, model, "responses")
                await ctx.submit(await Runner.run(one, ctx.prompt))
    finally:
        agents.set_trace_processors([])
    assert len(seen) == 1
    expected = tree(model.model, ["lookup_ceo"], [], env="trivia:initials")
    check_trace(spans, ctx.result, expected)


async def test_an_answer_of_a_type(task: hud.Task) -> None:
    """The final output of an agent with an output type is the answer as it is."""

    class Initials(pydantic.BaseModel):
        letters: str

    with ScriptedModel([say('{"letters": "JR"}')]) as model:
        async with hud.eval(task, on_error="record") as ctx:
            one = agent(ctx, model, "chat").clone(output_type=Initials)
            await ctx.submit(await Runner.run(one, ctx.prompt))
    assert ctx.answer == Initials(letters="JR")


async def test_a_stream_that_nobody_has_read(task: hud.Task) -> None:
    """A streamed run has no answer before its events are read, and says so."""
    with ScriptedModel([say("JR")]) as model:
        async with hud.eval(task) as ctx:
            result = Runner.run_streamed(agent(ctx, model, "responses"), ctx.prompt)
            with pytest.raises(TypeError, match=r"stream_events\(\)"):
                await ctx.submit(result)
            with pytest.raises(TypeError, match="async for"):
                await ctx.submit(result.stream_events())
            async for _ in result.stream_events():
                pass
            await ctx.submit(result)
    assert ctx.answer == "JR"


@pytest.mark.filterwarnings("error:coroutine")
async def test_a_forgotten_await(task: hud.Task) -> None:
    """A coroutine is no answer: that says so, and Python has nothing to warn of."""
    with ScriptedModel([]) as model:
        async with hud.eval(task, on_error="record") as ctx:
            await ctx.submit(Runner.run(agent(ctx, model, "responses"), ctx.prompt))
    assert isinstance(ctx.result.error, TypeError)
    assert "await" in str(ctx.result.error)
    assert (ctx.result.outcome, ctx.answer) == ("agent_error", None)


def test_the_example(run_example: Callable[[str], str]) -> None:
    """The example runs offline and earns its reward."""
    assert "reward 1.0" in run_example("09_agents_sdk.py")
