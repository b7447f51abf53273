"""Spans that another instrumentor makes of the very model calls that we trace.

Where both trace a client there would be two spans of each call, with its tokens
twice. Ours stays, at the place of the other, which is not recorded; the user's
own backend, where there is one, gets the other and not ours.
"""

from __future__ import annotations

import re
from typing import Any
from weakref import WeakValueDictionary

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext

from hudtrace import semconv
from hudtrace.tracing.spans import (
    OWN_SPAN,
    Span,
    current_span,
    with_span,
    without_span,
)

#: The clients whose calls are traced by us now, by package name.
traced: set[str] = set()

_SCOPES = {
    "anthropic": re.compile(r"anthropic(\.|$)"),
    "google.genai": re.compile(r"google_?genai(\.|$)"),
    "google.generativeai": re.compile(r"google_?generativeai(\.|$)"),
    "openai": re.compile(r"openai(\.|$)"),
}
_LANGFUSE = ("langfuse-sdk", "OpenAI-generation")
_OPERATIONS = {
    *(semconv.OP_CHAT, semconv.OP_EMBEDDINGS, semconv.OP_TEXT_COMPLETION),
    "generate_content",
}
_KINDS = {"LLM", "EMBEDDING"}  # of OpenInference
_open: WeakValueDictionary[int, Any] = WeakValueDictionary()


def may_be_twin(span: Any) -> bool:
    """Say whether *span* comes from an instrumentor of a client that we trace."""
    scope = getattr(getattr(span, "instrumentation_scope", None), "name", None)
    if not isinstance(scope, str) or scope == semconv.SCOPE:
        return False
    if scope == _LANGFUSE[0]:
        return "openai" in traced and getattr(span, "name", None) == _LANGFUSE[1]
    return any(_SCOPES[client].search(scope) for client in traced)


def is_twin(span: Any) -> bool:
    """Say whether *span* is another instrumentor's of a call that we trace."""
    if not may_be_twin(span):
        return False
    if span.instrumentation_scope.name.startswith(("logfire.", "langfuse")):
        return True
    said = getattr(span, "attributes", None) or {}
    operation = said.get(semconv.OPERATION)
    return operation in _OPERATIONS or said.get("openinference.span.kind") in _KINDS


def note(span: Any) -> None:
    """Remember a twin while it is open, for calls that are made inside it."""
    _open[span.context.span_id] = span


def beside_twins(context: Context) -> tuple[Context, bool]:
    """Return *context* as it was before the twins that are current in it.

    The second value says whether there was one.
    """
    twin: Any = current_span(context)
    if not is_twin(twin):
        return context, False
    parent: SpanContext | None = twin.parent
    while parent is not None and parent.span_id in _open:
        parent = _open[parent.span_id].parent
    if parent is None:
        return without_span(context), True
    own = context.get(OWN_SPAN)
    if isinstance(own, Span) and own.context.span_id == parent.span_id:
        return with_span(context, own), True
    return trace.set_span_in_context(NonRecordingSpan(parent), context), True
