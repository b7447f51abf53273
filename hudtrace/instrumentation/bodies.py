"""Sees the body of an HTTP response while the user reads it.

Works on the response objects of httpx and httpx2, whatever reads them: an SDK
stream, a raw response, or the user's own loop. What the user gets is
untouched; the end of the body, in whatever way it comes, finishes the exchange
and gives the response its own methods back.
"""

from __future__ import annotations

import asyncio
import sys
import time
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

from hudtrace.instrumentation.engine import Exchange

_MAX_KEPT = 32 << 20  # bytes of one body
_REPLACED = ("iter_bytes", "aiter_bytes", "close", "aclose")


def watch_body(response: Any, exchange: Exchange) -> None:
    """Finish *exchange* when the body of *response* has been read or given up.

    The response must not have been read yet, or wholly.
    """
    if hasattr(response, "_content"):
        exchange.read(response.content, incomplete="cut")
        return
    body = _Body(response, exchange)
    kind = type(response)

    def iter_bytes(*args: Any, **kwargs: Any) -> Iterator[bytes]:
        return body.observe(kind.iter_bytes(response, *args, **kwargs))

    def aiter_bytes(*args: Any, **kwargs: Any) -> AsyncIterator[bytes]:
        return body.aobserve(kind.aiter_bytes(response, *args, **kwargs))

    def close() -> None:
        try:
            kind.close(response)
        finally:
            body.closed()

    async def aclose() -> None:
        try:
            await kind.aclose(response)
        finally:
            body.closed()

    for name, method in zip(
        _REPLACED, (iter_bytes, aiter_bytes, close, aclose), strict=True
    ):
        setattr(response, name, method)
    weakref.finalize(response, body.dropped).atexit = False


class _Body:
    """The bytes of one body so far."""

    def __init__(self, response: Any, exchange: Exchange) -> None:
        self._response = weakref.ref(response)
        self._exchange: Exchange | None = exchange
        self._pieces: list[bytes] = []
        self._kept = 0
        self._reading = False  # inside the response's own iterator

    def observe(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Pass *pieces* on, and end with them."""
        self._reading = True
        try:
            for piece in pieces:
                self._take(piece)
                yield piece
                self._reading = True
        except GeneratorExit:
            raise  # given up; the response is closed or dropped next
        except BaseException as error:
            self._failed(error)
            raise
        self._end()

    async def aobserve(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Pass *pieces* on, and end with them."""
        self._reading = True
        try:
            async for piece in pieces:
                self._take(piece)
                yield piece
                self._reading = True
        except GeneratorExit:
            raise  # given up; the response is closed or dropped next
        except BaseException as error:
            self._failed(error)
            raise
        self._end()

    def closed(self) -> None:
        """The response was closed: by its user, or by itself on its way to an end.

        Or by a generator on its way out, which the collector may have sent there.
        """
        if self._reading:
            return
        if isinstance(sys.exc_info()[1], GeneratorExit):
            self.dropped("closed")
        else:
            self._end("closed")

    def dropped(self, incomplete: str = "abandoned") -> None:
        """The response was collected; nobody read on or closed it."""
        exchange, raw = self._release()
        if exchange is not None:
            exchange.abandoned(raw, incomplete=incomplete)

    def _end(
        self, incomplete: str | None = None, error: BaseException | None = None
    ) -> None:
        response = self._response()
        unread = not getattr(response, "is_stream_consumed", False)
        exchange, raw = self._release()
        if incomplete is None and self._kept < _MAX_KEPT:
            incomplete = "cut"  # unless the answer turns out to be whole
        if exchange is not None:
            exchange.read(raw, error=error, incomplete=incomplete, unread=unread)

    def _release(self) -> tuple[Exchange | None, bytes]:
        """Let go of everything; only the first caller gets the exchange."""
        exchange, self._exchange = self._exchange, None
        raw = b"".join(self._pieces)
        self._pieces.clear()
        response = self._response()
        own = {} if response is None else vars(response)
        for name in _REPLACED:
            if getattr(own.get(name), "__module__", None) == __name__:
                del own[name]
        return exchange, raw

    def _take(self, piece: bytes) -> None:
        self._reading = False
        exchange = self._exchange
        if exchange is None:
            return
        if exchange.first_byte is None:
            exchange.first_byte = time.time_ns()
        if self._kept < _MAX_KEPT:
            self._kept += len(piece)
            self._pieces.append(piece)

    def _failed(self, error: BaseException) -> None:
        cancelled = isinstance(error, asyncio.CancelledError)
        self._end("cancelled" if cancelled else "error", error)
