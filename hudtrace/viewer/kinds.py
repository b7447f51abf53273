"""What a span is to people: a turn, a call of a model, of a tool, a reward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hudtrace import semconv

_OPERATIONS = {
    semconv.OP_EVALUATE: "eval",
    semconv.OP_INVOKE_AGENT: "agent",
    "create_agent": "agent",
    semconv.OP_CHAT: "model",
    semconv.OP_TEXT_COMPLETION: "model",
    "generate_content": "model",
    semconv.OP_EMBEDDINGS: "model",
    semconv.OP_FETCH_RESPONSE: "model",
    semconv.OP_COMPACT: "model",
    semconv.OP_EXECUTE_TOOL: "tool",
}
_NAMES = {semconv.SPAN_TURN: "turn", semconv.SPAN_SETUP: "setup"}
#: What other instrumentations say it with, and what their values mean.
_FOREIGN = {
    "openinference.span.kind": {
        "LLM": "model",
        "EMBEDDING": "model",
        "TOOL": "tool",
        "AGENT": "agent",
        "EVALUATOR": "reward",
    },
    "traceloop.span.kind": {"tool": "tool", "agent": "agent", "workflow": "agent"},
    "llm.request.type": {"chat": "model", "completion": "model"},
}
_HTTP = (semconv.HTTP_METHOD, "http.method")


def kind_of(operation: str | None, name: str, phase: str | None) -> str | None:
    """Return the kind of a span by its columns; None if its attributes must say it."""
    if operation is not None:
        return _OPERATIONS.get(operation)
    if phase is not None and name in _NAMES:
        return _NAMES[name]
    if name == semconv.SPAN_REWARD or name.startswith(f"{semconv.SPAN_REWARD} "):
        return "reward" if phase is not None else None
    return None


def kind_by(attributes: Mapping[str, Any], name: str) -> str:
    """Return the kind of a span by its attributes."""
    operation = attributes.get(semconv.OPERATION)
    known = kind_of(operation, name, attributes.get(semconv.PHASE))
    if known is not None:
        return known
    if semconv.EVALUATION_NAME in attributes:
        return "reward"
    for key, kinds in _FOREIGN.items():
        found = kinds.get(str(attributes.get(key)))
        if found is not None:
            return found
    return "http" if any(key in attributes for key in _HTTP) else "other"
