"""The testing kit: captured spans, readable trees, scripted models, fixed time."""

from hudtrace.testing.redirect import redirect
from hudtrace.testing.scripted import ScriptedModel
from hudtrace.testing.scripts import (
    ScriptedReply,
    ScriptedRequest,
    call,
    error,
    last_text,
    say,
    tool_results,
)
from hudtrace.testing.spans import (
    CapturedSpan,
    CountingIds,
    TickingClock,
    captured_spans,
    span_tree,
)

__all__ = [
    "CapturedSpan",
    "CountingIds",
    "ScriptedModel",
    "ScriptedReply",
    "ScriptedRequest",
    "TickingClock",
    "call",
    "captured_spans",
    "error",
    "last_text",
    "redirect",
    "say",
    "span_tree",
    "tool_results",
]
