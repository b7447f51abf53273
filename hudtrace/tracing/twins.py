"""Spans that others make of the very model calls and tool calls that we trace.

Where another instrumentor traces a client too, there would be two spans of each
call, with its tokens twice; where an agent framework has spans of its own, two of
its model calls and of the tools. Ours stays, at the place of the other, which is not
recorded; the user's own backend, where there is one, gets the other and not ours.

An instrumentor's span is known by its scope. A framework's is a twin only if a span
of ours begins in it: what the framework does itself is recorded as it says.
"""

from __future__ import annotations

import copy
import re
from typing import Any
from weakref import WeakValueDictionary

from opentelemetry import context as otel_context
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

#: Context key: the scope whose spans are twins of ours that is current there.
ASIDE = otel_context.create_key("hudtrace-aside")
MCP_SCOPE = "mcp-python-sdk"

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
#: What frameworks call their spans of a model call or of a tool.
_ECHO = re.compile(r"(chat|generate_content|text_completion|call_llm|execute_tool)\b")
#: Of ADK: the answers of several tools at once, each of which has a span.
_MERGED = ("gcp.vertex.agent", "execute_tool (merged)")
_AGENTS = frozenset({"gcp.vertex.agent", "autogen-core"})
_TELEMETRY = frozenset({"crewai.telemetry"})
_open: WeakValueDictionary[int, Any] = WeakValueDictionary()
_alive: WeakValueDictionary[int, Any] = WeakValueDictionary()
_with_children: WeakValueDictionary[int, Any] = WeakValueDictionary()


def may_be_twin(span: Any) -> bool:
    """Say whether *span* may be of a call that has one of ours, or will have one."""
    return _of_instrumentor(span) or bool(_ECHO.match(str(getattr(span, "name", ""))))


def is_twin(span: Any) -> bool:
    """Say whether *span* is another's of a call that we trace."""
    ids = getattr(span, "context", None)
    if ids is not None and ids.span_id in _open:
        return True
    if (_scope(span), getattr(span, "name", None)) == _MERGED:
        return True
    if not _of_instrumentor(span):
        return False
    if span.instrumentation_scope.name.startswith(("logfire.", "langfuse")):
        return True
    said = getattr(span, "attributes", None) or {}
    operation = said.get(semconv.OPERATION)
    return operation in _OPERATIONS or said.get("openinference.span.kind") in _KINDS


def is_aside(span: Any, context: Context) -> bool:
    """Say whether *span* begins where those of its scope are twins of ours."""
    aside = context.get(ASIDE)
    return aside is not None and aside == _scope(span)


def is_of_agent(span: Any) -> bool:
    """Say whether *span* is an agent framework's own.

    Its agent may have begun in a thread that has lost the eval's context.
    """
    return _scope(span) in _AGENTS


def is_telemetry(span: Any) -> bool:
    """Say whether *span* is a library's note to its makers, not of what it does."""
    return _scope(span) in _TELEMETRY


def _of_instrumentor(span: Any) -> bool:
    """Say whether *span* comes from an instrumentor of a client that we trace."""
    scope = _scope(span)
    if scope is None or scope == semconv.SCOPE:
        return False
    if scope == _LANGFUSE[0]:
        return "openai" in traced and getattr(span, "name", None) == _LANGFUSE[1]
    return any(_SCOPES[client].search(scope) for client in traced)


def _scope(span: Any) -> str | None:
    name = getattr(getattr(span, "instrumentation_scope", None), "name", None)
    return name if isinstance(name, str) else None


def note(span: Any) -> None:
    """Remember a twin while it is open, for calls that are made inside it."""
    _open[span.context.span_id] = span


def remember(span: Any) -> None:
    """Remember another's span while it is open: calls inside it may be its twins."""
    _alive[span.context.span_id] = span


def adopted(span: Any) -> Any:
    """Return *span*, which has ended, below what is above the twins that it is in."""
    parent: SpanContext | None = span.parent
    while parent is not None and parent.span_id in _open:
        parent = _open[parent.span_id].parent
    if parent is span.parent:
        if parent is not None and parent.span_id in _alive:
            _with_children[parent.span_id] = _alive[parent.span_id]
        return span
    moved = copy.copy(span)
    moved._parent = parent
    return moved


def beside_twins(context: Context, tool: str | None = None) -> tuple[Context, bool]:
    """Return *context* as it was before the twins that are current in it.

    They are those of a model call, or of a call of *tool*. The second value says
    whether there was one.
    """
    twin: Any = current_span(context)
    if not _claim(twin, tool):
        return context, False
    parent: SpanContext | None = twin.parent
    while parent is not None and (
        parent.span_id in _open or _claim(_alive.get(parent.span_id), tool)
    ):
        parent = _open[parent.span_id].parent
    if parent is None:
        return without_span(context), True
    own = context.get(OWN_SPAN)
    if isinstance(own, Span) and own.context.span_id == parent.span_id:
        return with_span(context, own), True
    around = _alive.get(parent.span_id) or NonRecordingSpan(parent)
    return trace.set_span_in_context(around, context), True


def _claim(span: Any, tool: str | None) -> bool:
    """Say whether *span* is a twin of the call that begins in it, and make it one."""
    if span is None or isinstance(span, Span):
        return False
    if tool is None and is_twin(span):
        return True
    ids = getattr(span, "context", None)
    if ids is None or ids.span_id not in _alive or not _ECHO.match(span.name):
        return False
    if ids.span_id in _with_children:
        return False  # they would hang from nothing
    said = getattr(span, "attributes", None) or {}
    operation = said.get(semconv.OPERATION)
    if tool is None:
        echo = operation in _OPERATIONS or span.name == "call_llm"
    else:
        named = said.get(semconv.TOOL_NAME, span.name.partition(" ")[2])
        echo = span.name.startswith("execute_tool") and named == tool
    if echo:
        note(span)
    return echo
