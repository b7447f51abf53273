"""A lock that coroutines on different event loops share."""

from __future__ import annotations

import asyncio
import threading
from collections import deque


class SharedLock:
    """Use `async with lock:`; one at a time, whatever loops they run on.

    Waiters of one loop are served in order. It is never reserved for a waiter whose
    loop is blocked: whoever can go on first, takes it.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._waiting: dict[asyncio.AbstractEventLoop, deque[asyncio.Future[None]]] = {}

    async def __aenter__(self) -> None:
        """Wait until nobody holds it."""
        with self._guard:
            if not self._held:
                self._held = True
                return
            loop = asyncio.get_running_loop()
            turn = loop.create_future()
            self._waiting.setdefault(loop, deque()).append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._release()  # it was ours already
            turn.cancel()
            raise

    async def __aexit__(self, *exc_info: object) -> None:
        """Let the next one in."""
        self._release()

    def _release(self) -> None:
        with self._guard:
            self._held = False
            loops = list(self._waiting)
        for loop in loops:
            try:
                loop.call_soon_threadsafe(self._admit, loop)
            except RuntimeError:  # the loop is closed, and nobody waits there
                with self._guard:
                    self._waiting.pop(loop, None)

    def _admit(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._guard:
            waiting = self._waiting.get(loop, deque())
            while waiting and not self._held:
                turn = waiting.popleft()
                if not turn.done():
                    self._held = True
                    turn.set_result(None)
            if not waiting:
                self._waiting.pop(loop, None)
