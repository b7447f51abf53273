"""The openai client: every surface is exactly one right span, however it ends."""

from __future__ import annotations

import asyncio
import gc
import pickle
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import openai
import pydantic
import pytest
from openai import AsyncOpenAI, OpenAI
from opentelemetry import context as otel_context

import hudtrace as hud
from hudtrace import runtime
from hudtrace.messages import Usage
from hudtrace.notices import seen
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

pytestmark = pytest.mark.usefixtures("store")

USAGE = Usage(input_tokens=100, output_tokens=20, cached_tokens=60, reasoning_tokens=5)
TEXT = "one two three four five six"
MESSAGES: Any = [{"role": "user", "content": "count"}]
REQUEST: dict[str, Any] = {"model": "scripted-1", "messages": MESSAGES}
STREAM: dict[str, Any] = {**REQUEST, "stream": True}
WITH_USAGE = {**STREAM, "stream_options": {"include_usage": True}}


class Count(pydantic.BaseModel):
    n: int


@pytest.fixture
def replies() -> list[ScriptedReply]:
    """What the model answers; a test may change it."""
    return [say(TEXT, usage=USAGE)] * 4


@pytest.fixture
def model(replies: list[ScriptedReply]) -> Iterator[ScriptedModel]:
    """A scripted model."""
    with ScriptedModel(replies) as served:
        yield served


@pytest.fixture
def sync(model: ScriptedModel) -> Iterator[OpenAI]:
    """A sync client of it."""
    with OpenAI(base_url=model.url, api_key="scripted", max_retries=0) as client:
        yield client


@pytest.fixture
async def client(model: ScriptedModel) -> AsyncIterator[AsyncOpenAI]:
    """An async client of it."""
    async with AsyncOpenAI(
        base_url=model.url, api_key="scripted", max_retries=0
    ) as client:
        yield client


@pytest.fixture
def spans() -> Iterator[list[CapturedSpan]]:
    """The spans that end during the test; the context must not have changed."""
    before = otel_context.get_current()
    with captured_spans() as caught:
        yield caught
    assert otel_context.get_current() == before


def the_chat(spans: list[CapturedSpan]) -> queries.StoredSpan:
    """Return the one chat span, as it is stored."""
    chats = wait_for_chats(spans)
    assert len(chats) == 1, [s.name for s in spans]
    assert chats[0].kind == "CLIENT"
    assert hud.flush(10)
    with runtime.get_runtime().pipeline.reading() as db:
        found = queries.spans(db, chats[0].trace_id)
    return next(s for s in found if s.span_id == chats[0].span_id)


def wait_for_chats(spans: list[CapturedSpan]) -> list[CapturedSpan]:
    """Return the chat spans; one of a dropped stream ends on another thread."""
    gc.collect()
    for _ in range(100):
        chats = [s for s in spans if s.name == "chat scripted-1"]
        if chats:
            break
        time.sleep(0.01)
    return chats


def said(span: queries.StoredSpan) -> str:
    """Return the text of the reply that is stored for a chat span."""
    with runtime.get_runtime().pipeline.reading() as db:
        conversation = queries.conversation(db, span)
    assert conversation is not None
    return "".join(
        str(part.get("content"))
        for message in conversation.output
        for part in message["parts"]
    )


# Surfaces: each consumes an answer to its end, and returns the text. ------------------


def plain(client: OpenAI) -> Any:
    return client.chat.completions.create(**REQUEST).choices[0].message.content


def stream(client: OpenAI) -> Any:
    chunks = client.chat.completions.create(**WITH_USAGE)
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def stream_block(client: OpenAI) -> Any:
    with client.chat.completions.create(**WITH_USAGE) as chunks:
        return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def helper(client: OpenAI) -> Any:
    options = {"stream_options": {"include_usage": True}}
    with client.chat.completions.stream(**REQUEST, **options) as events:
        return events.get_final_completion().choices[0].message.content


def raw(client: OpenAI) -> Any:
    answer = client.chat.completions.with_raw_response.create(**REQUEST)
    return answer.parse().choices[0].message.content


def raw_stream(client: OpenAI) -> Any:
    answer = client.chat.completions.with_raw_response.create(**WITH_USAGE)
    return "".join(
        c.choices[0].delta.content or "" for c in answer.parse() if c.choices
    )


def streaming_response(client: OpenAI) -> Any:
    with client.chat.completions.with_streaming_response.create(**REQUEST) as answer:
        return answer.parse().choices[0].message.content


def streaming_lines(client: OpenAI) -> Any:
    with client.chat.completions.with_streaming_response.create(**REQUEST) as answer:
        return "".join(answer.iter_lines()) and TEXT


async def aplain(client: AsyncOpenAI) -> Any:
    answer = await client.chat.completions.create(**REQUEST)
    return answer.choices[0].message.content


async def astream(client: AsyncOpenAI) -> Any:
    chunks = await client.chat.completions.create(**WITH_USAGE)
    return "".join(
        [c.choices[0].delta.content or "" async for c in chunks if c.choices]
    )


async def ahelper(client: AsyncOpenAI) -> Any:
    options = {"stream_options": {"include_usage": True}}
    async with client.chat.completions.stream(**REQUEST, **options) as events:
        async for _ in events:
            pass
        return (await events.get_final_completion()).choices[0].message.content


async def araw(client: AsyncOpenAI) -> Any:
    answer = await client.chat.completions.with_raw_response.create(**REQUEST)
    return answer.parse().choices[0].message.content


async def astreaming_response(client: AsyncOpenAI) -> Any:
    surface = client.chat.completions.with_streaming_response
    async with surface.create(**REQUEST) as answer:
        return (await answer.parse()).choices[0].message.content


SYNC = [
    plain,
    stream,
    stream_block,
    helper,
    raw,
    raw_stream,
    streaming_response,
    streaming_lines,
]
ASYNC = [aplain, astream, ahelper, araw, astreaming_response]


def check_whole(span: queries.StoredSpan) -> None:
    """The span of an answer that was read to its end."""
    got = span.attributes
    assert got["gen_ai.usage.input_tokens"] == 100
    assert got["gen_ai.usage.output_tokens"] == 20
    assert got["gen_ai.usage.cache_read.input_tokens"] == 60
    assert got["gen_ai.usage.reasoning.output_tokens"] == 5
    assert got["gen_ai.response.finish_reasons"] == ["stop"]
    assert got["gen_ai.response.id"].startswith("chatcmpl-scripted")
    assert got["gen_ai.provider.name"] == "openai"
    assert got["server.address"] == "127.0.0.1"
    assert isinstance(got["server.port"], int)
    assert "hud.response.incomplete" not in got
    assert span.status == 0
    assert said(span) == TEXT


@pytest.mark.parametrize("surface", SYNC, ids=lambda f: f.__name__)
def test_sync_surfaces(
    surface: Callable[..., Any], sync: OpenAI, spans: list[CapturedSpan]
) -> None:
    """A sync surface read to its end is one whole span."""
    assert surface(sync) == TEXT
    span = the_chat(spans)
    check_whole(span)
    streams = "stream" in surface.__name__ or surface is helper
    assert span.attributes["gen_ai.request.stream"] == (
        streams and "streaming" not in surface.__name__
    )
    if span.attributes["gen_ai.request.stream"]:
        assert span.attributes["gen_ai.response.time_to_first_chunk"] > 0
        assert span.attributes["hud.time_to_first_chunk_ms"] >= 0


@pytest.mark.parametrize("surface", ASYNC, ids=lambda f: f.__name__)
async def test_async_surfaces(
    surface: Callable[..., Any], client: AsyncOpenAI, spans: list[CapturedSpan]
) -> None:
    """An async surface read to its end is one whole span."""
    assert await surface(client) == TEXT
    check_whole(the_chat(spans))


def test_parse(
    sync: OpenAI, spans: list[CapturedSpan], replies: list[ScriptedReply]
) -> None:
    """`parse` with a model is one whole span; the user gets the parsed object."""
    replies[0] = say('{"n": 3}', usage=USAGE)
    answer = sync.chat.completions.parse(**REQUEST, response_format=Count)
    assert answer.choices[0].message.parsed == Count(n=3)
    span = the_chat(spans)
    assert span.attributes["gen_ai.output.type"] == "json"
    assert said(span) == '{"n": 3}'


@pytest.mark.parametrize("surface", SYNC, ids=lambda f: f.__name__)
def test_errors_sync(
    surface: Callable[..., Any],
    sync: OpenAI,
    spans: list[CapturedSpan],
    replies: list[ScriptedReply],
) -> None:
    """An error status is raised to the user and marked on the one span."""
    replies[0] = error(429, "slow down")
    with pytest.raises(openai.RateLimitError):
        surface(sync)
    span = the_chat(spans)
    assert span.status == 2
    assert span.attributes["error.type"] == "openai.RateLimitError"
    assert span.attributes["http.response.status_code"] == 429
    assert "gen_ai.usage.input_tokens" not in span.attributes


@pytest.mark.parametrize("surface", ASYNC, ids=lambda f: f.__name__)
async def test_errors_async(
    surface: Callable[..., Any],
    client: AsyncOpenAI,
    spans: list[CapturedSpan],
    replies: list[ScriptedReply],
) -> None:
    """An error status is raised to the user and marked on the one span."""
    replies[0] = error(500, "broken")
    with pytest.raises(openai.InternalServerError):
        await surface(client)
    assert the_chat(spans).attributes["error.type"] == "openai.InternalServerError"


def test_retries(
    model: ScriptedModel, spans: list[CapturedSpan], replies: list[ScriptedReply]
) -> None:
    """Retries of the client are one span that counts them."""
    replies[0] = error(503, retry_after=0.01)
    replies[1] = error(503, retry_after=0.01)
    with OpenAI(base_url=model.url, api_key="scripted", max_retries=2) as client:
        assert plain(client) == TEXT
    span = the_chat(spans)
    assert span.attributes["http.request.resend_count"] == 2
    assert span.status == 0


def test_connection_error(spans: list[CapturedSpan]) -> None:
    """A server that is not there is a marked span and the user's own error."""
    with (
        OpenAI(base_url="http://127.0.0.1:9", api_key="x", max_retries=0) as client,
        pytest.raises(openai.APIConnectionError),
    ):
        plain(client)
    assert the_chat(spans).attributes["error.type"] == "openai.APIConnectionError"


def close_early(client: OpenAI) -> None:
    chunks = client.chat.completions.create(**WITH_USAGE)
    next(iter(chunks))
    chunks.close()


def leave_block(client: OpenAI) -> None:
    with client.chat.completions.create(**WITH_USAGE) as chunks:
        for _ in chunks:
            break


def break_and_drop(client: OpenAI) -> None:
    for _ in client.chat.completions.create(**WITH_USAGE):
        break


def drop_unread(client: OpenAI) -> None:
    client.chat.completions.create(**WITH_USAGE)


@pytest.mark.parametrize(
    ("give_up", "why"),
    [
        (close_early, "closed"),
        (leave_block, "closed"),
        (break_and_drop, "abandoned"),
        (drop_unread, "abandoned"),
    ],
    ids=lambda v: getattr(v, "__name__", v),
)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_streams_given_up_sync(
    give_up: Callable[..., Any],
    why: str,
    sync: OpenAI,
    spans: list[CapturedSpan],
    replies: list[ScriptedReply],
) -> None:
    """A stream that is not read to its end still ends its span, marked incomplete."""
    replies[0] = say(TEXT * 50, usage=USAGE, chunk_delay=0.002)
    give_up(sync)
    span = the_chat(spans)
    assert span.attributes["hud.response.incomplete"] == why
    assert span.status == 0
    assert "gen_ai.usage.input_tokens" not in span.attributes


async def aclose_early(client: AsyncOpenAI) -> None:
    chunks = await client.chat.completions.create(**WITH_USAGE)
    await anext(aiter(chunks))
    await chunks.close()


async def abreak(client: AsyncOpenAI) -> None:
    chunks = await client.chat.completions.create(**WITH_USAGE)
    async for _ in chunks:
        break
    del chunks
    gc.collect()
    await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("give_up", "why"),
    [(aclose_early, "closed"), (abreak, "abandoned")],
    ids=lambda v: getattr(v, "__name__", v),
)
async def test_streams_given_up_async(
    give_up: Callable[..., Any],
    why: str,
    client: AsyncOpenAI,
    spans: list[CapturedSpan],
    replies: list[ScriptedReply],
) -> None:
    """A stream that is not read to its end still ends its span, marked incomplete."""
    replies[0] = say(TEXT * 50, usage=USAGE, chunk_delay=0.002)
    await give_up(client)
    assert the_chat(spans).attributes["hud.response.incomplete"] == why


@pytest.mark.parametrize("surface", [aplain, astream], ids=lambda f: f.__name__)
async def test_cancelled(
    surface: Callable[..., Any],
    client: AsyncOpenAI,
    spans: list[CapturedSpan],
    replies: list[ScriptedReply],
) -> None:
    """A cancelled call ends its span at once, marked cancelled."""
    replies[0] = say(TEXT * 50, delay=0.05, chunk_delay=0.05)
    running = asyncio.create_task(surface(client))
    await asyncio.sleep(0.2 if surface is astream else 0.02)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    span = the_chat(spans)
    assert span.attributes["error.type"] == "cancelled"
    assert span.attributes["hud.response.incomplete"] == "cancelled"


def test_unread(sync: OpenAI, spans: list[CapturedSpan]) -> None:
    """A body that nobody read is marked unread."""
    with sync.chat.completions.with_streaming_response.create(**REQUEST):
        pass
    span = the_chat(spans)
    assert span.attributes["hud.response.unread"] is True
    assert span.attributes["hud.response.incomplete"] == "closed"


def test_cut_stream(
    sync: OpenAI, spans: list[CapturedSpan], replies: list[ScriptedReply]
) -> None:
    """A stream that the server cuts is an error on the span, with what was read."""
    replies[0] = say(TEXT, cut_after=3)
    # Clients before 3 let the error of their HTTP library through.
    with pytest.raises(Exception, match=r"[Cc]onnection"):
        stream(sync)
    span = the_chat(spans)
    assert span.status == 2
    assert span.attributes["error.type"].endswith(".RemoteProtocolError")
    assert span.attributes["hud.response.incomplete"] == "error"
    assert said(span).startswith("one")


def test_error_inside_a_stream(
    sync: OpenAI, spans: list[CapturedSpan], replies: list[ScriptedReply]
) -> None:
    """An error event in a stream is an error on the span."""
    replies[0] = say("x").but(raw=b'{"error":{"message":"out of memory"}}')
    with pytest.raises(openai.APIError, match="out of memory"):
        stream(sync)
    span = the_chat(spans)
    assert (span.status, span.status_message) == (2, "out of memory")
    assert span.attributes["error.type"] == "openai.APIError"


def test_stream_without_usage(sync: OpenAI, spans: list[CapturedSpan]) -> None:
    """Without include_usage there are no tokens, and nothing is invented."""
    for _ in sync.chat.completions.create(**STREAM):
        pass
    span = the_chat(spans)
    assert "gen_ai.usage.input_tokens" not in span.attributes
    assert "hud.response.incomplete" not in span.attributes
    assert said(span) == TEXT


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
    sync: OpenAI, env: hud.Environment, spans: list[CapturedSpan]
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
    span = the_chat(spans)
    assert span.trace_id == result.trace_id
    assert span.attributes["hud.context"] == "inferred"
    assert result.usage.input_tokens == 100


def test_lost_context_with_two_evals(
    sync: OpenAI, env: hud.Environment, spans: list[CapturedSpan]
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
    span = the_chat(spans)
    assert span.trace_id not in traces
    assert span.parent_id is None
    assert seen("orphaned-model-call") == before + 1


def test_without_an_eval(sync: OpenAI, spans: list[CapturedSpan]) -> None:
    """A call outside any eval is a trace of its own, without a warning."""
    before = seen("orphaned-model-call")
    plain(sync)
    assert the_chat(spans).parent_id is None
    assert seen("orphaned-model-call") == before


def test_uninstrument(sync: OpenAI, spans: list[CapturedSpan]) -> None:
    """`uninstrument` gives the client back; `instrument` twice is like once."""
    hud.uninstrument()
    assert plain(sync) == TEXT
    assert not spans
    assert hud.instrument() == ["openai"]
    assert hud.instrument(["openai"]) == ["openai"]
    assert plain(sync) == TEXT
    check_whole(the_chat(spans))


def test_odd_answers_do_not_break_the_call(
    sync: OpenAI, spans: list[CapturedSpan], replies: list[ScriptedReply]
) -> None:
    """An answer that we cannot read is the user's as it is."""
    replies[0] = say("x").but(raw=b'{"choices": [{"message": 7}], "usage": "no"}')
    sync.chat.completions.create(**REQUEST)
    assert the_chat(spans).status == 0
