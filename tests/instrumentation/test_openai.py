"""The openai client: every surface is exactly one right span, read or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pydantic
import pytest
from openai import AsyncOpenAI, OpenAI

from hudtrace.messages import Usage
from hudtrace.testing import ScriptedModel, ScriptedReply, error, say

USAGE = Usage(input_tokens=100, output_tokens=20, cached_tokens=60, reasoning_tokens=5)
TEXT = "one two three four five six"
REQUEST: dict[str, Any] = {
    "model": "scripted-1",
    "messages": [{"role": "user", "content": "count"}],
}
COUNTED: dict[str, Any] = {"stream_options": {"include_usage": True}}
STREAM = {**REQUEST, **COUNTED, "stream": True}


class Count(pydantic.BaseModel):
    n: int


def texts(chunks: Any) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


async def collected(chunks: Any) -> list[Any]:
    return [chunk async for chunk in chunks]


# Surfaces: each reads an answer to its end, and returns the text. ------------------


def plain(client: OpenAI) -> Any:
    return client.chat.completions.create(**REQUEST).choices[0].message.content


def parse(client: OpenAI) -> Any:
    return client.chat.completions.parse(**REQUEST).choices[0].message.content


def stream(client: OpenAI) -> Any:
    return texts(client.chat.completions.create(**STREAM))


def stream_block(client: OpenAI) -> Any:
    with client.chat.completions.create(**STREAM) as chunks:
        return texts(chunks)


def stream_helper(client: OpenAI) -> Any:
    with client.chat.completions.stream(**REQUEST, **COUNTED) as events:
        return events.get_final_completion().choices[0].message.content


def raw(client: OpenAI) -> Any:
    answer = client.chat.completions.with_raw_response.create(**REQUEST)
    return answer.parse().choices[0].message.content


def raw_stream(client: OpenAI) -> Any:
    return texts(client.chat.completions.with_raw_response.create(**STREAM).parse())


def open_response(client: OpenAI) -> Any:
    with client.chat.completions.with_streaming_response.create(**REQUEST) as answer:
        return answer.parse().choices[0].message.content


def open_response_lines(client: OpenAI) -> Any:
    with client.chat.completions.with_streaming_response.create(**REQUEST) as answer:
        return TEXT if TEXT in "".join(answer.iter_lines()) else None


def open_response_stream(client: OpenAI) -> Any:
    with client.chat.completions.with_streaming_response.create(**STREAM) as answer:
        return texts(answer.parse())


async def aplain(client: AsyncOpenAI) -> Any:
    answer = await client.chat.completions.create(**REQUEST)
    return answer.choices[0].message.content


async def aparse(client: AsyncOpenAI) -> Any:
    answer = await client.chat.completions.parse(**REQUEST)
    return answer.choices[0].message.content


async def astream(client: AsyncOpenAI) -> Any:
    return texts(await collected(await client.chat.completions.create(**STREAM)))


async def astream_block(client: AsyncOpenAI) -> Any:
    async with await client.chat.completions.create(**STREAM) as chunks:
        return texts(await collected(chunks))


async def astream_helper(client: AsyncOpenAI) -> Any:
    async with client.chat.completions.stream(**REQUEST, **COUNTED) as events:
        return (await events.get_final_completion()).choices[0].message.content


async def araw(client: AsyncOpenAI) -> Any:
    answer = await client.chat.completions.with_raw_response.create(**REQUEST)
    return answer.parse().choices[0].message.content


async def araw_stream(client: AsyncOpenAI) -> Any:
    answer = await client.chat.completions.with_raw_response.create(**STREAM)
    return texts(await collected(answer.parse()))


async def aopen_response(client: AsyncOpenAI) -> Any:
    surface = client.chat.completions.with_streaming_response
    async with surface.create(**REQUEST) as answer:
        return (await answer.parse()).choices[0].message.content


async def aopen_response_lines(client: AsyncOpenAI) -> Any:
    surface = client.chat.completions.with_streaming_response
    async with surface.create(**REQUEST) as answer:
        return TEXT if TEXT in "".join(await collected(answer.iter_lines())) else None


async def aopen_response_stream(client: AsyncOpenAI) -> Any:
    surface = client.chat.completions.with_streaming_response
    async with surface.create(**STREAM) as answer:
        return texts(await collected(await answer.parse()))


SYNC = [
    plain,
    parse,
    stream,
    stream_block,
    stream_helper,
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
    assert got["gen_ai.response.id"].startswith("chatcmpl-scripted")
    assert got["gen_ai.provider.name"] == "openai"
    assert got["server.address"] == "127.0.0.1"
    assert isinstance(got["server.port"], int)
    assert "hud.response.incomplete" not in got
    assert "hud.response.unread" not in got
    assert span.status == 0
    assert chat.said() == TEXT
    streams = "stream" in surface.__name__
    assert got["gen_ai.request.stream"] is streams
    assert (got.get("gen_ai.response.time_to_first_chunk", 0) > 0) is streams
    assert ("hud.time_to_first_chunk_ms" in got) is streams


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


def test_parse_with_a_model(
    sync: OpenAI, chat: Any, replies: list[ScriptedReply]
) -> None:
    """`parse` gives the user the parsed object, and the span what was said."""
    replies[0] = say('{"n": 3}', usage=USAGE)
    answer = sync.chat.completions.parse(**REQUEST, response_format=Count)
    assert answer.choices[0].message.parsed == Count(n=3)
    assert chat.span().attributes["gen_ai.output.type"] == "json"
    assert chat.said() == '{"n": 3}'


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
    span = chat.span()
    assert span.status == 2
    assert span.attributes["error.type"] == "openai.RateLimitError"
    assert span.attributes["http.response.status_code"] == 429
    assert "gen_ai.usage.input_tokens" not in span.attributes


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
    span = chat.span()
    assert span.attributes["error.type"] == "openai.InternalServerError"
    assert span.attributes["http.response.status_code"] == 500


def test_retries_sync(
    model: ScriptedModel, chat: Any, replies: list[ScriptedReply]
) -> None:
    """Retries of the client are one span that counts them."""
    replies[:2] = [error(503, retry_after=0.01)] * 2
    with OpenAI(base_url=model.url, api_key="scripted", max_retries=2) as client:
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
    async with AsyncOpenAI(base_url=model.url, **options) as client:
        assert await astream(client) == TEXT
    assert chat.span().attributes["http.request.resend_count"] == 1


def test_connection_error(chat: Any) -> None:
    """A server that is not there is a marked span and the user's own error."""
    with (
        OpenAI(base_url="http://127.0.0.1:9", api_key="x", max_retries=0) as client,
        pytest.raises(openai.APIConnectionError),
    ):
        plain(client)
    assert chat.span().attributes["error.type"] == "openai.APIConnectionError"
