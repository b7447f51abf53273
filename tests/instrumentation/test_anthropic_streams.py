"""Streams and unread bodies of the anthropic client, however their reading ends."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic

from hudtrace.messages import Usage
from hudtrace.testing import ScriptedReply, say

TEXT = "one two three four five six"
REQUEST: dict[str, Any] = {
    "model": "scripted-1",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "count"}],
}
STREAM: dict[str, Any] = {**REQUEST, "stream": True}
LONG = say(TEXT * 50, usage=Usage(100, 20), chunk_delay=0.002)


# Ways to give an answer up. -----------------------------------------------------


def close_early(client: Anthropic) -> None:
    events = client.messages.create(**STREAM)
    next(iter(events))
    events.close()


def leave_block(client: Anthropic) -> None:
    with client.messages.create(**STREAM) as events:
        for _ in events:
            break


def break_and_drop(client: Anthropic) -> None:
    for _ in client.messages.create(**STREAM):
        break


def drop_unread(client: Anthropic) -> None:
    client.messages.create(**STREAM)


def close_unread(client: Anthropic) -> None:
    client.messages.create(**STREAM).close()


def leave_helper(client: Anthropic) -> None:
    with client.messages.stream(**REQUEST) as events:
        next(events)


def leave_text(client: Anthropic) -> None:
    with client.messages.stream(**REQUEST) as events:
        for _ in events.text_stream:
            break


def leave_helper_unread(client: Anthropic) -> None:
    with client.messages.stream(**REQUEST):
        pass


def drop_raw_stream(client: Anthropic) -> None:
    answer = client.messages.with_raw_response.create(**STREAM)
    next(iter(answer.parse()))


def drop_raw_unread(client: Anthropic) -> None:
    client.messages.with_raw_response.create(**STREAM)


def leave_lines(client: Anthropic) -> None:
    with client.messages.with_streaming_response.create(**STREAM) as answer:
        for _ in answer.iter_lines():
            break


def leave_response_unread(client: Anthropic) -> None:
    with client.messages.with_streaming_response.create(**REQUEST):
        pass


async def aclose_early(client: AsyncAnthropic) -> None:
    events = await client.messages.create(**STREAM)
    await anext(aiter(events))
    await events.close()


async def aleave_block(client: AsyncAnthropic) -> None:
    async with await client.messages.create(**STREAM) as events:
        async for _ in events:
            break


async def abreak_and_drop(client: AsyncAnthropic) -> None:
    async for _ in await client.messages.create(**STREAM):
        break


async def adrop_unread(client: AsyncAnthropic) -> None:
    await client.messages.create(**STREAM)


async def aleave_helper(client: AsyncAnthropic) -> None:
    async with client.messages.stream(**REQUEST) as events:
        await anext(aiter(events))


async def aleave_text(client: AsyncAnthropic) -> None:
    async with client.messages.stream(**REQUEST) as events:
        async for _ in events.text_stream:
            break


async def adrop_raw_unread(client: AsyncAnthropic) -> None:
    await client.messages.with_raw_response.create(**STREAM)


async def aleave_lines(client: AsyncAnthropic) -> None:
    async with client.messages.with_streaming_response.create(**STREAM) as answer:
        async for _ in answer.iter_lines():
            break


async def aleave_response_unread(client: AsyncAnthropic) -> None:
    async with client.messages.with_streaming_response.create(**REQUEST):
        pass


GIVEN_UP = [
    (close_early, "closed", False),
    (leave_block, "closed", False),
    (break_and_drop, "dropped", False),
    (drop_unread, "abandoned", True),
    (close_unread, "closed", True),
    (leave_helper, "closed", False),
    (leave_text, "closed", False),
    (leave_helper_unread, "closed", True),
    (drop_raw_stream, "dropped", False),
    (drop_raw_unread, "abandoned", True),
    (leave_lines, "closed", False),
    (leave_response_unread, "closed", True),
]
AGIVEN_UP = [
    (aclose_early, "closed", False),
    (aleave_block, "closed", False),
    (abreak_and_drop, "dropped", False),
    (adrop_unread, "abandoned", True),
    (aleave_helper, "closed", False),
    (aleave_text, "closed", False),
    (adrop_raw_unread, "abandoned", True),
    (aleave_lines, "closed", False),
    (aleave_response_unread, "closed", True),
]


def name_of(value: object) -> str:
    return str(getattr(value, "__name__", value))


def check_given_up(span: Any, why: str, unread: bool) -> None:
    got = span.attributes
    # A client of today closes a stream that is collected.
    whys = ["abandoned", "closed"] if why == "dropped" else [why]
    assert got["hud.response.incomplete"] in whys
    assert got.get("hud.response.unread", False) is unread
    assert span.status == 0
    # The first event says what was sent; what was made is known at the end only.
    assert got.get("gen_ai.usage.input_tokens") == (None if unread else 100)
    assert got.get("gen_ai.usage.output_tokens", 0) <= 1


@pytest.mark.parametrize(("give_up", "why", "unread"), GIVEN_UP, ids=name_of)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_given_up_sync(
    give_up: Callable[..., Any],
    why: str,
    unread: bool,
    claude: Anthropic,
    chat: Any,
    replies: list[ScriptedReply],
) -> None:
    """An answer that is not read to its end still ends its span, marked why."""
    replies[0] = LONG
    give_up(claude)
    check_given_up(chat.span(), why, unread)


@pytest.mark.parametrize(("give_up", "why", "unread"), AGIVEN_UP, ids=name_of)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
async def test_given_up_async(
    give_up: Callable[..., Any],
    why: str,
    unread: bool,
    aclaude: AsyncAnthropic,
    chat: Any,
    replies: list[ScriptedReply],
) -> None:
    """An answer that is not read to its end still ends its span, marked why."""
    replies[0] = LONG
    await give_up(aclaude)
    gc.collect()
    await asyncio.sleep(0.02)  # the loop closes generators that were collected
    check_given_up(chat.span(), why, unread)


async def plain(client: AsyncAnthropic) -> None:
    await client.messages.create(**REQUEST)


async def stream(client: AsyncAnthropic) -> None:
    async for _ in await client.messages.create(**STREAM):
        pass


async def helper(client: AsyncAnthropic) -> None:
    async with client.messages.stream(**REQUEST) as events:
        await events.until_done()


async def lines(client: AsyncAnthropic) -> None:
    async with client.messages.with_streaming_response.create(**STREAM) as answer:
        async for _ in answer.iter_lines():
            pass


@pytest.mark.parametrize("surface", [plain, stream, helper, lines], ids=name_of)
async def test_cancelled(
    surface: Callable[..., Any],
    aclaude: AsyncAnthropic,
    chat: Any,
    replies: list[ScriptedReply],
) -> None:
    """A cancelled call ends its span at once, marked cancelled."""
    replies[0] = say(TEXT * 50, delay=0.05, chunk_delay=0.05)
    running = asyncio.create_task(surface(aclaude))
    await asyncio.sleep(0.02 if surface is plain else 0.2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    span = chat.span()
    assert span.attributes["error.type"] == "cancelled"
    assert span.attributes["hud.response.incomplete"] == "cancelled"


def test_cut_sync(claude: Anthropic, chat: Any, replies: list[ScriptedReply]) -> None:
    """A stream that the server cuts is an error on the span, with what was read."""
    replies[0] = say(TEXT, cut_after=5)
    # Old clients let the error of their HTTP library through.
    with pytest.raises(Exception, match=r"[Cc]onnection"):
        list(claude.messages.create(**STREAM))
    check_cut(chat)


async def test_cut_async(
    aclaude: AsyncAnthropic, chat: Any, replies: list[ScriptedReply]
) -> None:
    """A stream that the server cuts is an error on the span, with what was read."""
    replies[0] = say(TEXT, cut_after=5)
    with pytest.raises(Exception, match=r"[Cc]onnection"):
        await helper(aclaude)
    check_cut(chat)


def check_cut(chat: Any) -> None:
    span = chat.span()
    assert span.status == 2
    assert span.attributes["error.type"].endswith(".RemoteProtocolError")
    assert span.attributes["hud.response.incomplete"] == "error"
    assert chat.said().startswith("one")


def test_error_inside_a_stream(
    claude: Anthropic, chat: Any, replies: list[ScriptedReply]
) -> None:
    """An error event in a stream is an error on the span."""
    fault = b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'
    replies[0] = say("x").but(raw=fault + b"\nevent: error")
    with pytest.raises(anthropic.APIStatusError, match="busy") as raised:
        list(claude.messages.create(**STREAM))
    error_type = f"anthropic.{raised.type.__name__}"
    del raised  # with the stream that old clients do not close
    span = chat.span()
    assert (span.status, span.status_message) == (2, "busy")
    assert span.attributes["error.type"] == error_type
