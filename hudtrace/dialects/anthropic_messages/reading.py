"""Requests and responses of Anthropic Messages, read into messages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping
from typing import Any

from hudtrace import semconv
from hudtrace.dialects.anthropic_messages.blocks import read_block
from hudtrace.dialects.fields import count, get, list_of, text_or_none
from hudtrace.messages import (
    FinishReason,
    Message,
    ModelReply,
    ModelRequest,
    Usage,
)

Json = dict[str, Any]
_PARAMETERS = {
    "temperature": semconv.REQUEST_TEMPERATURE,
    "top_p": semconv.REQUEST_TOP_P,
    "top_k": semconv.REQUEST_TOP_K,
    "max_tokens": semconv.REQUEST_MAX_TOKENS,
    "service_tier": semconv.ANTHROPIC_SERVICE_TIER_REQUEST,
}
_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_call",
    "refusal": "content_filter",
}


def read_request(body: Mapping[str, Any]) -> ModelRequest:
    """Read the JSON body of a request."""
    model = body.get("model")
    return ModelRequest(
        None if model is None else str(model),
        [read_message(wire) for wire in request_messages(body)],
        request_tools(body),
        request_parameters(body),
    )


def request_messages(body: Mapping[str, Any]) -> list[Any]:
    """Return the wire messages of a request, each of which is one message.

    The system prompt is the first, in a message's form.
    """
    messages = list_of(body.get("messages"))
    system = body.get("system")
    if isinstance(system, str | list | tuple) and system:
        return [{"role": "system", "content": system}, *messages]
    return messages


def request_tools(body: Mapping[str, Any]) -> list[Any]:
    """Return the tool definitions of a request, as they were sent."""
    return list_of(body.get("tools"))


def request_parameters(body: Mapping[str, Any]) -> Json:
    """Return the request's parameters by their attribute names."""
    parameters: Json = {}
    for key, attribute in _PARAMETERS.items():
        value = body.get(key)
        if isinstance(value, str | int | float):
            parameters[attribute] = value
    stop = [text for text in list_of(body.get("stop_sequences")) if text]
    if stop:
        parameters[semconv.REQUEST_STOP] = [str(text) for text in stop]
    output = body.get("output_config")
    effort = get(output, "effort")
    if isinstance(effort, str):
        parameters[semconv.REQUEST_REASONING_LEVEL] = effort
    wanted = get(output, "format") or body.get("output_format")
    if get(wanted, "type") == "json_schema":
        parameters[semconv.OUTPUT_TYPE] = "json"
    previous = get(body.get("thread"), "previous_message_id")
    if isinstance(previous, str):
        parameters[semconv.REQUEST_PREVIOUS_RESPONSE] = previous
    return parameters


def message_key(wire: Any) -> Hashable | None:
    """Return a key that is equal for equal messages, None if there is no cheap one."""
    try:
        text = json.dumps(wire, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        return None
    return "anthropic", hashlib.blake2b(text.encode(), digest_size=16).digest()


def read_message(wire: Any) -> Message:
    """Read one message of a request or a response."""
    role = str(get(wire, "role") or "user")
    content = get(wire, "content")
    if isinstance(content, str):
        blocks: list[Any] = [content] if content else []
    elif isinstance(content, list | tuple):
        blocks = list(content)
    else:
        blocks = [] if content is None else [content]
    parts = [read_block(block) for block in blocks]
    results = [part for part in parts if part["type"] == "tool_call_response"]
    if role == "user" and parts and len(results) == len(parts):
        role = "tool"
    return {"role": role, "parts": parts}


def read_response(response: Any) -> ModelReply:
    """Read a response: the SDK's object or the JSON body."""
    answered = get(response, "content") is not None
    return ModelReply(
        messages=[_answer(response)] if answered else [],
        finish_reasons=[finish_reason(get(response, "stop_reason"))]
        if answered
        else [],
        id=text_or_none(get(response, "id")),
        model=text_or_none(get(response, "model")),
        usage=read_usage(response),
        attributes=response_attributes(response),
    )


def _answer(response: Any) -> Message:
    content = get(response, "content")
    return read_message({"role": "assistant", "content": content})


def finish_reason(raw: Any) -> FinishReason | None:
    """Return a stop reason in the convention's words."""
    return None if raw is None else _FINISH.get(str(raw), str(raw))


def read_usage(response: Any) -> Usage | None:
    """Return the tokens that a response or event reports, None if it has none.

    The events of a stream report some each; `StreamFold` puts them together.
    """
    usage = get(response, "usage") or get(get(response, "message"), "usage")
    if not usage:
        return None
    read, written = (
        count(usage, "cache_read_input_tokens"),
        count(usage, "cache_creation_input_tokens"),
    )
    return Usage(
        input_tokens=count(usage, "input_tokens") + read + written,
        output_tokens=count(usage, "output_tokens"),
        cached_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=count(get(usage, "output_tokens_details"), "thinking_tokens"),
    )


def response_attributes(response: Any) -> Json:
    """Return the attributes that are Anthropic's own."""
    attributes: Json = {}
    reason = get(response, "stop_reason")
    if isinstance(reason, str):
        attributes[semconv.ANTHROPIC_STOP_REASON] = reason
    tier = get(get(response, "usage"), "service_tier")
    if isinstance(tier, str):
        attributes[semconv.ANTHROPIC_SERVICE_TIER_RESPONSE] = tier
    return attributes
