"""Requests and responses of Gemini, read into messages."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from hudtrace import semconv
from hudtrace.dialects.fields import count, list_of, text_or_none
from hudtrace.dialects.gemini.parts import is_plain, read_part
from hudtrace.dialects.gemini.wires import dict_of, wire_of
from hudtrace.messages import (
    FinishReason,
    Message,
    ModelReply,
    ModelRequest,
    Part,
    Usage,
)

Json = dict[str, Any]
_ROLES = {"model": "assistant", "function": "tool"}
_PARAMETERS = {
    "temperature": semconv.REQUEST_TEMPERATURE,
    "topP": semconv.REQUEST_TOP_P,
    "maxOutputTokens": semconv.REQUEST_MAX_TOKENS,
    "frequencyPenalty": semconv.REQUEST_FREQUENCY_PENALTY,
    "presencePenalty": semconv.REQUEST_PRESENCE_PENALTY,
    "seed": semconv.REQUEST_SEED,
}
_FINISH = {
    "FINISH_REASON_UNSPECIFIED": None,
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "MALFORMED_FUNCTION_CALL": "error",
    "MALFORMED_RESPONSE": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
}
_FILTERED = frozenset(
    {
        *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"),
        *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
        "MODEL_ARMOR",
    }
)


# Requests -------------------------------------------------------------------------


def read_request(body: Mapping[str, Any]) -> ModelRequest:
    """Read a request: its JSON body, or the arguments of the libraries' methods."""
    request = dict_of(body)
    model = request.get("model")
    return ModelRequest(
        None if model is None else str(model),
        [read_message(wire) for wire in request_messages(request)],
        request_tools(request),
        request_parameters(request),
    )


def request_messages(body: Mapping[str, Any]) -> list[Any]:
    """Return the wire messages of a request, each of which is one message.

    The system instruction is the first. Contents of the model that follow each
    other are one: libraries keep a content for each chunk of a stream.
    """
    request = dict_of(body)
    system = _setting(request, "systemInstruction")
    wires: list[Any] = []
    if system is not None:
        wires.append({"role": "system", "parts": _pieces(system)})
    for content in _contents(request.get("contents")):
        last = wires[-1] if wires else None
        if _role(content) != "model":
            wires.append(content)
        elif isinstance(last, list):
            last.append(content)
        elif last is not None and _role(last) == "model":
            wires[-1] = [last, content]
        else:
            wires.append(content)
    return wires


def request_tools(body: Mapping[str, Any]) -> list[Any]:
    """Return the tool definitions of a request, as they were sent."""
    return [wire_of(tool) for tool in list_of(_setting(dict_of(body), "tools"))]


def request_parameters(body: Mapping[str, Any]) -> Json:
    """Return the request's parameters by their attribute names."""
    request = dict_of(body)
    config = {**dict_of(request.get("config"))}
    config |= dict_of(request.get("generationConfig"))
    parameters: Json = {}
    for key, attribute in _PARAMETERS.items():
        value = config.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            parameters[attribute] = value
    stop = list_of(config.get("stopSequences"))
    if stop:
        parameters[semconv.REQUEST_STOP] = [str(each) for each in stop]
    choices = config.get("candidateCount")
    if isinstance(choices, int) and choices != 1:
        parameters[semconv.REQUEST_CHOICES] = choices
    level = dict_of(config.get("thinkingConfig")).get("thinkingLevel")
    if isinstance(level, str):
        parameters[semconv.REQUEST_REASONING_LEVEL] = level.lower()
    kind = config.get("responseMimeType")
    if kind == "application/json":
        parameters[semconv.OUTPUT_TYPE] = "json"
    elif kind == "text/plain":
        parameters[semconv.OUTPUT_TYPE] = "text"
    return parameters


def _setting(request: Json, key: str) -> Any:
    """Return a member of the request, where JSON or where the library has it."""
    value = request.get(key)
    return dict_of(request.get("config")).get(key) if value is None else value


def _contents(given: Any) -> Iterable[Any]:
    """Return contents; parts that stand alone are one content of the user."""
    alone: list[Any] = []
    for item in given if isinstance(given, list | tuple) else [given]:
        content = wire_of(item)
        if isinstance(content, dict) and ("parts" in content or "role" in content):
            if alone:
                yield {"role": "user", "parts": alone}
                alone = []
            yield content
        elif content is not None:
            alone.append(content)
    if alone:
        yield {"role": "user", "parts": alone}


def _pieces(content: Any) -> list[Any]:
    """Return the parts of a content; of text or a part alone, that."""
    wire = wire_of(content)
    if isinstance(wire, dict) and ("parts" in wire or "role" in wire):
        wire = wire.get("parts")
    if wire is None:
        return []
    return list_of(wire) if isinstance(wire, list | tuple) else [wire]


def _role(content: Any) -> str:
    return str(dict_of(content).get("role") or "user")


# Messages -------------------------------------------------------------------------


def message_key(wire: Any) -> Hashable | None:
    """Return a key that is equal for equal messages, None if there is no cheap one."""
    if isinstance(wire, list):
        keys = tuple(map(message_key, wire))
        return None if None in keys else keys
    if not isinstance(wire, dict) or not wire.keys() <= {"role", "parts"}:
        return None
    pieces = wire.get("parts")
    if not isinstance(pieces, list) or not pieces:
        return None
    return wire.get("role"), *map(_piece_key, pieces)


def _piece_key(piece: Any) -> Hashable:
    if isinstance(piece, dict) and len(piece) == 1:
        text = piece.get("text")
        if isinstance(text, str):
            return (text,)  # the caller's own string, not a copy
    return repr(piece)


def read_message(wire: Any) -> Message:
    """Read one message of a request: a content, or the model's that belong together."""
    if isinstance(wire, list):
        return {"role": "assistant", "parts": join_contents(wire)}
    parts = _read_parts(wire)
    role = _role(wire)
    role = _ROLES.get(role, role)
    if role == "user" and parts:
        results = [part["type"] == "tool_call_response" for part in parts]
        role = "tool" if all(results) else role
    return {"role": role, "parts": parts}


def join_contents(contents: Iterable[Any]) -> list[Part]:
    """Return the parts of contents that follow each other, cut texts made whole."""
    joined: list[Part] = []
    for content in contents:
        parts = _read_parts(content)
        if joined and parts and is_plain(joined[-1]) and is_plain(parts[0]):
            last, first = joined[-1], parts[0]
            if last["type"] == first["type"]:
                whole = last["content"] + first["content"]
                joined[-1] = {"type": last["type"], "content": whole}
                parts = parts[1:]
        joined += parts
    return joined


def _read_parts(content: Any) -> list[Part]:
    return [read_part(piece) for piece in _pieces(content)]


# Responses ------------------------------------------------------------------------


def read_response(response: Any) -> ModelReply:
    """Read a response: a library's object or the JSON body."""
    wire = dict_of(response)
    reply = ModelReply(
        messages=[],
        id=text_or_none(wire.get("responseId")),
        model=text_or_none(wire.get("modelVersion")),
        usage=read_usage(wire),
    )
    logprobs = []
    for candidate in map(dict_of, list_of(wire.get("candidates"))):
        add_choice(reply, [candidate.get("content")], candidate.get("finishReason"))
        logprobs.append(candidate.get("logprobsResult"))
    if any(logprobs):
        reply.logprobs = logprobs
    add_block(reply, wire)
    return reply


def add_choice(reply: ModelReply, contents: Iterable[Any], raw_finish: Any) -> None:
    """Add what one candidate said to *reply*."""
    parts = join_contents(contents)
    finish = finish_reason(raw_finish)
    if finish == "stop" and any(part["type"] == "tool_call" for part in parts):
        finish = "tool_call"
    reply.messages.append({"role": "assistant", "parts": parts})
    reply.finish_reasons.append(finish)


def add_block(reply: ModelReply, wire: Json) -> None:
    """Say in *reply* that the prompt was refused, if it was."""
    feedback = dict_of(wire.get("promptFeedback"))
    reason = feedback.get("blockReason")
    if reason and not reply.messages:
        why = str(feedback.get("blockReasonMessage") or reason)
        refusal: Part = {"type": "refusal", "content": why}
        reply.messages.append({"role": "assistant", "parts": [refusal]})
        reply.finish_reasons.append("content_filter")


def finish_reason(raw: Any) -> FinishReason | None:
    """Return a finish reason in the convention's words."""
    if raw is None:
        return None
    name = str(getattr(raw, "name", raw))
    return "content_filter" if name in _FILTERED else _FINISH.get(name, name)


def read_usage(response: Any) -> Usage | None:
    """Return the tokens that a response or chunk reports, None if it has none."""
    usage = dict_of(dict_of(response).get("usageMetadata"))
    if not usage:
        return None
    thoughts = count(usage, "thoughtsTokenCount")
    return Usage(
        input_tokens=count(usage, "promptTokenCount")
        + count(usage, "toolUsePromptTokenCount"),
        output_tokens=count(usage, "candidatesTokenCount") + thoughts,
        cached_tokens=count(usage, "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
    )
