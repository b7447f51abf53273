"""Brings the spans of frameworks and users into the same pipeline as ours."""

from __future__ import annotations

from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from hudtrace.delivery.pipeline import Pipeline
from hudtrace.notices import internal_error
from hudtrace.tracing.spans import ABANDON, STAMP, Abandon, Stamp
from hudtrace.tracing.twins import (
    adopted,
    is_aside,
    is_telemetry,
    is_twin,
    may_be_twin,
    note,
    remember,
)


class ForeignSpans(SpanProcessor):
    """Stores the spans of an SDK provider that belong to an eval.

    Other spans of the process are none of our business: they go where their
    owner sends them.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self._ours: set[int] = set()

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        """Stamp a span that begins inside an eval."""
        try:
            context = parent_context
            if context is None:
                context = otel_context.get_current()
            stamp = context.get(STAMP)
            if not isinstance(stamp, Stamp) or is_telemetry(span):
                return
            doubtful = may_be_twin(span)
            if is_aside(span, context) or (doubtful and is_twin(span)):
                note(span)
                return
            abandon = context.get(ABANDON)
            if isinstance(abandon, Abandon) and abandon.given_up:
                abandon.dropped += 1
                return
            for key, value in stamp.attributes.items():
                span.set_attribute(key, value)
            self._ours.add(span.context.span_id)
            remember(span)
            if not doubtful:  # else its end tells
                self.pipeline.started(span)
        except Exception as error:
            internal_error("noting a span's start", error)

    def on_end(self, span: ReadableSpan) -> None:
        """Store a span that began inside an eval."""
        try:
            ids = span.context
            if ids is not None and ids.span_id in self._ours:
                self._ours.discard(ids.span_id)
                if may_be_twin(span):
                    if is_twin(span):
                        return
                    self.pipeline.started(span)
                self.pipeline.ended(adopted(span))
        except Exception as error:
            internal_error("storing a span", error)

    def shutdown(self) -> None:
        """Write what is left; the pipeline itself lives on."""
        self.pipeline.flush()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until what has ended is written."""
        return self.pipeline.flush(timeout_millis / 1000)
