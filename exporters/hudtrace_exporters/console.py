"""The spans of each trace as a tree on stderr, when its root has ended."""

from __future__ import annotations

import sys
from typing import Any

from hudtrace.backends import Backend, Content, Parcel, Receipt, one_line

_SHOWN = {
    "hud.reward": "reward",
    "hud.outcome": "outcome",
    "gen_ai.evaluation.score.value": "score",
    "error.type": "error",
    "gen_ai.usage.input_tokens": "in",
    "gen_ai.usage.output_tokens": "out",
}
_MOST_TRACES = 1000


class Console(Backend):
    """Prints traces to stderr, so that a program's own output stays its own."""

    name = "console"
    transient = True

    def __init__(self, *, content: Content | None = None) -> None:
        self.content = content
        self._spans: dict[bytes, list[Any]] = {}

    @property
    def local(self) -> bool:
        """A terminal is on this machine."""
        return True

    @property
    def identity(self) -> str:
        """Each process has a terminal of its own: nobody prints for another."""
        import os

        return f"{os.getpid()}-{id(self)}"

    def open(self) -> Console:
        """Nothing is to be opened."""
        return self

    def send(self, parcel: Parcel, timeout: float | None = None) -> Receipt:
        """Print the traces whose root has come, and keep the others."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        request = ExportTraceServiceRequest.FromString(parcel.request)
        roots = []
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self._spans.setdefault(span.trace_id, []).append(span)
                    if not span.parent_span_id:
                        roots.append(span.trace_id)
        for trace_id in roots:
            print(_tree(self._spans.pop(trace_id, [])), file=sys.stderr)
        while len(self._spans) > _MOST_TRACES:
            print(_tree(self._spans.pop(next(iter(self._spans)))), file=sys.stderr)
        return Receipt()

    def close(self) -> None:
        """Print what has no root yet."""
        for spans in self._spans.values():
            print(_tree(spans), file=sys.stderr)
        self._spans.clear()


def _tree(spans: list[Any]) -> str:
    """Return spans as an indented tree, below the trace id."""
    if not spans:
        return ""
    known = {span.span_id for span in spans}
    children: dict[bytes, list[Any]] = {}
    for span in sorted(spans, key=lambda each: each.start_time_unix_nano):
        parent = span.parent_span_id if span.parent_span_id in known else b""
        children.setdefault(parent, []).append(span)
    lines = [f"trace {spans[0].trace_id.hex()}"]

    def show(span: Any, depth: int) -> None:
        lines.append(f"{'  ' * depth}{_line(span)}")
        for child in children.get(span.span_id, ()):
            show(child, depth + 1)

    for top in children.get(b"", ()):
        show(top, 1)
    return "\n".join(lines)


def _line(span: Any) -> str:
    millis = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
    found = {pair.key: pair.value for pair in span.attributes}
    facts = [
        f"{word}={_text(found[key])}" for key, word in _SHOWN.items() if key in found
    ]
    return one_line("  ".join([span.name, f"{millis:.0f} ms", *facts]))


def _text(value: Any) -> str:
    kind = value.WhichOneof("value")
    return "" if kind is None else str(getattr(value, kind))
