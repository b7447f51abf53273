"""Sees the body of an HTTP response while the user reads it.

Works on the response objects of httpx and httpx2, whatever reads them: an SDK
stream, a raw response, or the user's own loop. What the user gets is
untouched; the end of the body, in whatever way it comes, finishes the exchange.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

from hudtrace.instrumentation.engine import Exchange

_MAX_KEPT = 32 << 20  # bytes of one body


def watch_body(response: Any, exchange: Exchange) -> None:
    """Finish *exchange* when the body of *response* has been read or given up.

    The response must not have been read yet, or wholly.
    """
    if getattr(response, "is_stream_consumed", False) or hasattr(response, "_content"):
        exchange.read(response.content)
        return
    body = _Body(exchange)
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

    response.iter_bytes = iter_bytes
    response.aiter_bytes = aiter_bytes
    response.close = close
    response.aclose = aclose
    weakref.finalize(response, body.end, "abandoned").atexit = False


class _Body:
    """The bytes of one body so far."""

    def __init__(self, exchange: Exchange) -> None:
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
                self._reading = False
                yield piece
                self._reading = True
        except GeneratorExit:
            self.end("closed")
            raise
        except BaseException as error:
            self._failed(error)
            raise
        self.end(None)

    async def aobserve(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Pass *pieces* on, and end with them."""
        self._reading = True
        try:
            async for piece in pieces:
                self._take(piece)
                self._reading = False
                yield piece
                self._reading = True
        except GeneratorExit:
            self.end("closed")
            raise
        except BaseException as error:
            self._failed(error)
            raise
        self.end(None)

    def closed(self) -> None:
        """The response was closed: by its user, or by itself on its way to an end."""
        if not self._reading:
            self.end("closed")

    def end(self, incomplete: str | None, error: BaseException | None = None) -> None:
        """Finish the exchange; only the first end counts."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            raw = b"".join(self._pieces)
            self._pieces.clear()
            exchange.read(raw, error=error, incomplete=incomplete)

    def _take(self, piece: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        if exchange.first_byte is None:
            exchange.first_byte = time.time_ns()
        if self._kept < _MAX_KEPT:
            self._kept += len(piece)
            self._pieces.append(piece)

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            self.end("cancelled", error)
        else:
            self.end("error", error)
