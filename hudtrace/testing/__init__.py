"""The testing kit: captured spans, readable trees, scripted models, fixed time."""

from hudtrace.testing.redirect import redirect
from hudtrace.testing.scripted import (
    ScriptedModel,
    ScriptedReply,
    call,
    error,
    say,
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
    "TickingClock",
    "call",
    "captured_spans",
    "error",
    "redirect",
    "say",
    "span_tree",
]
