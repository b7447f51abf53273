"""Responses of the openai client: every surface is one right span, read or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import openai
import pydantic
import pytest
from openai import AsyncOpenAI, OpenAI

import hudtrace as hud
from hudtrace import runtime
from hudtrace.store import queries
from hudtrace.testing import (
    CapturedSpan,
    ScriptedModel,
    ScriptedReply,
    call,
    captured_spans,
    error,
    say,
)

TEXT = "one two three four five six"
REQUEST: dict[str, Any] = {"model": "scripted-1", "input": "count"}
STREAM: dict[str, Any] = {**REQUEST, "stream": True}


class Count(pydantic.BaseModel):
    n: int


def texts(events: Any) -> str:
    """Return the text of raw events."""
    return "".join(e.delta for e in events if e.type == "response.output_text.delta")


async def collected(events: Any) -> list[Any]:
    return [event async for event in events]


# Surfaces: each reads an answer to its end, and returns the text. ------------------


def plain(client: OpenAI) -> Any:
    return client.responses.create(**REQUEST).output_text


def parse(client: OpenAI) -> Any:
    return client.responses.parse(**REQUEST).output_text


def stream(client: OpenAI) -> Any:
    return texts(client.responses.create(**STREAM))


def stream_block(client: OpenAI) -> Any:
    with client.responses.create(**STREAM) as events:
        return texts(events)


def stream_helper(client: OpenAI) -> Any:
    with client.responses.stream(**REQUEST) as events:
        return events.get_final_response().output_text


def stream_helper_events(client: OpenAI) -> Any:
    with client.responses.stream(**REQUEST) as events:
        return texts(events)


def raw(client: OpenAI) -> Any:
    return client.responses.with_raw_response.create(**REQUEST).parse().output_text


def raw_stream(client: OpenAI) -> Any:
    return texts(client.responses.with_raw_response.create(**STREAM).parse())


def open_response(client: OpenAI) -> Any:
    with client.responses.with_streaming_response.create(**REQUEST) as answer:
        return answer.parse().output_text


def open_response_lines(client: OpenAI) -> Any:
    with client.responses.with_streaming_response.create(**REQUEST) as answer:
        return TEXT if TEXT in "".join(answer.iter_lines()) else None


def open_response_stream(client: OpenAI) -> Any:
    with client.responses.with_streaming_response.create(**STREAM) as answer:
        return texts(answer.parse())


async def aplain(client: AsyncOpenAI) -> Any:
    return (await client.responses.create(**REQUEST)).output_text


async def aparse(client: AsyncOpenAI) -> Any:
    return (await client.responses.parse(**REQUEST)).output_text


async def astream(client: AsyncOpenAI) -> Any:
    return texts(await collected(await client.responses.create(**STREAM)))


async def astream_block(client: AsyncOpenAI) -> Any:
    async with await client.responses.create(**STREAM) as events:
        return texts(await collected(events))


async def astream_helper(client: AsyncOpenAI) -> Any:
    async with client.responses.stream(**REQUEST) as events:
        return (await events.get_final_response()).output_text


async def astream_helper_events(client: AsyncOpenAI) -> Any:
    async with client.responses.stream(**REQUEST) as events:
        return texts(await collected(events))


async def araw(client: AsyncOpenAI) -> Any:
    answer = await client.responses.with_raw_response.create(**REQUEST)
    return answer.parse().output_text


async def araw_stream(client: AsyncOpenAI) -> Any:
    answer = await client.responses.with_raw_response.create(**STREAM)
    return texts(await collected(answer.parse()))


async def aopen_response(client: AsyncOpenAI) -> Any:
    async with client.responses.with_streaming_response.create(**REQUEST) as answer:
        return (await answer.parse()).output_text


async def aopen_response_lines(client: AsyncOpenAI) -> Any:
    async with client.responses.with_streaming_response.create(**REQUEST) as answer:
        return TEXT if TEXT in "".join(await collected(answer.iter_lines())) else None


async def aopen_response_stream(client: AsyncOpenAI) -> Any:
    async with client.responses.with_streaming_response.create(**STREAM) as answer:
        return texts(await collected(await answer.parse()))


SYNC = [
    plain,
    parse,
    stream,
    stream_block,
    stream_helper,
    stream_helper_events,
    raw,
    raw_stream,
    open_response,
    open_response_lines,
    open_response_stream,
]
ASYNC = [
    aplain,
    aparse,
    astream,
    astream_block,
    astream_helper,
    astream_helper_events,
    araw,
    araw_stream,
    aopen_response,
    aopen_response_lines,
    aopen_response_stream,
]


def check_whole(chat: Any, surface: Callable[..., Any]) -> None:
    """The span of an answer that was read to its end."""
    span = chat.span()
    got = span.attributes
    assert got["gen_ai.usage.input_tokens"] == 100
    assert got["gen_ai.usage.output_tokens"] == 20
    assert got["gen_ai.usage.cache_read.input_tokens"] == 60
    assert got["gen_ai.usage.reasoning.output_tokens"] == 5
    assert got["gen_ai.response.finish_reasons"] == ["stop"]
    assert got["gen_ai.response.id"].startswith("resp_scripted")
    assert got["gen_ai.provider.name"] == "openai"
    assert got["openai.api.type"] == "responses"
    assert "hud.response.incomplete" not in got
    assert "hud.response.unread" not in got
    assert span.status == 0
    assert chat.sent() == ["count"]
    assert chat.said() == TEXT
    streams = "stream" in surface.__name__
    assert got["gen_ai.request.stream"] is streams
    assert (got.get("gen_ai.response.time_to_first_chunk", 0) > 0) is streams


@pytest.mark.parametrize("surface", SYNC, ids=lambda f: f.__name__)
def test_sync_surfaces(surface: Callable[..., Any], sync: OpenAI, chat: Any) -> None:
    """A sync surface read to its end is one whole span."""
    assert surface(sync) == TEXT
    check_whole(chat, surface)


@pytest.mark.parametrize("surface", ASYNC, ids=lambda f: f.__name__)
async def test_async_surfaces(
    surface: Callable[..., Any], client: AsyncOpenAI, chat: Any
) -> None:
    """An async surface read to its end is one whole span."""
    assert await surface(client) == TEXT
    check_whole(chat, surface)


@pytest.mark.parametrize("surface", SYNC, ids=lambda f: f.__name__)
def test_errors_sync(
    surface: Callable[..., Any],
    sync: OpenAI,
    chat: Any,
    replies: list[ScriptedReply],
) -> None:
    """An error status is raised to the user and marked on the one span."""
    replies[0] = error(429, "slow down")
    with pytest.raises(openai.RateLimitError):
        surface(sync)
    check_error(chat.span(), "openai.RateLimitError", 429)


@pytest.mark.parametrize("surface", ASYNC, ids=lambda f: f.__name__)
async def test_errors_async(
    surface: Callable[..., Any],
    client: AsyncOpenAI,
    chat: Any,
    replies: list[ScriptedReply],
) -> None:
    """An error status is raised to the user and marked on the one span."""
    replies[0] = error(500, "broken")
    with pytest.raises(openai.InternalServerError):
        await surface(client)
    check_error(chat.span(), "openai.InternalServerError", 500)


def check_error(span: Any, kind: str, status: int) -> None:
    assert span.status == 2
    assert span.attributes["error.type"] == kind
    assert span.attributes["http.response.status_code"] == status
    assert "gen_ai.usage.input_tokens" not in span.attributes


# What a request says, and what an answer may be -----------------------------------


def test_parse_with_a_model(
    sync: OpenAI, chat: Any, replies: list[ScriptedReply]
) -> None:
    """`parse` gives the user the parsed object, and the span what was said."""
    replies[0] = say('{"n": 3}')
    answer = sync.responses.parse(**REQUEST, text_format=Count)
    assert answer.output_parsed == Count(n=3)
    assert chat.span().attributes["gen_ai.output.type"] == "json"
    assert chat.said() == '{"n": 3}'


def test_answer_that_does_not_parse(sync: OpenAI, chat: Any) -> None:
    """An answer that `parse` refuses was paid for: tokens and text are kept."""
    with pytest.raises(pydantic.ValidationError):
        sync.responses.parse(**REQUEST, text_format=Count)
    span = chat.span()
    assert span.attributes["error.type"].endswith("ValidationError")
    assert span.attributes["gen_ai.usage.input_tokens"] == 100
    assert chat.said() == TEXT


def test_request_attributes(sync: OpenAI, chat: Any) -> None:
    """What the request says is on the span under the convention's names."""
    sync.responses.create(
        **REQUEST,
        instructions="be brief",
        reasoning={"effort": "low"},
        max_output_tokens=50,
        conversation="conv_1",
    )
    got = chat.span().attributes
    assert got["gen_ai.request.reasoning.level"] == "low"
    assert got["gen_ai.request.max_tokens"] == 50
    assert got["gen_ai.conversation.id"] == "conv_1"
    assert chat.sent() == ["be brief", "count"]


def test_previous_response(sync: OpenAI, chat: Any, spans: list[CapturedSpan]) -> None:
    """A call that goes on from a response says which; its input is what was sent."""
    first = sync.responses.create(**REQUEST)
    chat.span()
    spans.clear()
    sync.responses.create(**REQUEST, previous_response_id=first.id)
    got = chat.span().attributes
    assert got["gen_ai.request.previous_response.id"] == first.id
    assert chat.sent() == ["count"]


def test_length_limit(sync: OpenAI, chat: Any, replies: list[ScriptedReply]) -> None:
    """A response that is incomplete for its length says so."""
    replies[0] = say("one two", finish="length")
    assert sync.responses.create(**REQUEST).status == "incomplete"
    got = chat.span().attributes
    assert got["gen_ai.response.finish_reasons"] == ["length"]
    assert "hud.response.incomplete" not in got


@pytest.mark.parametrize("surface", [plain, stream, raw, open_response])
def test_failed_response(
    surface: Callable[..., Any], sync: OpenAI, chat: Any, replies: list[ScriptedReply]
) -> None:
    """A response that failed is an error on the span, though HTTP says 200."""
    replies[0] = say("one", finish="error")
    surface(sync)
    span = chat.span()
    assert (span.status, span.status_message) == (2, "the model failed")
    assert span.attributes["gen_ai.response.finish_reasons"] == ["error"]


def test_a_history_is_stored_once(
    sync: OpenAI, store: object, replies: list[ScriptedReply]
) -> None:
    """The SDK's own items, sent back, are the messages that are stored already."""
    replies[0] = call(("lookup", {"a": 1}), text="let me see")
    replies[0] = replies[0].but(reasoning="hm")
    items: list[Any] = [{"role": "user", "content": "hi"}]
    with captured_spans() as spans:
        first = sync.responses.create(model="scripted-1", input=items)
        items += first.output
        (asked,) = [item for item in first.output if item.type == "function_call"]
        kind = "function_call_output"
        items.append({"type": kind, "call_id": asked.call_id, "output": "x"})
        with sync.responses.stream(model="scripted-1", input=items) as events:
            second = events.get_final_response()
        items += [*second.output, {"role": "user", "content": "more"}]
        sync.responses.create(model="scripted-1", input=items)
    assert hud.flush(10)
    conversations = []
    with runtime.get_runtime().pipeline.reading() as db:
        for span in spans:
            (stored,) = queries.spans(db, span.trace_id)
            conversations.append(queries.conversation(db, stored))
        (messages,) = db.execute("SELECT count(*) FROM messages").fetchone()
    one, two, three = (c for c in conversations if c is not None)
    assert two.input[:2] == [*one.input, *one.output]
    assert three.input[:4] == [*two.input, *two.output]
    assert len(three.input) == 5
    assert messages == 6


# Hostile answers --------------------------------------------------------------------

ANSWERS = [
    b"[]",
    b"{}",
    b'{"output": 7, "usage": "no", "status": {}}',
    b'{"output": [null, 3, "x", {"type": 5}, {"type": "message", "content": 7}]}',
    b'{"output": [{"type": "reasoning", "summary": 3, "content": [null]}]}',
    b'{"type": "response.completed", "response": 7}',
    b'{"type": "response.output_text.delta", "delta": 7, "output_index": "x"}',
]


@pytest.mark.parametrize("body", ANSWERS)
@pytest.mark.parametrize("surface", [raw, open_response_lines])
def test_odd_answers(
    body: bytes,
    surface: Callable[..., Any],
    sync: OpenAI,
    chat: Any,
    replies: list[ScriptedReply],
) -> None:
    """An answer that we cannot read is the user's as it is, or the SDK's error."""
    replies[0] = say("x").but(raw=body)
    ours = "hudtrace"
    try:
        surface(sync)
    except Exception as theirs:
        trace = theirs.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        assert trace is not None
        assert ours not in trace.tb_frame.f_globals["__name__"]
    chat.span()


# Inside evals -----------------------------------------------------------------------


async def test_an_agent_on_responses(
    client: AsyncOpenAI,
    env: hud.Environment,
    replies: list[ScriptedReply],
    spans: list[CapturedSpan],
) -> None:
    """Calls, turns, tools and tokens of an agent's loop are where they belong."""
    replies[0] = call(("lookup_ceo", {"company": "HUD"}), text="wait")
    replies[1] = say("JR", usage=replies[1].usage)
    async with hud.eval(env("initials", company="HUD")) as ctx:
        items: list[Any] = [{"role": "user", "content": ctx.prompt}]
        tools: Any = ctx.as_openai_responses_tools()
        response = await client.responses.create(
            model="scripted-1", input=items, tools=tools
        )
        items += response.output
        asked = [item for item in response.output if item.type == "function_call"]
        items += await ctx.call_tools(asked)
        response = await client.responses.create(model="scripted-1", input=items)
        await ctx.submit(response.output_text)
    assert ctx.result.reward == 1.0
    assert ctx.result.turns == 2
    assert [m["role"] for m in ctx.result.messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    by_id = {span.span_id: span for span in spans}
    kinds = ("chat", "execute_tool")
    placed = [span for span in spans if span.name.startswith(kinds)]
    assert [s.name.split()[0] for s in placed] == ["chat", "execute_tool", "chat"]
    assert [s.attributes["hud.turn.index"] for s in placed] == [1, 1, 2]
    assert {by_id[str(s.parent_id)].name for s in placed} == {"turn"}


def test_extra_body(sync: OpenAI, model: ScriptedModel, chat: Any) -> None:
    """Parameters given as `extra_body` are the request's, as they are sent."""
    sync.responses.create(**REQUEST, extra_body={"temperature": 0.5})
    assert model.requests[0]["temperature"] == 0.5
    assert chat.span().attributes["gen_ai.request.temperature"] == 0.5
    assert json.dumps(model.requests[0])
