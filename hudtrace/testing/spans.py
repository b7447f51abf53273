"""Spans in tests: catch them, draw them, and make their times and ids fixed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.trace.id_generator import IdGenerator

from hudtrace.runtime import get_runtime
from hudtrace.tree import draw


@dataclass(frozen=True, slots=True)
class CapturedSpan:
    """A finished span: ids in hex, times in unix ns, stamps among the attributes.

    `status` is 0 unset, 1 ok, 2 error.
    """

    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    kind: str
    start: int
    end: int
    status: int
    status_message: str
    attributes: dict[str, Any]
    events: list[Any]
    links: list[Any]


@contextmanager
def captured_spans() -> Iterator[list[CapturedSpan]]:
    """Collect the spans that end inside the block, in that order.

    Those of model calls have the attributes known when the call ended; what
    the writer reads later is in the store.
    """
    caught: list[CapturedSpan] = []

    def catch(span: Any) -> None:
        caught.append(_captured(span))

    taps = get_runtime().pipeline.taps
    taps.append(catch)
    try:
        yield caught
    finally:
        taps.remove(catch)


def _captured(span: Any) -> CapturedSpan:
    stamp = getattr(span, "stamp", None)
    parent = span.parent
    return CapturedSpan(
        span.name,
        format(span.context.trace_id, "032x"),
        format(span.context.span_id, "016x"),
        None if parent is None else format(parent.span_id, "016x"),
        span.kind.name,
        span.start_time,
        span.end_time,
        span.status.status_code.value,
        span.status.description or "",
        {**(span.attributes or {}), **(stamp.attributes if stamp else {})},
        list(span.events),
        list(span.links),
    )


def span_tree(spans: Iterable[Any]) -> str:
    """Draw *spans* (captured or from the store) as a tree of text."""
    return draw(spans)


class TickingClock:
    """A clock that goes on by one step, a second by default, each time it is read."""

    def __init__(self, start: int = 1_700_000_000 * 10**9, step: int = 10**9) -> None:
        self._now = start
        self._step = step

    def __call__(self) -> int:
        """Return the time in unix ns, and go on."""
        self._now += self._step
        return self._now


class CountingIds(IdGenerator):
    """Trace and span ids that count from 1."""

    def __init__(self) -> None:
        self._traces = 0
        self._spans = 0

    def generate_trace_id(self) -> int:
        """Return the next trace id."""
        self._traces += 1
        return self._traces

    def generate_span_id(self) -> int:
        """Return the next span id."""
        self._spans += 1
        return self._spans
