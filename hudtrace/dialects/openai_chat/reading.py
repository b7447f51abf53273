"""Requests and responses of OpenAI Chat Completions, read into messages."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from hudtrace import semconv
from hudtrace.dialects.fields import (
    count,
    get,
    list_of,
    plain,
    read_arguments,
    text_or_none,
)
from hudtrace.messages import (
    FinishReason,
    Message,
    ModelReply,
    ModelRequest,
    Part,
    Usage,
)

Json = dict[str, Any]
_LISTS, _PLAIN = (list, tuple), (str, int, float)
_PARAMETERS = {
    "temperature": semconv.REQUEST_TEMPERATURE,
    "top_p": semconv.REQUEST_TOP_P,
    "max_tokens": semconv.REQUEST_MAX_TOKENS,
    "max_completion_tokens": semconv.REQUEST_MAX_TOKENS,
    "frequency_penalty": semconv.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": semconv.REQUEST_PRESENCE_PENALTY,
    "seed": semconv.REQUEST_SEED,
    "reasoning_effort": semconv.REQUEST_REASONING_LEVEL,
    "service_tier": semconv.SERVICE_TIER_REQUEST,
}
_FINISH = {"tool_calls": "tool_call", "function_call": "tool_call"}


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
    """Return the wire messages of a request, each of which is one message."""
    return list_of(body.get("messages"))


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
    stop = body.get("stop")
    if stop:
        parameters[semconv.REQUEST_STOP] = [stop] if isinstance(stop, str) else stop
    choices = body.get("n")
    if isinstance(choices, int) and choices != 1:
        parameters[semconv.REQUEST_CHOICES] = choices
    kind = get(body.get("response_format"), "type")
    if kind in ("json_schema", "json_object"):
        parameters[semconv.OUTPUT_TYPE] = "json"
    elif kind == "text":
        parameters[semconv.OUTPUT_TYPE] = "text"
    return parameters


def message_key(wire: Any) -> Hashable | None:
    """Return a key that is equal for equal messages, None if there is no cheap one."""
    if not isinstance(wire, Mapping):
        return None
    content = wire.get("content")
    calls = wire.get("tool_calls")
    rest = tuple(
        (key, value)
        for key, value in wire.items()
        if key not in ("role", "content", "tool_calls")
    )
    try:
        asked = tuple(_call_key(call) for call in calls) if calls else None
        key = (wire.get("role"), content, rest, asked)
        hash(key)
    except (TypeError, KeyError, AttributeError):
        return None
    return key


def _call_key(call: Any) -> Hashable:
    function = call["function"]
    return call.get("id"), function["name"], function["arguments"], call.get("type")


def read_message(wire: Any) -> Message:
    """Read one message of a request or a response."""
    role = str(get(wire, "role") or "user")
    if role == "developer":
        role = "system"
    if role in ("tool", "function"):
        message: Message = {"role": "tool", "parts": [_read_tool_result(wire)]}
    else:
        message = {"role": role, "parts": _read_parts(wire)}
    sender = get(wire, "name")
    if isinstance(sender, str):
        message["name"] = sender
    return message


def _read_tool_result(wire: Any) -> Part:
    content = get(wire, "content")
    if isinstance(content, _LISTS):
        texts = [get(block, "text") for block in content]
        if all(isinstance(text, str) for text in texts):
            content = "\n".join(texts)
        else:
            content = [read_block(block) for block in content]
    call_id = get(wire, "tool_call_id") or get(wire, "name")
    return {"type": "tool_call_response", "id": call_id, "response": content}


def _read_parts(wire: Any) -> list[Part]:
    parts: list[Part] = []
    for key in ("reasoning_content", "reasoning"):
        reasoning = get(wire, key)
        if isinstance(reasoning, str) and reasoning:
            parts.append({"type": "reasoning", "content": reasoning})
            break
    content = get(wire, "content")
    if isinstance(content, str):
        if content:
            parts.append({"type": "text", "content": content})
    elif isinstance(content, Iterable):
        parts += [read_block(block) for block in content]
    elif content is not None:
        parts.append({"type": "text", "content": str(content)})
    refusal = get(wire, "refusal")
    if isinstance(refusal, str) and refusal:
        parts.append({"type": "refusal", "content": refusal})
    audio = get(wire, "audio")
    if audio:
        parts.append(_read_audio(audio))
    parts += [_read_call(call) for call in list_of(get(wire, "tool_calls"))]
    legacy = get(wire, "function_call")
    if legacy:
        parts.append(_read_call({"id": None, "function": legacy}))
    return parts


def read_block(block: Any) -> Part:
    """Read one block of a message's content; of a kind we do not know, it is kept."""
    kind = get(block, "type")
    if isinstance(block, str):
        return {"type": "text", "content": block}
    if kind == "text":
        return {"type": "text", "content": get(block, "text")}
    if kind == "refusal":
        return {"type": "refusal", "content": get(block, "refusal")}
    if kind == "image_url":
        image = get(block, "image_url")
        url = image if isinstance(image, str) else get(image, "url")
        if isinstance(url, str) and url:
            detail = get(image, "detail")
            rest = {} if detail in (None, "auto") else {"detail": detail}
            return _with_rest(_read_url(url, "image"), rest)
    audio = get(block, "input_audio")
    if kind == "input_audio" and isinstance(get(audio, "data"), str):
        return {
            "type": "blob",
            "modality": "audio",
            "mime_type": f"audio/{get(audio, 'format')}",
            "content": get(audio, "data"),
        }
    file_id = get(get(block, "file"), "file_id")
    if kind == "file" and isinstance(file_id, str):
        return {"type": "file", "file_id": file_id}
    data = get(get(block, "file"), "file_data")
    if kind == "file" and isinstance(data, str) and data.startswith("data:"):
        return _read_url(data, "document")
    kept = plain(block)
    if not isinstance(kept, dict):
        return {"type": "unknown", "content": kept}
    return _with_rest({"type": kind if isinstance(kind, str) else "unknown"}, kept)


def _with_rest(part: Part, rest: Json) -> Part:
    """Keep in *part* what only this API wants back."""
    if rest:
        part["openai_chat"] = rest  # type: ignore[typeddict-unknown-key]
    return part


def _read_url(url: str, modality: str) -> Part:
    if not url.startswith("data:"):
        return {"type": "uri", "modality": modality, "uri": url}
    head, _, data = url.partition(",")
    return {
        "type": "blob",
        "modality": modality,
        "mime_type": head.removeprefix("data:").removesuffix(";base64") or None,
        "content": data,
    }


def _read_audio(audio: Any) -> Part:
    return {
        "type": "blob",
        "modality": "audio",
        "mime_type": None,
        "content": get(audio, "data") or get(audio, "id"),
        "transcript": get(audio, "transcript"),  # type: ignore[typeddict-unknown-key]
    }


def _read_call(call: Any) -> Part:
    function = get(call, "function")
    custom = get(call, "custom")
    if function is None and custom is not None:
        called, raw = get(custom, "name"), get(custom, "input")
    else:
        called, raw = get(function, "name"), get(function, "arguments")
        read, problem = read_arguments(raw)
        raw = raw if problem is not None else read
    part: Part = {
        "type": "tool_call",
        "id": get(call, "id"),
        "name": str(called or ""),
        "arguments": raw,
    }
    # Gemini's own endpoint for this API puts the signatures of thoughts there.
    extra = plain(get(call, "extra_content"))
    rest: Json = {"extra_content": extra} if extra else {}
    if function is None and custom is not None:
        rest["type"] = "custom"
    return _with_rest(part, rest)


def read_response(response: Any) -> ModelReply:
    """Read a response: the SDK's object or the JSON body."""
    choices = list_of(get(response, "choices"))
    return ModelReply(
        messages=[read_message(_assistant(choice)) for choice in choices],
        finish_reasons=[finish_reason(get(c, "finish_reason")) for c in choices],
        id=text_or_none(get(response, "id")),
        model=text_or_none(get(response, "model")),
        usage=read_usage(response),
        attributes=response_attributes(response),
        logprobs=logprobs_of(choices),
    )


def finish_reason(raw: Any) -> FinishReason | None:
    """Return a finish reason in the convention's words."""
    return None if raw is None else _FINISH.get(str(raw), str(raw))


def read_usage(response: Any) -> Usage | None:
    """Return the tokens that a response or chunk reports, None if it has none."""
    usage = get(response, "usage")
    if not usage:
        return None
    given, made = (
        get(usage, "prompt_tokens_details"),
        get(usage, "completion_tokens_details"),
    )
    return Usage(
        input_tokens=count(usage, "prompt_tokens"),
        output_tokens=count(usage, "completion_tokens"),
        cached_tokens=count(given, "cached_tokens"),
        cache_write_tokens=count(given, "cache_write_tokens"),
        reasoning_tokens=count(made, "reasoning_tokens"),
    )


def _assistant(choice: Any) -> Any:
    message = get(choice, "message")
    return {"role": "assistant"} if message is None else message


def response_attributes(response: Any) -> Json:
    """Return the attributes that are OpenAI's own."""
    attributes: Json = {}
    fingerprint = get(response, "system_fingerprint")
    if isinstance(fingerprint, str):
        attributes[semconv.SYSTEM_FINGERPRINT] = fingerprint
    tier = get(response, "service_tier")
    if isinstance(tier, str):
        attributes[semconv.SERVICE_TIER_RESPONSE] = tier
    return attributes


def logprobs_of(choices: Sequence[Any]) -> list[Any] | None:
    """Return the log probabilities of each choice, None if there are none."""
    found = [get(choice, "logprobs") for choice in choices]
    return [plain(item) for item in found] if any(found) else None
