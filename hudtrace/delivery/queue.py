"""The queue between the code that makes spans and the thread that writes them.

Bounded by bytes. Below the soft bound a caller never waits; above it, it hands
over the processor for a moment; past the hard bound, which takes a dead disk,
spans are refused and counted.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from typing import Any

SOFT_BYTES = 64 << 20
HARD_BYTES = 256 << 20
_YIELD_EVERY = 64  # spans, on a thread that runs an event loop
_LONGEST_WAIT = 0.1  # seconds, on any other thread


class SpanQueue:
    """Ended spans, waiting for the writer. Safe for any number of producers."""

    def __init__(self, soft: int = SOFT_BYTES, hard: int = HARD_BYTES) -> None:
        self.soft = soft
        self.hard = hard
        self.wake = threading.Event()
        self._spans: deque[Any] = deque()
        self._sizes: deque[int] = deque()
        self._put = 0
        self._taken = 0
        self._lock = threading.Lock()
        self.refused = 0

    def __len__(self) -> int:
        return len(self._spans)

    @property
    def bytes(self) -> int:
        """The bytes that the waiting spans hold, roughly."""
        return self._put - self._taken

    def put(self, span: Any, size: int) -> bool:
        """Add a span of *size* bytes; False if it was refused."""
        if self.bytes > self.soft and not self._make_room():
            with self._lock:
                self.refused += 1
            return False
        with self._lock:
            self._put += size
            self._sizes.append(size)
            self._spans.append(span)
        return True

    def take(self, most: int, most_bytes: int) -> tuple[list[Any], int]:
        """Remove up to *most* spans; return them and their bytes.

        They count as waiting until `done` is told of those bytes.
        """
        spans: list[Any] = []
        size = 0
        while self._spans and len(spans) < most and size < most_bytes:
            spans.append(self._spans.popleft())
            size += self._sizes.popleft()
        return spans, size

    def done(self, size: int) -> None:
        """Say that spans of *size* bytes have been written."""
        self._taken += size

    async def room(self) -> None:
        """Wait until the queue is below its soft bound."""
        while self.bytes > self.soft:
            self.wake.set()
            await asyncio.sleep(0.005)

    def _make_room(self) -> bool:
        self.wake.set()
        if asyncio._get_running_loop() is not None:
            if len(self._spans) % _YIELD_EVERY == 0:
                time.sleep(0)  # the writer gets the GIL, the loop loses little
        else:
            deadline = time.monotonic() + _LONGEST_WAIT
            while self.bytes > self.soft and time.monotonic() < deadline:
                time.sleep(0.002)
        return self.bytes <= self.hard
