"""Sees the chunks of a streamed answer while the user reads them.

For clients that give no HTTP response away, or use none: what is watched is
the iterator of chunks between the client and its transport.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

from hudtrace.dialects.fields import get
from hudtrace.instrumentation.engine import Exchange
from hudtrace.notices import internal_error


class Chunks:
    """The chunks of one stream so far; the end of them finishes the exchange.

    *fold* is a `StreamFold`. The exchange ends as abandoned when *owner*, which
    the reader of the stream holds, is collected before that.
    """

    def __init__(self, exchange: Exchange, fold: Any, owner: object) -> None:
        self._exchange: Exchange | None = exchange
        self._fold = fold
        weakref.finalize(owner, self._dropped).atexit = False

    def observe(self, chunks: Iterator[Any]) -> Iterator[Any]:
        """Pass *chunks* on, and end with them."""
        try:
            for chunk in chunks:
                self.take(chunk)
                yield chunk
        except GeneratorExit:
            raise  # given up; the owner is dropped next
        except BaseException as error:
            self.failed(error)
            raise
        self.ended()

    async def aobserve(self, chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Pass *chunks* on, and end with them."""
        try:
            async for chunk in chunks:
                self.take(chunk)
                yield chunk
        except GeneratorExit:
            raise  # given up; the owner is dropped next
        except BaseException as error:
            self.failed(error)
            raise
        self.ended()

    def take(self, chunk: Any) -> None:
        """Take in one chunk; an error of the server is the end."""
        exchange = self._exchange
        if exchange is None:
            return
        try:
            if exchange.first_byte is None:
                exchange.first_byte = time.time_ns()
            self._fold.add(chunk)
            error = get(chunk, "error")
            if error:
                self._exchange = None
                exchange.broken(str(get(error, "message") or error), self._fold)
        except Exception as fault:
            internal_error("reading a chunk", fault)

    def ended(self) -> None:
        """Finish: the stream has come to its end."""
        exchange = self._release()
        if exchange is not None:
            exchange.folded(self._fold)

    def failed(self, error: BaseException) -> None:
        """Finish with what was read before *error*."""
        exchange = self._release()
        if exchange is not None:
            cancelled = isinstance(error, asyncio.CancelledError)
            how = "cancelled" if cancelled else "error"
            exchange.folded(self._fold, error=error, incomplete=how)

    def _dropped(self) -> None:
        exchange = self._release()
        if exchange is not None:
            exchange.abandoned(fold=self._fold)

    def _release(self) -> Exchange | None:
        """Let go of the exchange; only the first caller gets it."""
        exchange, self._exchange = self._exchange, None
        return exchange
