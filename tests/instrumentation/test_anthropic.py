"""The anthropic client: every surface is exactly one right span, read or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import pydantic
import pytest
from anthropic import Anthropic, AsyncAnthropic

from hudtrace.testing import (
    CapturedSpan,
    ScriptedModel,
    ScriptedReply,
    call,
    error,
    say,
)

TEXT = "one two three four five six"
REQUEST: dict[str, Any] = {
    "model": "scripted-1",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "count"}],
}
STREAM = {**REQUEST, "stream": True}


class Count(pydantic.BaseModel):
    n: int


def texts(events: Any) -> str:
    """Return the text of raw events."""
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    return "".join(delta.text for delta in deltas)


async def collected(events: Any) -> list[Any]:
    return [event async for event in events]


def needs(resource: Any, method: str) -> Any:
    """Return a method that old clients do not have."""
    if not hasattr(resource, method):
        pytest.skip(f"anthropic {anthropic.__version__} has no {method}")
    return getattr(resource, method)


# Surfaces: each reads an answer to its end, and returns the text. ------------------


def plain(client: Anthropic) -> Any:
    return client.messages.create(**REQUEST).content[0].text


def beta(client: Anthropic) -> Any:
    return client.beta.messages.create(**REQUEST).content[0].text


def parse(client: Anthropic) -> Any:
    return needs(client.messages, "parse")(**REQUEST).content[0].text


def tool_runner(client: Anthropic) -> Any:
    runner = needs(client.beta.messages, "tool_runner")(**REQUEST, tools=[])
    return runner.until_done().content[0].text


def stream(client: Anthropic) -> Any:
    return texts(client.messages.create(**STREAM))


def stream_block(client: Anthropic) -> Any:
    with client.messages.create(**STREAM) as events:
        return texts(events)


def stream_beta(client: Anthropic) -> Any:
    return texts(client.beta.messages.create(**STREAM))


def stream_events(client: Anthropic) -> Any:
    with client.messages.stream(**REQUEST) as events:
        return "".join(event.text for event in events if event.type == "text")


def stream_text(client: Anthropic) -> Any:
    with client.messages.stream(**REQUEST) as events:
        return "".join(events.text_stream)


def stream_final_message(client: Anthropic) -> Any:
    with client.messages.stream(**REQUEST) as events:
        return events.get_final_message().content[0].text


def stream_final_text(client: Anthropic) -> Any:
    with client.messages.stream(**REQUEST) as events:
        return events.get_final_text()


def stream_until_done(client: Anthropic) -> Any:
    with client.beta.messages.stream(**REQUEST) as events:
        events.until_done()
        return events.current_message_snapshot.content[0].text


def raw(client: Anthropic) -> Any:
    answer = client.messages.with_raw_response.create(**REQUEST)
    return answer.parse().content[0].text


def raw_stream(client: Anthropic) -> Any:
    return texts(client.messages.with_raw_response.create(**STREAM).parse())


def open_response(client: Anthropic) -> Any:
    with client.messages.with_streaming_response.create(**REQUEST) as answer:
        return answer.parse().content[0].text


def open_response_lines(client: Anthropic) -> Any:
    with client.messages.with_streaming_response.create(**REQUEST) as answer:
        return TEXT if TEXT in "".join(answer.iter_lines()) else None


def open_response_stream(client: Anthropic) -> Any:
    with client.messages.with_streaming_response.create(**STREAM) as answer:
        return texts(answer.parse())


async def aplain(client: AsyncAnthropic) -> Any:
    return (await client.messages.create(**REQUEST)).content[0].text


async def abeta(client: AsyncAnthropic) -> Any:
    return (await client.beta.messages.create(**REQUEST)).content[0].text


async def aparse(client: AsyncAnthropic) -> Any:
    return (await needs(client.messages, "parse")(**REQUEST)).content[0].text


async def atool_runner(client: AsyncAnthropic) -> Any:
    runner = needs(client.beta.messages, "tool_runner")(**REQUEST, tools=[])
    return (await runner.until_done()).content[0].text


async def astream(client: AsyncAnthropic) -> Any:
    return texts(await collected(await client.messages.create(**STREAM)))


async def astream_block(client: AsyncAnthropic) -> Any:
    async with await client.messages.create(**STREAM) as events:
        return texts(await collected(events))


async def astream_beta(client: AsyncAnthropic) -> Any:
    return texts(await collected(await client.beta.messages.create(**STREAM)))


async def astream_events(client: AsyncAnthropic) -> Any:
    async with client.messages.stream(**REQUEST) as events:
        return "".join([event.text async for event in events if event.type == "text"])


async def astream_text(client: AsyncAnthropic) -> Any:
    async with client.messages.stream(**REQUEST) as events:
        return "".join(await collected(events.text_stream))


async def astream_final_message(client: AsyncAnthropic) -> Any:
    async with client.messages.stream(**REQUEST) as events:
        return (await events.get_final_message()).content[0].text


async def astream_final_text(client: AsyncAnthropic) -> Any:
    async with client.messages.stream(**REQUEST) as events:
        return await events.get_final_text()


async def astream_until_done(client: AsyncAnthropic) -> Any:
    async with client.beta.messages.stream(**REQUEST) as events:
        await events.until_done()
        return events.current_message_snapshot.content[0].text


async def araw(client: AsyncAnthropic) -> Any:
    answer = await client.messages.with_raw_response.create(**REQUEST)
    return (await awaited(answer.parse())).content[0].text


async def araw_stream(client: AsyncAnthropic) -> Any:
    answer = await client.messages.with_raw_response.create(**STREAM)
    return texts(await collected(await awaited(answer.parse())))


async def aopen_response(client: AsyncAnthropic) -> Any:
    async with client.messages.with_streaming_response.create(**REQUEST) as answer:
        return (await answer.parse()).content[0].text


async def aopen_response_lines(client: AsyncAnthropic) -> Any:
    async with client.messages.with_streaming_response.create(**REQUEST) as answer:
        return TEXT if TEXT in "".join(await collected(answer.iter_lines())) else None


async def aopen_response_stream(client: AsyncAnthropic) -> Any:
    async with client.messages.with_streaming_response.create(**STREAM) as answer:
        return texts(await collected(await answer.parse()))


async def awaited(value: Any) -> Any:
    """Return what *value* is, awaited where this version of the client asks for it."""
    return await value if hasattr(value, "__await__") else value


SYNC = [
    plain,
    beta,
    parse,
    tool_runner,
    stream,
    stream_block,
    stream_beta,
    stream_events,
    stream_text,
    stream_final_message,
    stream_final_text,
    stream_until_done,
    raw,
    raw_stream,
    open_response,
    open_response_lines,
    open_response_stream,
]
ASYNC = [
    aplain,
    abeta,
    aparse,
    atool_runner,
    astream,
    astream_block,
    astream_beta,
    astream_events,
    astream_text,
    astream_final_message,
    astream_final_text,
    astream_until_done,
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
    assert got["gen_ai.response.id"].startswith("msg_scripted")
    assert got["gen_ai.request.max_tokens"] == 100
    assert got["gen_ai.provider.name"] == "anthropic"
    assert got["anthropic.message.stop_reason"] == "end_turn"
    assert got["server.address"] == "127.0.0.1"
    assert isinstance(got["server.port"], int)
    assert "hud.response.incomplete" not in got
    assert "hud.response.unread" not in got
    assert span.status == 0
    assert chat.sent() == ["count"]
    assert chat.said() == TEXT
    streams = "stream" in surface.__name__
    assert got["gen_ai.request.stream"] is streams
    assert (got.get("gen_ai.response.time_to_first_chunk", 0) > 0) is streams
    assert ("hud.time_to_first_chunk_ms" in got) is streams


@pytest.mark.parametrize("surface", SYNC, ids=lambda f: f.__name__)
def test_sync_surfaces(
    surface: Callable[..., Any], claude: Anthropic, chat: Any
) -> None:
    """A sync surface read to its end is one whole span."""
    assert surface(claude) == TEXT
    check_whole(chat, surface)


@pytest.mark.parametrize("surface", ASYNC, ids=lambda f: f.__name__)
async def test_async_surfaces(
    surface: Callable[..., Any], aclaude: AsyncAnthropic, chat: Any
) -> None:
    """An async surface read to its end is one whole span."""
    assert await surface(aclaude) == TEXT
    check_whole(chat, surface)


@pytest.mark.parametrize("surface", SYNC, ids=lambda f: f.__name__)
def test_errors_sync(
    surface: Callable[..., Any],
    claude: Anthropic,
    chat: Any,
    replies: list[ScriptedReply],
) -> None:
    """An error status is raised to the user and marked on the one span."""
    replies[0] = error(429, "slow down")
    with pytest.raises(anthropic.RateLimitError, match="slow down"):
        surface(claude)
    span = chat.span()
    assert span.status == 2
    assert span.attributes["error.type"] == "anthropic.RateLimitError"
    assert span.attributes["http.response.status_code"] == 429
    assert "gen_ai.usage.input_tokens" not in span.attributes


@pytest.mark.parametrize("surface", ASYNC, ids=lambda f: f.__name__)
async def test_errors_async(
    surface: Callable[..., Any],
    aclaude: AsyncAnthropic,
    chat: Any,
    replies: list[ScriptedReply],
) -> None:
    """An error status is raised to the user and marked on the one span."""
    replies[0] = error(500, "broken")
    with pytest.raises(anthropic.InternalServerError):
        await surface(aclaude)
    span = chat.span()
    assert span.attributes["error.type"] == "anthropic.InternalServerError"
    assert span.attributes["http.response.status_code"] == 500


def test_parse_with_a_model(
    claude: Anthropic, chat: Any, replies: list[ScriptedReply]
) -> None:
    """`parse` gives the user the parsed object, and the span what was said."""
    replies[0] = say('{"n": 3}')
    parse = needs(claude.messages, "parse")
    assert parse(**REQUEST, output_format=Count).parsed_output == Count(n=3)
    assert chat.span().attributes["gen_ai.output.type"] == "json"
    assert chat.said() == '{"n": 3}'


def test_tool_runner_calls(
    claude: Anthropic, spans: list[CapturedSpan], replies: list[ScriptedReply]
) -> None:
    """Each call that a tool runner makes has a span of its own."""
    runner = needs(claude.beta.messages, "tool_runner")
    replies[:2] = [call(("double", {"n": 4})), say("eight")]

    @anthropic.beta_tool
    def double(n: int) -> str:
        """Double a number."""
        return str(2 * n)

    answer = runner(**REQUEST, tools=[double]).until_done()
    assert answer.content[0].text == "eight"
    chats = [span for span in spans if span.name == "chat scripted-1"]
    assert len(chats) == 2


def test_retries_sync(
    model: ScriptedModel, chat: Any, replies: list[ScriptedReply]
) -> None:
    """Retries of the client are one span that counts them."""
    replies[:2] = [error(529, retry_after=0.01)] * 2
    options: dict[str, Any] = {"api_key": "scripted", "max_retries": 2}
    with Anthropic(base_url=model.origin, **options) as client:
        assert plain(client) == TEXT
    span = chat.span()
    assert span.attributes["http.request.resend_count"] == 2
    assert span.status == 0


async def test_retries_async(
    model: ScriptedModel, chat: Any, replies: list[ScriptedReply]
) -> None:
    """Retries before a stream begins are counted too."""
    replies[0] = error(503, retry_after=0.01)
    options: dict[str, Any] = {"api_key": "scripted", "max_retries": 2}
    async with AsyncAnthropic(base_url=model.origin, **options) as client:
        assert await astream_text(client) == TEXT
    assert chat.span().attributes["http.request.resend_count"] == 1


def test_connection_error(chat: Any) -> None:
    """A server that is not there is a marked span and the user's own error."""
    with (
        Anthropic(base_url="http://127.0.0.1:9", api_key="x", max_retries=0) as client,
        pytest.raises(anthropic.APIConnectionError),
    ):
        plain(client)
    assert chat.span().attributes["error.type"] == "anthropic.APIConnectionError"


def test_other_endpoints(claude: Anthropic, spans: list[CapturedSpan]) -> None:
    """Counting tokens and batches are no chats, and have no span."""
    counted = claude.messages.count_tokens(
        model="scripted-1", messages=REQUEST["messages"]
    )
    assert counted.input_tokens > 0
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.batches.create(requests=[])
    assert not spans
