"""An answer as server-sent events, and what happens when its client leaves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.responses import Response

from hudtrace.chat.events import ChatReply, Done, TextDelta, ToolCalled
from hudtrace.dialects import openai_chat
from hudtrace.server.errors import refusal_of
from hudtrace.server.shapes import (
    answer_meta,
    encode,
    finish_reason,
    head,
    meta_of,
    new_id,
)

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from hudtrace.chat.events import ToolReturned
    from hudtrace.server.messages import Sent
    from hudtrace.server.session import Session

Json = dict[str, Any]
T = TypeVar("T")
_STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}
DONE = b"data: [DONE]\n\n"
_QUIET = 15.0  # seconds without an event, after which a comment shows that we live


class ClientGone(Exception):
    """The client has closed the connection before its answer was there."""


async def completion_events(
    session: Session, sent: Sent, model: str, *, include_usage: bool
) -> AsyncGenerator[bytes, None]:
    """Yield an answer as `chat.completion.chunk` events, `[DONE]` at the end.

    Tool calls are told in `hud` of chunks that are empty to OpenAI's clients; the
    last chunk has the whole `hud`. An error is an event of its own.
    """
    meta = meta_of(session)
    base = head(f"chatcmpl-{new_id()}", "chat.completion.chunk", model)

    def chunk(delta: Json, finish: str | None = None, **others: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event({**base, "choices": [choice], **others})

    yield chunk({"role": "assistant", "content": ""}, hud=meta)
    reply: ChatReply | None = None
    try:
        async with contextlib.aclosing(session.stream(sent)) as events:
            async for event in events:
                if isinstance(event, Done):
                    reply = event.reply
                elif isinstance(event, TextDelta):
                    yield chunk({"content": event.text})
                else:
                    yield chunk({}, hud={**meta, **_progress(event)})
    except Exception as error:
        yield _event(refusal_of(error, session.explained(meta)).body)
        yield DONE
        return
    assert reply is not None
    full = answer_meta(session, reply)
    if include_usage:
        yield chunk({}, finish_reason(reply))
        yield _event(
            {
                **base,
                "choices": [],
                "usage": openai_chat.write_usage(reply.usage),
                "hud": full,
            }
        )
    else:
        yield chunk({}, finish_reason(reply), hud=full)
    yield DONE


class EventStream(Response):
    """A response that sends events as they come, until the client leaves."""

    def __init__(
        self, events: AsyncGenerator[bytes, None], headers: Mapping[str, str]
    ) -> None:
        super().__init__(headers={**_STREAM_HEADERS, **headers})
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything; leaving early closes the generator."""
        start = {"type": "http.response.start", "status": 200}
        await send({**start, "headers": self.raw_headers})
        with contextlib.suppress(ClientGone, OSError):
            await unless_gone(receive, self._send(send))

    async def _send(self, send: Send) -> None:
        async with contextlib.aclosing(_with_comments(self._events)) as events:
            async for event in events:
                await send(_body(event, more=True))
        await send(_body(b"", more=False))


async def unless_gone(receive: Receive, work: Awaitable[T]) -> T:
    """Return what *work* returns; stop it and raise `ClientGone` if the client leaves."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.wait({working, leaving})
        for task in (working, leaving):
            if not task.cancelled():
                task.exception()  # looked at


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _with_comments(
    events: AsyncGenerator[bytes, None],
) -> AsyncGenerator[bytes, None]:
    """Yield *events*, and a comment where none has come for a while."""
    async with contextlib.aclosing(events):
        following: asyncio.Task[bytes] | None = None
        try:
            while True:
                if following is None:
                    following = asyncio.ensure_future(anext(events))
                done, _ = await asyncio.wait([following], timeout=_QUIET)
                if not done:
                    yield b": still here\n\n"
                    continue
                ended, following = following, None
                try:
                    yield ended.result()
                except StopAsyncIteration:
                    return
        finally:
            if following is not None:
                following.cancel()
                await asyncio.wait([following])


def _progress(event: ToolCalled | ToolReturned) -> Json:
    if isinstance(event, ToolCalled):
        called = {"id": event.id, "name": event.name, "arguments": event.arguments}
        return {"tool_call": called}
    returned = {"id": event.id, "name": event.name, "result": event.result}
    return {"tool_result": {**returned, "is_error": event.is_error}}


def _event(data: Json) -> bytes:
    return b"data: " + encode(data) + b"\n\n"


def _body(data: bytes, *, more: bool) -> Json:
    return {"type": "http.response.body", "body": data, "more_body": more}
