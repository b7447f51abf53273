"""The spans that are open, and which of them are due for a start record."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import time
from collections import deque
from typing import Any

OPEN_AFTER_NS = 10**9  # a span open for longer gets a start record
LONGEST_WAIT = 1.0  # seconds for the record of one that is asked for

Stored = concurrent.futures.Future[None]


class OpenSpans:
    """Spans from their start to their end; `young` are those without a record.

    Any thread notes starts and ends; what is due, the writer alone asks.
    """

    def __init__(self) -> None:
        self.young: dict[int, Any] = {}  # in order of start
        self._recorded: dict[int, Any] = {}
        self._asked: deque[tuple[Any, Stored]] = deque()

    @property
    def asked(self) -> bool:
        """Whether somebody waits for a start record."""
        return bool(self._asked)

    def ask(self, span: Any) -> Stored:
        """Have *span* recorded next; what comes back is set when that is committed."""
        stored: Stored = concurrent.futures.Future()
        self._asked.append((span, stored))
        return stored

    def take_due(self) -> tuple[list[Any], list[Stored]]:
        """Return the spans to record now, and who waits for that."""
        found, waiting = self._old(), []
        while self._asked:
            span, stored = self._asked.popleft()
            found.append(span)
            waiting.append(stored)
        due = []
        for span in found:
            id = span.context.span_id
            if self.young.pop(id, None) is not None and span.end_time is None:
                self._recorded[id] = span
                due.append(span)
        return due, waiting

    def has_record(self, span: Any) -> bool:
        """Say, once, whether a span that has ended has a start record."""
        return self._recorded.pop(span.context.span_id, None) is not None

    def _old(self) -> list[Any]:
        before, found = time.time_ns() - OPEN_AFTER_NS, []
        try:
            for span in self.young.values():
                if span.start_time > before:
                    break
                found.append(span)
        except RuntimeError:
            pass  # it changed under us: the rest comes with the next commit
        return found


async def wait_for(stored: Stored) -> None:
    """Wait until *stored* is set, but not for long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LONGEST_WAIT):
            await asyncio.wrap_future(stored)


def tell(waiting: list[Stored]) -> None:
    """Set those that still wait."""
    for stored in waiting:
        if stored.set_running_or_notify_cancel():
            stored.set_result(None)
