"""Model calls inside evals: whose they are, their turns, and the tally."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from opentelemetry import context as otel_context

import hudtrace as hud
from hudtrace.messages import Usage
from hudtrace.notices import seen
from hudtrace.testing import CapturedSpan, ScriptedReply, call, captured_spans

pytestmark = pytest.mark.usefixtures("store")

TEXT = "one two three four five six"
REQUEST: dict[str, Any] = {
    "model": "scripted-1",
    "messages": [{"role": "user", "content": "count"}],
}
STREAM: dict[str, Any] = {**REQUEST, "stream": True}


def plain(client: OpenAI) -> None:
    client.chat.completions.create(**REQUEST)


async def aplain(client: AsyncOpenAI) -> None:
    await client.chat.completions.create(**REQUEST)


async def astream(client: AsyncOpenAI) -> None:
    options: Any = {"stream_options": {"include_usage": True}}
    async for _ in await client.chat.completions.create(**STREAM, **options):
        pass


async def araw(client: AsyncOpenAI) -> None:
    await client.chat.completions.with_raw_response.create(**REQUEST)


async def test_streamed_tool_calls(
    client: AsyncOpenAI, env: hud.Environment, replies: list[ScriptedReply]
) -> None:
    """Tool calls of a stream are put together, and belong to their turn."""
    replies[0] = call(
        ("lookup_ceo", {"company": "HUD"}), ("lookup_ceo", {"company": "OpenAI"})
    )
    with captured_spans() as spans:
        async with hud.eval(env("initials", company="HUD")) as ctx:
            chunks = await client.chat.completions.create(**STREAM)
            async for _ in chunks:
                pass
            asked = [
                part for m in ctx.messages for part in m["parts"] if "name" in part
            ]
            for part in asked:
                await ctx.call_tool("lookup_ceo", part["arguments"])
            await ctx.submit("JR")
    assert [part["arguments"] for part in asked] == [
        {"company": "HUD"},
        {"company": "OpenAI"},
    ]
    tools = [s for s in spans if s.name == "execute_tool lookup_ceo"]
    assert [t.attributes["hud.turn.index"] for t in tools] == [1, 1]


async def test_usage_is_right_at_exit(
    client: AsyncOpenAI, task: hud.Task, replies: list[ScriptedReply]
) -> None:
    """The result's tokens are those of all calls, as soon as the block is left."""
    async with hud.eval(task) as ctx:
        await aplain(client)
        await astream(client)
        await araw(client)
        await ctx.submit("JR")
    assert ctx.result.usage == Usage(300, 60, 180, 0, 15)
    assert ctx.result.messages[-1]["parts"][0]["content"] == TEXT


async def test_parent_is_the_callers_span(
    client: AsyncOpenAI, task: hud.Task, spans: list[CapturedSpan]
) -> None:
    """Below an eval, the span hangs from its turn, and nothing stays attached."""
    async with hud.eval(task) as ctx:
        inside = otel_context.get_current()
        await aplain(client)
        await astream(client)
        assert otel_context.get_current() is inside
        await ctx.submit("JR")
    turns = {s.span_id for s in spans if s.name == "turn"}
    assert all(s.parent_id in turns for s in spans if s.name.startswith("chat"))


def test_lost_context_with_one_eval(
    sync: OpenAI, env: hud.Environment, chat: Any
) -> None:
    """A call without context belongs to the process's only eval, marked inferred."""

    async def run() -> hud.EvalResult:
        async with hud.eval(env("initials", company="HUD")) as ctx:
            thread = threading.Thread(target=plain, args=(sync,))
            thread.start()
            await asyncio.to_thread(thread.join)
            await ctx.submit("JR")
        return ctx.result

    result = asyncio.run(run())
    span = chat.span()
    assert span.trace_id == result.trace_id
    assert span.attributes["hud.context"] == "inferred"
    assert result.usage.input_tokens == 100


def test_lost_context_with_two_evals(
    sync: OpenAI, env: hud.Environment, chat: Any
) -> None:
    """With two evals open, a call without context is a trace of its own, counted."""
    before = seen("orphaned-model-call")

    async def run() -> list[str]:
        task = env("initials", company="HUD")
        async with hud.eval(task) as one, hud.eval(task) as two:
            thread = threading.Thread(target=plain, args=(sync,))
            thread.start()
            await asyncio.to_thread(thread.join)
        return [one.trace_id, two.trace_id]

    traces = asyncio.run(run())
    span = chat.span()
    assert span.trace_id not in traces
    assert span.parent_id is None
    assert seen("orphaned-model-call") == before + 1


def test_without_an_eval(sync: OpenAI, chat: Any) -> None:
    """A call outside any eval is a trace of its own, without a warning."""
    before = seen("orphaned-model-call")
    plain(sync)
    assert chat.span().parent_id is None
    assert seen("orphaned-model-call") == before
