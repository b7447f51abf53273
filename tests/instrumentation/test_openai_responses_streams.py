"""Streams and unread bodies of Responses, however their reading ends."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from hudtrace.testing import ScriptedReply, say

TEXT = "one two three four five six"
REQUEST: dict[str, Any] = {"model": "scripted-1", "input": "count"}
STREAM: dict[str, Any] = {**REQUEST, "stream": True}
LONG = say(TEXT * 50, chunk_delay=0.002)


# Ways to give an answer up. -----------------------------------------------------


def close_early(client: OpenAI) -> None:
    events = client.responses.create(**STREAM)
    next(iter(events))
    events.close()


def leave_block(client: OpenAI) -> None:
    with client.responses.create(**STREAM) as events:
        for _ in events:
            break


def break_and_drop(client: OpenAI) -> None:
    for _ in client.responses.create(**STREAM):
        break


def drop_unread(client: OpenAI) -> None:
    client.responses.create(**STREAM)


def close_unread(client: OpenAI) -> None:
    client.responses.create(**STREAM).close()


def leave_helper(client: OpenAI) -> None:
    with client.responses.stream(**REQUEST) as events:
        next(iter(events))


def leave_helper_unread(client: OpenAI) -> None:
    with client.responses.stream(**REQUEST):
        pass


def drop_raw_stream(client: OpenAI) -> None:
    answer = client.responses.with_raw_response.create(**STREAM)
    next(iter(answer.parse()))


def leave_lines(client: OpenAI) -> None:
    with client.responses.with_streaming_response.create(**STREAM) as answer:
        for _ in answer.iter_lines():
            break


def leave_response_unread(client: OpenAI) -> None:
    with client.responses.with_streaming_response.create(**REQUEST):
        pass


async def aclose_early(client: AsyncOpenAI) -> None:
    events = await client.responses.create(**STREAM)
    await anext(aiter(events))
    await events.close()


async def aleave_block(client: AsyncOpenAI) -> None:
    async with await client.responses.create(**STREAM) as events:
        async for _ in events:
            break


async def abreak_and_drop(client: AsyncOpenAI) -> None:
    async for _ in await client.responses.create(**STREAM):
        break


async def adrop_unread(client: AsyncOpenAI) -> None:
    await client.responses.create(**STREAM)


async def aleave_helper(client: AsyncOpenAI) -> None:
    async with client.responses.stream(**REQUEST) as events:
        await anext(aiter(events))


async def aleave_helper_unread(client: AsyncOpenAI) -> None:
    async with client.responses.stream(**REQUEST):
        pass


async def adrop_raw_stream(client: AsyncOpenAI) -> None:
    answer = await client.responses.with_raw_response.create(**STREAM)
    await anext(aiter(answer.parse()))


async def aleave_lines(client: AsyncOpenAI) -> None:
    async with client.responses.with_streaming_response.create(**STREAM) as answer:
        async for _ in answer.iter_lines():
            break


async def aleave_response_unread(client: AsyncOpenAI) -> None:
    async with client.responses.with_streaming_response.create(**REQUEST):
        pass


GIVEN_UP = [
    (close_early, "closed", False),
    (leave_block, "closed", False),
    (break_and_drop, "abandoned", False),
    (drop_unread, "abandoned", True),
    (close_unread, "closed", True),
    (leave_helper, "closed", False),
    (leave_helper_unread, "closed", True),
    (drop_raw_stream, "abandoned", False),
    (leave_lines, "closed", False),
    (leave_response_unread, "closed", True),
]
AGIVEN_UP = [
    (aclose_early, "closed", False),
    (aleave_block, "closed", False),
    (abreak_and_drop, "abandoned", False),
    (adrop_unread, "abandoned", True),
    (aleave_helper, "closed", False),
    (aleave_helper_unread, "closed", True),
    (adrop_raw_stream, "abandoned", False),
    (aleave_lines, "closed", False),
    (aleave_response_unread, "closed", True),
]


def name_of(value: object) -> str:
    return str(getattr(value, "__name__", value))


def check_given_up(span: Any, why: str, unread: bool) -> None:
    assert span.attributes["hud.response.incomplete"] == why
    assert span.attributes.get("hud.response.unread", False) is unread
    assert span.status == 0
    assert "gen_ai.usage.input_tokens" not in span.attributes


@pytest.mark.parametrize(("give_up", "why", "unread"), GIVEN_UP, ids=name_of)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_given_up_sync(
    give_up: Callable[..., Any],
    why: str,
    unread: bool,
    sync: OpenAI,
    chat: Any,
    replies: list[ScriptedReply],
) -> None:
    """An answer that is not read to its end still ends its span, marked why."""
    replies[0] = LONG
    give_up(sync)
    check_given_up(chat.span(), why, unread)


@pytest.mark.parametrize(("give_up", "why", "unread"), AGIVEN_UP, ids=name_of)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
async def test_given_up_async(
    give_up: Callable[..., Any],
    why: str,
    unread: bool,
    client: AsyncOpenAI,
    chat: Any,
    replies: list[ScriptedReply],
) -> None:
    """An answer that is not read to its end still ends its span, marked why."""
    replies[0] = LONG
    await give_up(client)
    gc.collect()
    await asyncio.sleep(0.02)  # the loop closes generators that were collected
    check_given_up(chat.span(), why, unread)


async def plain(client: AsyncOpenAI) -> None:
    await client.responses.create(**REQUEST)


async def parse(client: AsyncOpenAI) -> None:
    await client.responses.parse(**REQUEST)


async def stream(client: AsyncOpenAI) -> None:
    async for _ in await client.responses.create(**STREAM):
        pass


async def helper(client: AsyncOpenAI) -> None:
    async with client.responses.stream(**REQUEST) as events:
        await events.until_done()


async def raw_stream(client: AsyncOpenAI) -> None:
    answer = await client.responses.with_raw_response.create(**STREAM)
    async for _ in answer.parse():
        pass


async def lines(client: AsyncOpenAI) -> None:
    async with client.responses.with_streaming_response.create(**STREAM) as answer:
        async for _ in answer.iter_lines():
            pass


@pytest.mark.parametrize(
    "surface", [plain, parse, stream, helper, raw_stream, lines], ids=name_of
)
async def test_cancelled(
    surface: Callable[..., Any],
    client: AsyncOpenAI,
    chat: Any,
    replies: list[ScriptedReply],
) -> None:
    """A cancelled call ends its span at once, marked cancelled."""
    replies[0] = say(TEXT * 50, delay=0.1, chunk_delay=0.05)
    running = asyncio.create_task(surface(client))
    await asyncio.sleep(0.05 if surface in (plain, parse) else 0.3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    span = chat.span()
    assert span.attributes["error.type"] == "cancelled"
    assert span.attributes["hud.response.incomplete"] == "cancelled"


def test_cut_sync(sync: OpenAI, chat: Any, replies: list[ScriptedReply]) -> None:
    """A stream that the server cuts is an error on the span, with what was read."""
    replies[0] = say(TEXT, cut_after=6)
    with pytest.raises(Exception, match=r"[Cc]onnection"):
        list(sync.responses.create(**STREAM))
    check_cut(chat)


async def test_cut_async(
    client: AsyncOpenAI, chat: Any, replies: list[ScriptedReply]
) -> None:
    """A stream that the server cuts is an error on the span, with what was read."""
    replies[0] = say(TEXT, cut_after=6)
    with pytest.raises(Exception, match=r"[Cc]onnection"):
        await stream(client)
    check_cut(chat)


def check_cut(chat: Any) -> None:
    span = chat.span()
    assert span.status == 2
    assert span.attributes["error.type"].endswith(".RemoteProtocolError")
    assert span.attributes["hud.response.incomplete"] == "error"
    assert span.attributes["gen_ai.response.finish_reasons"] == ["error"]
    assert chat.said() == "one two"


def test_error_event(sync: OpenAI, chat: Any, replies: list[ScriptedReply]) -> None:
    """An error event in a stream is an error on the span, raised or not."""
    event = b'{"type": "error", "code": "x", "message": "no memory", "param": null}'
    replies[0] = say("x").but(raw=event)
    (received,) = sync.responses.create(**STREAM)
    assert received.type == "error"
    span = chat.span()
    assert (span.status, span.status_message) == (2, "no memory")


def test_closed_after_the_last_event(sync: OpenAI, chat: Any) -> None:
    """A stream that is left after its last event was read whole."""
    with sync.responses.create(**STREAM) as events:
        for event in events:
            if event.type == "response.completed":
                break
    span = chat.span()
    assert "hud.response.incomplete" not in span.attributes
    assert span.attributes["gen_ai.usage.input_tokens"] == 100
