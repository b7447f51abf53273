"""The chunks of a streamed answer, whatever kind of client they come from."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any

from hudtrace.threads import tool_threads

_END = object()


async def from_loop(start: Callable[[], Any]) -> AsyncGenerator[Any, None]:
    """Yield the chunks of the stream that *start* opens, and close it."""
    started = start()
    chunks = await started if inspect.isawaitable(started) else started
    if not hasattr(chunks, "__aiter__"):
        async for chunk in from_thread(lambda: chunks):
            yield chunk
        return
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        closing = _close(chunks)
        if inspect.isawaitable(closing):
            await closing


async def from_thread(start: Callable[[], Any]) -> AsyncGenerator[Any, None]:
    """Yield the chunks of a sync stream; one thread opens, reads and closes it.

    A stream that is given up is closed at its next chunk: until then it blocks
    its thread, and nobody else.
    """
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[Any] = asyncio.Queue()
    given_up = threading.Event()

    def pump() -> None:
        chunks = start()
        try:
            if given_up.is_set():
                return
            for chunk in chunks:
                if given_up.is_set():
                    return
                loop.call_soon_threadsafe(pieces.put_nowait, chunk)
        finally:
            _close(chunks)

    def ended(reading: asyncio.Future[Any]) -> None:
        if not reading.cancelled():
            reading.exception()  # looked at, should nobody wait for it any more
        pieces.put_nowait(_END)

    reading = tool_threads().run(pump)
    reading.add_done_callback(ended)
    try:
        while (piece := await pieces.get()) is not _END:
            yield piece
        await reading
    finally:
        given_up.set()


def _close(chunks: Any) -> Any:
    for name in ("close", "aclose"):
        close = getattr(chunks, name, None)
        if close is not None:
            return close()
    return None
