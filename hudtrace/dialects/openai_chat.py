"""OpenAI Chat Completions: tools, tool calls, requests, responses, streams.

Reads the SDK's objects as well as plain dicts. Whatever a server or a user
sends, reading never raises: what cannot be understood is kept as it is.
Source: OpenAI API reference, chat completions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from hudtrace import semconv
from hudtrace.dialects.strict import strict_schema
from hudtrace.messages import (
    FinishReason,
    Message,
    ModelReply,
    ModelRequest,
    Part,
    Usage,
    text_message,
    tool_calls_of,
)
from hudtrace.tools import Tool, ToolCall, ToolResult

name = "openai_chat"
title = "OpenAI Chat Completions tool call"

Json = dict[str, Any]
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
_FINISH_BACK = {"tool_call": "tool_calls"}


# Tools and tool calls -----------------------------------------------------------


def export(tools: Iterable[Tool], *, strict: bool = False) -> list[Json]:
    """Return *tools* in this format.

    With *strict*, schemas are closed as strict mode asks; a tool whose schema
    cannot be (it has an open map) stays non-strict.
    """
    return [_export(tool, strict=strict) for tool in tools]


def _export(tool: Tool, *, strict: bool) -> Json:
    function: Json = {"name": tool.name, "description": tool.description}
    closed = strict_schema(tool.input_schema) if strict else None
    function["parameters"] = tool.input_schema if closed is None else closed
    if closed is not None:
        function["strict"] = True
    return {"type": "function", "function": function}


def parse(native: object) -> ToolCall | None:
    """Read a tool call (object or dict); None if *native* is something else."""
    function = _get(native, "function")
    called = _get(function, "name")
    if not isinstance(called, str):
        return None
    call_id = _get(native, "id")
    arguments, problem = _read_arguments(_get(function, "arguments"))
    return ToolCall(
        called,
        arguments,
        call_id if isinstance(call_id, str) else None,
        problem,
        native,
    )


def reply(call: ToolCall, result: ToolResult) -> Json:
    """Return *result* as the message that answers *call*."""
    text = result.text
    if result.is_error and not text.lower().startswith("error"):
        text = f"Error: {text}"
    return {"role": "tool", "tool_call_id": call.id or "", "content": text}


def _read_arguments(raw: Any) -> tuple[Json | None, str | None]:
    if raw is None or raw == "":
        return {}, None
    if isinstance(raw, Mapping):
        return dict(raw), None
    try:
        read = json.loads(raw)
    except (TypeError, ValueError, RecursionError) as error:
        return None, f"the arguments are not valid JSON ({error}); send a JSON object"
    if not isinstance(read, dict):
        kind = type(read).__name__
        return None, f"the arguments are a JSON {kind}; send a JSON object"
    return read, None


# Requests -----------------------------------------------------------------------


def read_request(body: Mapping[str, Any]) -> ModelRequest:
    """Read the JSON body of a request."""
    messages = [read_message(wire) for wire in _list(body.get("messages"))]
    model = body.get("model")
    return ModelRequest(
        None if model is None else str(model),
        messages,
        _list(body.get("tools")),
        request_parameters(body),
    )


def request_parameters(body: Mapping[str, Any]) -> Json:
    """Return the request's parameters by their attribute names."""
    parameters: Json = {}
    for key, attribute in _PARAMETERS.items():
        value = body.get(key)
        if isinstance(value, str | int | float):
            parameters[attribute] = value
    stop = body.get("stop")
    if stop:
        parameters[semconv.REQUEST_STOP] = [stop] if isinstance(stop, str) else stop
    choices = body.get("n")
    if isinstance(choices, int) and choices != 1:
        parameters[semconv.REQUEST_CHOICES] = choices
    kind = _get(body.get("response_format"), "type")
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
    role = str(_get(wire, "role") or "user")
    if role == "developer":
        role = "system"
    if role in ("tool", "function"):
        message: Message = {"role": "tool", "parts": [_read_tool_result(wire)]}
    else:
        message = {"role": role, "parts": _read_parts(wire)}
    sender = _get(wire, "name")
    if isinstance(sender, str):
        message["name"] = sender
    return message


def _read_tool_result(wire: Any) -> Part:
    content = _get(wire, "content")
    if isinstance(content, list | tuple):
        texts = [_get(block, "text") for block in content]
        if all(isinstance(text, str) for text in texts):
            content = "\n".join(texts)
        else:
            content = [_plain(block) for block in content]
    call_id = _get(wire, "tool_call_id") or _get(wire, "name")
    return {"type": "tool_call_response", "id": call_id, "response": content}


def _read_parts(wire: Any) -> list[Part]:
    parts: list[Part] = []
    for key in ("reasoning_content", "reasoning"):
        reasoning = _get(wire, key)
        if isinstance(reasoning, str) and reasoning:
            parts.append({"type": "reasoning", "content": reasoning})
            break
    content = _get(wire, "content")
    if isinstance(content, str):
        if content:
            parts.append({"type": "text", "content": content})
    elif isinstance(content, Iterable):
        parts += [_read_block(block) for block in content]
    elif content is not None:
        parts.append({"type": "text", "content": str(content)})
    refusal = _get(wire, "refusal")
    if isinstance(refusal, str) and refusal:
        parts.append({"type": "refusal", "content": refusal})
    audio = _get(wire, "audio")
    if audio:
        parts.append(_read_audio(audio))
    parts += [_read_call(call) for call in _list(_get(wire, "tool_calls"))]
    legacy = _get(wire, "function_call")
    if legacy:
        parts.append(_read_call({"id": None, "function": legacy}))
    return parts


def _read_block(block: Any) -> Part:
    kind = _get(block, "type")
    if isinstance(block, str):
        return {"type": "text", "content": block}
    if kind == "text":
        return {"type": "text", "content": _get(block, "text")}
    if kind == "refusal":
        return {"type": "refusal", "content": _get(block, "refusal")}
    if kind == "image_url":
        url = _get(_get(block, "image_url"), "url")
        return _read_url(url if isinstance(url, str) else "", "image")
    if kind == "input_audio":
        audio = _get(block, "input_audio")
        return {
            "type": "blob",
            "modality": "audio",
            "mime_type": f"audio/{_get(audio, 'format')}",
            "content": _get(audio, "data"),
        }
    file_id = _get(_get(block, "file"), "file_id")
    if kind == "file" and isinstance(file_id, str):
        return {"type": "file", "file_id": file_id}
    plain = _plain(block)
    if isinstance(plain, dict):
        return plain  # type: ignore[return-value]
    return {"type": "unknown", "content": plain}


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
        "content": _get(audio, "data") or _get(audio, "id"),
        "transcript": _get(audio, "transcript"),  # type: ignore[typeddict-unknown-key]
    }


def _read_call(call: Any) -> Part:
    function = _get(call, "function")
    custom = _get(call, "custom")
    if function is None and custom is not None:
        called, raw = _get(custom, "name"), _get(custom, "input")
    else:
        called, raw = _get(function, "name"), _get(function, "arguments")
        read, problem = _read_arguments(raw)
        raw = raw if problem is not None else read
    return {
        "type": "tool_call",
        "id": _get(call, "id"),
        "name": str(called or ""),
        "arguments": raw,
    }


# Responses ----------------------------------------------------------------------


def read_response(response: Any) -> ModelReply:
    """Read a response: the SDK's object or the JSON body."""
    choices = _list(_get(response, "choices"))
    return ModelReply(
        messages=[read_message(_assistant(choice)) for choice in choices],
        finish_reasons=[finish_reason(_get(c, "finish_reason")) for c in choices],
        id=_text(_get(response, "id")),
        model=_text(_get(response, "model")),
        usage=read_usage(response),
        attributes=_response_attributes(response),
        logprobs=_logprobs(choices),
    )


def finish_reason(raw: Any) -> FinishReason | None:
    """Return a finish reason in the convention's words."""
    return None if raw is None else _FINISH.get(str(raw), str(raw))


def read_usage(response: Any) -> Usage | None:
    """Return the tokens that a response or chunk reports, None if it has none."""
    usage = _get(response, "usage")
    if not usage:
        return None
    given, made = (
        _get(usage, "prompt_tokens_details"),
        _get(usage, "completion_tokens_details"),
    )
    return Usage(
        input_tokens=_count(usage, "prompt_tokens"),
        output_tokens=_count(usage, "completion_tokens"),
        cached_tokens=_count(given, "cached_tokens"),
        cache_write_tokens=_count(given, "cache_write_tokens"),
        reasoning_tokens=_count(made, "reasoning_tokens"),
    )


def _assistant(choice: Any) -> Any:
    message = _get(choice, "message")
    return {"role": "assistant"} if message is None else message


def _response_attributes(response: Any) -> Json:
    attributes: Json = {}
    fingerprint = _get(response, "system_fingerprint")
    if isinstance(fingerprint, str):
        attributes[semconv.SYSTEM_FINGERPRINT] = fingerprint
    tier = _get(response, "service_tier")
    if isinstance(tier, str):
        attributes[semconv.SERVICE_TIER_RESPONSE] = tier
    return attributes


def _logprobs(choices: Sequence[Any]) -> list[Any] | None:
    found = [_get(choice, "logprobs") for choice in choices]
    return [_plain(item) for item in found] if any(found) else None


# Streams ------------------------------------------------------------------------


class StreamFold:
    """Puts the chunks of a stream together; keeps as little of each as it can.

    A chunk that only adds text to the first choice leaves its string; any
    other is kept whole. `size` is the bytes held, roughly.
    """

    __slots__ = ("_kept", "chunks", "size", "usage")

    def __init__(self) -> None:
        self.chunks = 0
        self.size = 0
        self.usage: Usage | None = None
        self._kept: list[Any] = []

    def add(self, chunk: Any) -> None:
        """Take in one chunk, as the SDK's object or as a dict."""
        self.chunks += 1
        text = _plain_delta(chunk) if self._kept else None
        if text is None:
            self._kept.append(chunk)
            self.size += 2000
            self.usage = read_usage(chunk) or self.usage
        else:
            self._kept.append(text)
            self.size += 60 + len(text)

    @property
    def finished(self) -> bool:
        """Whether the model said that it had come to its end."""
        return any(
            _get(choice, "finish_reason") is not None
            for chunk in self._kept
            if not isinstance(chunk, str)
            for choice in _list(_get(chunk, "choices"))
        )

    def reply(self) -> ModelReply:
        """Return what the stream has said so far."""
        choices: dict[int, _Choice] = {}
        head: dict[str, Any] = {}
        for chunk in self._kept:
            if isinstance(chunk, str):
                choices.setdefault(0, _Choice()).text.append(chunk)
                continue
            for key in ("id", "model", "system_fingerprint", "service_tier"):
                head.setdefault(key, None)
                head[key] = head[key] or _get(chunk, key)
            for choice in _list(_get(chunk, "choices")):
                index = _get(choice, "index")
                index = index if isinstance(index, int) else 0
                choices.setdefault(index, _Choice()).add(choice)
        folded = [choices[index] for index in sorted(choices)]
        return ModelReply(
            messages=[read_message(choice.message()) for choice in folded],
            finish_reasons=[finish_reason(choice.finish) for choice in folded],
            id=_text(head.get("id")),
            model=_text(head.get("model")),
            usage=self.usage,
            attributes=_response_attributes(head),
            logprobs=_logprobs([{"logprobs": c.logprobs or None} for c in folded]),
        )


class _Choice:
    """One choice of a stream while it is put together."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.calls: dict[Any, Json] = {}
        self.logprobs: list[Any] = []
        self.finish: Any = None

    def add(self, choice: Any) -> None:
        self.finish = _get(choice, "finish_reason") or self.finish
        delta = _get(choice, "delta")
        for pieces, keys in (
            (self.text, ("content",)),
            (self.reasoning, ("reasoning_content", "reasoning")),
            (self.refusal, ("refusal",)),
        ):
            piece = next((_get(delta, k) for k in keys if _get(delta, k)), None)
            if isinstance(piece, str):
                pieces.append(piece)
        for call in _list(_get(delta, "tool_calls")):
            self._add_call(call)
        legacy = _get(delta, "function_call")
        if legacy:
            self._add_call({"index": "legacy", "function": legacy})
        tokens = _get(_get(choice, "logprobs"), "content")
        self.logprobs += [_plain(token) for token in _list(tokens)]

    def _add_call(self, call: Any) -> None:
        index = _get(call, "index")
        if index is None:
            index = len(self.calls)
        empty = {"id": None, "function": {"name": "", "arguments": ""}}
        entry = self.calls.setdefault(index, empty)
        entry["id"] = _get(call, "id") or entry["id"]
        function = _get(call, "function")
        for key in ("name", "arguments"):
            piece = _get(function, key)
            if isinstance(piece, str):
                entry["function"][key] += piece

    def message(self) -> Json:
        return {
            "role": "assistant",
            "content": "".join(self.text) or None,
            "reasoning_content": "".join(self.reasoning) or None,
            "refusal": "".join(self.refusal) or None,
            "tool_calls": list(self.calls.values()),
        }


def _plain_delta(chunk: Any) -> str | None:
    """Return the text of a chunk that holds nothing else, None for others."""
    try:
        if isinstance(chunk, dict):
            return _plain_wire_delta(chunk)
        choices = chunk.choices
        if len(choices) != 1 or chunk.usage is not None:
            return None
        choice = choices[0]
        delta = choice.delta
        text = delta.content
        plain = (
            type(text) is str
            and choice.index == 0
            and choice.finish_reason is None
            and choice.logprobs is None
            and delta.tool_calls is None
            and delta.refusal is None
            and delta.function_call is None
            and not delta.model_extra
        )
    except (AttributeError, TypeError, IndexError):
        return None
    return text if plain else None


def _plain_wire_delta(chunk: Json) -> str | None:
    choices = chunk.get("choices")
    if not choices or len(choices) != 1 or chunk.get("usage"):
        return None
    choice = choices[0]
    delta = choice.get("delta") or {}
    text = delta.get("content")
    others = [key for key, value in delta.items() if value and key not in _QUIET]
    plain = (
        type(text) is str
        and choice.get("index") == 0
        and not choice.get("finish_reason")
        and not choice.get("logprobs")
        and not others
    )
    return text if plain else None


_QUIET = ("content", "role")


# The way back -------------------------------------------------------------------


def write_messages(messages: Iterable[Message]) -> list[Json]:
    """Return *messages* as a request has them."""
    written: list[Json] = []
    for message in messages:
        results = [p for p in message["parts"] if p["type"] == "tool_call_response"]
        if results:
            written += [
                {
                    "role": "tool",
                    "tool_call_id": part.get("id") or "",
                    "content": _as_text(part.get("response")),
                }
                for part in results
            ]
        else:
            written.append(_write_message(message))
    return written


def _write_message(message: Message) -> Json:
    wire: Json = {"role": message["role"]}
    parts = message["parts"]
    blocks = [block for block in map(_write_block, parts) if block is not None]
    if all(block["type"] == "text" for block in blocks):
        texts = [block["text"] for block in blocks]
        wire["content"] = "\n".join(texts) if texts else None
    else:
        wire["content"] = blocks
    refusals = [str(p.get("content")) for p in parts if p["type"] == "refusal"]
    if refusals:
        wire["refusal"] = "\n".join(refusals)
    calls = tool_calls_of(message)
    if calls:
        wire["tool_calls"] = [_write_call(call) for call in calls]
    if "name" in message:
        wire["name"] = message["name"]
    return wire


def _write_block(part: Part) -> Json | None:
    kind = part["type"]
    if kind == "text":
        return {"type": "text", "text": part.get("content") or ""}
    if kind == "uri":
        return {"type": "image_url", "image_url": {"url": part["uri"]}}
    if kind == "blob" and part.get("modality") == "image":
        url = f"data:{part.get('mime_type')};base64,{part.get('content')}"
        return {"type": "image_url", "image_url": {"url": url}}
    if kind == "blob" and part.get("modality") == "audio":
        kind = str(part.get("mime_type") or "audio/wav").partition("/")[2]
        audio = {"data": part.get("content"), "format": kind}
        return {"type": "input_audio", "input_audio": audio}
    if kind == "file":
        return {"type": "file", "file": {"file_id": part["file_id"]}}
    return None


def _write_call(part: Part) -> Json:
    arguments = part.get("arguments")
    if not isinstance(arguments, str):
        arguments = json.dumps({} if arguments is None else arguments)
    return {
        "id": part.get("id"),
        "type": "function",
        "function": {"name": part.get("name"), "arguments": arguments},
    }


def write_usage(usage: Usage) -> Json:
    """Return *usage* as a response has it."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def write_response(answer: ModelReply, *, created: int = 0) -> Json:
    """Return *answer* as the JSON body of a response; `created` is in unix seconds."""
    choices = []
    for index, message in enumerate(answer.messages):
        wire = _write_message(message)
        wire.setdefault("refusal", None)
        choices.append(
            {
                "index": index,
                "message": wire,
                "finish_reason": _finish_back(answer, index),
                "logprobs": None,
            }
        )
    body = {**_head(answer, created, "chat.completion"), "choices": choices}
    if answer.usage is not None:
        body["usage"] = write_usage(answer.usage)
    return body


def write_chunks(
    answer: ModelReply,
    *,
    include_usage: bool = False,
    created: int = 0,
    split: Callable[[str], Iterable[str]] = str.split,
) -> Iterator[Json]:
    """Return *answer* as the chunks of a stream; `split` cuts its texts."""
    head = _head(answer, created, "chat.completion.chunk")
    if include_usage:
        head["usage"] = None

    def chunk(index: int, delta: Json, finish: str | None = None) -> Json:
        choice = {"index": index, "delta": delta, "finish_reason": finish}
        return {**head, "choices": [{**choice, "logprobs": None}]}

    for index, message in enumerate(answer.messages):
        wire = _write_message(message)
        yield chunk(index, {"role": "assistant", "content": ""})
        for piece in split(wire.get("content") or ""):
            yield chunk(index, {"content": piece})
        for position, call in enumerate(wire.get("tool_calls") or ()):
            whole = call["function"]["arguments"]
            half = (len(whole) + 1) // 2
            opened = {**call, "index": position}
            opened["function"] = {**call["function"], "arguments": whole[:half]}
            yield chunk(index, {"tool_calls": [opened]})
            rest = {"index": position, "function": {"arguments": whole[half:]}}
            yield chunk(index, {"tool_calls": [rest]})
        yield chunk(index, {}, _finish_back(answer, index))
    if include_usage and answer.usage is not None:
        yield {**head, "choices": [], "usage": write_usage(answer.usage)}


def _head(answer: ModelReply, created: int, kind: str) -> Json:
    return {
        "id": answer.id,
        "object": kind,
        "created": created,
        "model": answer.model,
        "system_fingerprint": answer.attributes.get(semconv.SYSTEM_FINGERPRINT),
    }


def _finish_back(answer: ModelReply, index: int) -> str:
    reasons = answer.finish_reasons
    reason = reasons[index] if index < len(reasons) else None
    if reason is None:
        reason = "tool_call" if tool_calls_of(answer.messages[index]) else "stop"
    return _FINISH_BACK.get(reason, reason)


# Reading objects and dicts alike ------------------------------------------------


def _get(thing: Any, key: str) -> Any:
    if isinstance(thing, Mapping):
        return thing.get(key)
    if thing is None or isinstance(thing, str | int | float | list | tuple):
        return None
    try:
        return getattr(thing, key, None)
    except Exception:  # a property of a stranger's object may do anything
        return None


def _list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, tuple):
        return list(value)
    return []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _count(thing: Any, key: str) -> int:
    value = _get(thing, key)
    return value if isinstance(value, int) and value >= 0 else 0


def _plain(thing: Any) -> Any:
    dump = getattr(thing, "model_dump", None)
    if callable(dump):
        try:
            return dump(mode="json", exclude_unset=True)
        except Exception:
            return str(thing)
    return dict(thing) if isinstance(thing, Mapping) else thing


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def user_message(text: str) -> Json:
    """Return a user's message as a request has it."""
    return _write_message(text_message("user", text))


# Bodies as bytes ----------------------------------------------------------------


def read_body(body: bytes, *, stream: bool) -> ModelReply:
    """Read the bytes of a response, of which the end may be missing."""
    if not stream and not body.lstrip().startswith(b"data:"):
        return read_response(_json_or_none(body))
    fold = StreamFold()
    for event in _events(body):
        fold.add(event)
    return fold.reply()


def body_usage(body: bytes, *, stream: bool) -> Usage | None:
    """Find the usage in the bytes of a response without reading the rest."""
    if not stream:
        return read_usage(_json_or_none(body))
    found = max(body.rfind(b'"usage":{'), body.rfind(b'"usage": {'))
    if found < 0:
        return None
    start = body.rfind(b"data:", 0, found) + len(b"data:")
    end = body.find(b"\n", found)
    return read_usage(_json_or_none(body[start:] if end < 0 else body[start:end]))


def body_error(body: bytes, *, stream: bool) -> str | None:
    """Return the message of an error that the server sent instead of an answer."""
    if stream and b'"error"' not in body:
        return None
    events = _events(body) if stream else [_json_or_none(body)]
    for event in events:
        error = _get(event, "error")
        if error:
            return str(_get(error, "message") or error)
    return None


def body_complete(body: bytes, *, stream: bool) -> bool:
    """Say whether the model came to its end in the bytes that were read."""
    if not stream:
        return _json_or_none(body) is not None
    tail = body[-4096:].replace(b" ", b"")
    return b"data:[DONE]" in tail or b'"finish_reason":"' in tail


def _events(body: bytes) -> Iterator[Any]:
    for line in body.splitlines():
        if line.startswith(b"data:"):
            event = _json_or_none(line[5:])
            if event is not None:
                yield event


def _json_or_none(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
