"""Requests and responses of OpenAI Responses, read into messages."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from hudtrace import semconv
from hudtrace.dialects.fields import (
    count,
    get,
    list_of,
    plain,
    text_or_none,
)
from hudtrace.dialects.openai_responses.items import CLIENT_CALLS, read_items, role_of
from hudtrace.messages import (
    FinishReason,
    Message,
    ModelReply,
    ModelRequest,
    Usage,
)

Json = dict[str, Any]
_PLAIN = (str, int, float)
_PARAMETERS = {
    "temperature": semconv.REQUEST_TEMPERATURE,
    "top_p": semconv.REQUEST_TOP_P,
    "max_output_tokens": semconv.REQUEST_MAX_TOKENS,
    "service_tier": semconv.SERVICE_TIER_REQUEST,
    "previous_response_id": semconv.REQUEST_PREVIOUS_RESPONSE,
}
_INCOMPLETE = {"max_output_tokens": "length"}


def read_request(body: Mapping[str, Any]) -> ModelRequest:
    """Read the JSON body of a request."""
    messages = [read_message(wire) for wire in request_messages(body)]
    model = body.get("model")
    return ModelRequest(
        None if model is None else str(model),
        messages,
        request_tools(body),
        request_parameters(body),
    )


def request_messages(body: Mapping[str, Any]) -> list[Any]:
    """Return the wires of a request, each of which is one message.

    A wire is one item, or the list of items that the model wrote one after
    the other. The instructions come first.
    """
    wires: list[Any] = []
    instructions = body.get("instructions")
    if isinstance(instructions, str):
        wires.append({"role": "system", "content": instructions})
    elif instructions is not None:
        wires += grouped(list_of(instructions))
    given = body.get("input")
    if isinstance(given, str):
        wires.append({"role": "user", "content": given})
    else:
        wires += grouped(list_of(given))
    return wires


def grouped(items: Iterable[Any]) -> list[Any]:
    """Return *items* with those of the model that follow each other as one list."""
    wires: list[Any] = []
    run: list[Any] = []
    for item in items:
        if role_of(item) != "assistant":
            run = []
            wires.append(item)
            continue
        if not run:
            wires.append(run)
        run.append(item)
    return wires


def request_tools(body: Mapping[str, Any]) -> list[Any]:
    """Return the tool definitions of a request, as they were sent."""
    return list_of(body.get("tools"))


def request_parameters(body: Mapping[str, Any]) -> Json:
    """Return the request's parameters by their attribute names."""
    parameters: Json = {}
    for key, attribute in _PARAMETERS.items():
        value = body.get(key)
        if isinstance(value, _PLAIN):
            parameters[attribute] = value
    effort = get(body.get("reasoning"), "effort")
    if isinstance(effort, str):
        parameters[semconv.REQUEST_REASONING_LEVEL] = effort
    conversation = body.get("conversation")
    if not isinstance(conversation, str):
        conversation = get(conversation, "id")
    if isinstance(conversation, str):
        parameters[semconv.CONVERSATION_ID] = conversation
    kind = get(get(body.get("text"), "format"), "type")
    if kind in ("json_schema", "json_object"):
        parameters[semconv.OUTPUT_TYPE] = "json"
    elif kind == "text":
        parameters[semconv.OUTPUT_TYPE] = "text"
    return parameters


def message_key(wire: Any) -> Hashable | None:
    """Return a key that is equal for equal messages, None if there is no cheap one."""
    if not isinstance(wire, Mapping | list):
        return None
    try:
        return _frozen(wire)
    except (TypeError, RecursionError):
        return None


def _frozen(value: Any) -> Hashable:
    """Return JSON in a form that can be hashed; its texts are not copied."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "{", *[(key, _frozen(item)) for key, item in value.items()]
    if isinstance(value, list):
        return "[", *map(_frozen, value)
    if isinstance(value, int | float):
        return type(value), value  # as 1, 1.0 and True are equal
    raise TypeError(type(value))


def read_message(wire: Any) -> Message:
    """Read one message of a request or a response: an item, or a list of them."""
    if isinstance(wire, list | tuple):
        return {"role": "assistant", "parts": read_items(wire)}
    return {"role": role_of(wire), "parts": read_items([wire])}


def read_response(response: Any) -> ModelReply:
    """Read a response: the SDK's object or the JSON body.

    It is one message, and more only where the server itself answered calls
    that the model made. One that has not begun to be answered has none.
    """
    output = list_of(get(response, "output"))
    messages = [read_message(wire) for wire in grouped(output)]
    status = get(response, "status")
    pending = status in ("queued", "in_progress")
    if not messages and status == "completed":
        messages = [{"role": "assistant", "parts": []}]
    finished = bool(messages or status) and not pending
    return ModelReply(
        messages=messages,
        finish_reasons=[_finish_reason(response, output)] if finished else [],
        id=text_or_none(get(response, "id")),
        model=text_or_none(get(response, "model")),
        usage=read_usage(response),
        attributes=_attributes(response),
        logprobs=_logprobs(output),
    )


def _finish_reason(response: Any, output: list[Any]) -> FinishReason:
    status = get(response, "status")
    if status == "failed":
        return "error"
    if status == "incomplete":
        reason = str(get(get(response, "incomplete_details"), "reason") or status)
        return _INCOMPLETE.get(reason, reason)
    if status is not None and status != "completed":
        return str(status)
    kinds = [get(item, "type") for item in output]
    called = any(isinstance(kind, str) and kind in CLIENT_CALLS for kind in kinds)
    return "tool_call" if called else "stop"


def response_error(response: Any) -> str | None:
    """Return the message of an error that a response has instead of an answer."""
    error = get(response, "error")
    if error:
        return str(get(error, "message") or error)
    return "the response failed" if get(response, "status") == "failed" else None


def read_usage(response: Any) -> Usage | None:
    """Return the tokens that a response or event reports, None if it has none."""
    usage = get(response, "usage") or get(get(response, "response"), "usage")
    if not usage:
        return None
    given, made = (
        get(usage, "input_tokens_details"),
        get(usage, "output_tokens_details"),
    )
    return Usage(
        input_tokens=count(usage, "input_tokens"),
        output_tokens=count(usage, "output_tokens"),
        cached_tokens=count(given, "cached_tokens"),
        cache_write_tokens=count(given, "cache_write_tokens"),
        reasoning_tokens=count(made, "reasoning_tokens"),
    )


def _attributes(response: Any) -> Json:
    attributes: Json = {}
    tier = get(response, "service_tier")
    if isinstance(tier, str):
        attributes[semconv.SERVICE_TIER_RESPONSE] = tier
    conversation = get(get(response, "conversation"), "id")
    if isinstance(conversation, str):
        attributes[semconv.CONVERSATION_ID] = conversation
    return attributes


def _logprobs(output: list[Any]) -> list[Any] | None:
    """Return the log probabilities of the answer's tokens, None if there are none."""
    tokens = [
        plain(token)
        for item in output
        for block in list_of(get(item, "content"))
        for token in list_of(get(block, "logprobs"))
    ]
    return [{"content": tokens}] if tokens else None
