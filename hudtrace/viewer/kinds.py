"""What a span is to people: a turn, a call of a model, of a tool, a reward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hudtrace import semconv
from hudtrace.transcript import foreign

_OPERATIONS = {
    semconv.OP_EVALUATE: "eval",
    semconv.OP_INVOKE_AGENT: "agent",
    "create_agent": "agent",
    semconv.OP_CHAT: "model",
    semconv.OP_TEXT_COMPLETION: "model",
    semconv.OP_GENERATE_CONTENT: "model",
    semconv.OP_EMBEDDINGS: "model",
    semconv.OP_FETCH_RESPONSE: "model",
    semconv.OP_COMPACT: "model",
    semconv.OP_EXECUTE_TOOL: "tool",
}
_NAMES = {semconv.SPAN_TURN: "turn", semconv.SPAN_SETUP: "setup"}
#: What other instrumentors call agents and rewards.
_FOREIGN = {
    "openinference.span.kind": {
        "AGENT": "agent",
        "EMBEDDING": "model",
        "EVALUATOR": "reward",
    },
    "traceloop.span.kind": {"tool": "tool", "agent": "agent", "workflow": "agent"},
}
_TOKENS = (
    (semconv.USAGE_INPUT, semconv.USAGE_OUTPUT),
    ("llm.token_count.prompt", "llm.token_count.completion"),
)
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
    if foreign.is_call(attributes):
        return "model"
    if foreign.tool_of(attributes) is not None:
        return "tool"
    for key, kinds in _FOREIGN.items():
        found = kinds.get(str(attributes.get(key)))
        if found is not None:
            return found
    return "http" if any(key in attributes for key in _HTTP) else "other"


def label_of(kind: str, attributes: Mapping[str, Any], name: str) -> str:
    """Return the model or the tool that a span is about; empty for other spans."""
    if kind == "model":
        model = foreign.model_of(attributes) or attributes.get(semconv.RESPONSE_MODEL)
        return str(model or "")
    if kind == "tool":
        tool = foreign.tool_of(attributes)
        return tool_label(name) if tool is None else tool.name
    return ""


def tool_label(name: str) -> str:
    """Return the tool that a span of that name is a call of."""
    return name.removeprefix(f"{semconv.OP_EXECUTE_TOOL} ")


def tokens_of(attributes: Mapping[str, Any]) -> int | None:
    """Return all tokens of a model's call, None where nobody has counted."""
    for keys in _TOKENS:
        counts = [attributes.get(key) for key in keys]
        known = [count for count in counts if isinstance(count, int)]
        if known:
            return sum(known)
    return None
