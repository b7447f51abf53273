"""The spans of a trace on a terminal: as a tree, and along a line of time."""

from __future__ import annotations

from collections.abc import Sequence

from hudtrace import semconv
from hudtrace.cli import text
from hudtrace.store.queries import StoredSpan
from hudtrace.tree import describe, draw

_BAR = 32  # characters


def tree_text(spans: Sequence[StoredSpan], *, full: bool = False) -> str:
    """Return the span tree, with durations, tool results, and what the grader read."""
    read = {
        link.span_id
        for span in spans
        for link in span.links
        if link.attributes.get(semconv.LINK_KIND) == "read"
    }
    width = 10_000 if full else max(40, text.screen_width() - 40)
    return draw(spans, lambda span: _line(span, read, width))


def timeline_text(spans: Sequence[StoredSpan]) -> str:
    """Return the span tree with a bar for each span: when it was, and how long."""
    base = min((span.start for span in spans), default=0)
    last = max((span.end or span.start for span in spans), default=0)
    bars: list[str] = []

    def line(span: StoredSpan) -> str:
        bars.append(_bar(span, base, last))
        return _named(span)

    lines = draw(spans, line).splitlines()
    return "\n".join(f"{bar}  {name}" for bar, name in zip(bars, lines, strict=True))


def _bar(span: StoredSpan, base: int, last: int) -> str:
    """Return when a span began, how long it took, and both as a bar."""
    whole = max(1, last - base)
    end = last if span.end is None else span.end
    first = min(_BAR - 1, (span.start - base) * _BAR // whole)
    length = max(1, (end - span.start) * _BAR // whole)
    bar = (" " * first + "█" * length)[:_BAR].ljust(_BAR)
    took = span.state if span.end is None else text.duration((end - span.start) / 1e9)
    return f"{text.duration((span.start - base) / 1e9):>9} {took:>9} {bar}"


def _named(span: StoredSpan) -> str:
    """Return a span's name and what matters about it; errors of any program are marked."""
    failed = span.status == 2 and semconv.ERROR_TYPE not in span.attributes
    return f"{describe(span)} error" if failed else describe(span)


def _line(span: StoredSpan, read: set[str], width: int) -> str:
    line = _named(span)
    if span.end is None:
        line += f"  [{span.state}]"
    else:
        line += f"  {text.duration((span.end - span.start) / 1e9)}"
    attributes = span.attributes
    tokens = attributes.get(semconv.USAGE_INPUT)
    if tokens is not None and attributes.get(semconv.OPERATION) == semconv.OP_CHAT:
        line += f"  {tokens}+{attributes.get(semconv.USAGE_OUTPUT, 0)} tokens"
    result = attributes.get(semconv.TOOL_CALL_RESULT)
    if result is not None:
        asked = attributes.get(semconv.TOOL_CALL_ARGUMENTS, "")
        line += f"  {text.shorten(f'{asked} → {result}', width)}"
    explanation = attributes.get(semconv.EVALUATION_EXPLANATION)
    if explanation:
        line += f"  {text.shorten(explanation, width)}"
    if span.span_id in read:
        line += "  ◀ read by the grader"
    return line
