"""Messages written as OpenAI Chat Completions has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hudtrace import semconv
from hudtrace.dialects.openai_chat.calls import export
from hudtrace.messages import (
    Message,
    ModelReply,
    Part,
    Usage,
    encodable_data,
    named,
    response_text,
    tool_calls_of,
    with_ids,
)
from hudtrace.tools import Tool

Json = dict[str, Any]
_FINISH_BACK = {"tool_call": "tool_calls"}


def write_messages(messages: Iterable[Message]) -> list[Json]:
    """Return *messages* as a request has them.

    Halves of characters, which models do write and JSON cannot hold, are replaced.
    """
    written: list[Json] = []
    for message in with_ids(messages):
        results = [p for p in message["parts"] if p["type"] == "tool_call_response"]
        if results:
            written += [
                {
                    "role": "tool",
                    "tool_call_id": part.get("id") or "",
                    "content": response_text(part.get("response")),
                }
                for part in results
            ]
        else:
            written.append(_write_message(message))
    sendable: list[Json] = encodable_data(written)
    return sendable


def write_results(replies: Iterable[Json]) -> list[Json]:
    """Return the answers to one turn's tool calls as messages."""
    return list(replies)


def write_request(
    model: str, messages: Iterable[Message], tools: Iterable[Tool] = ()
) -> Json:
    """Return the JSON body of a request; without tools it has no such key."""
    body: Json = {"model": model, "messages": write_messages(messages)}
    exported = export(tools)
    if exported:
        body["tools"] = exported
    return body


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
    kind, rest = part["type"], _rest(part)
    if "type" in rest and kind != "tool_call":
        return dict(rest)
    if kind == "text":
        return {"type": "text", "text": part.get("content") or ""}
    if kind == "uri" and part.get("modality") == "image":
        return {"type": "image_url", "image_url": {"url": part.get("uri"), **rest}}
    if kind == "blob" and part.get("modality") == "image":
        url = f"data:{part.get('mime_type')};base64,{part.get('content')}"
        return {"type": "image_url", "image_url": {"url": url, **rest}}
    if kind == "blob" and part.get("modality") == "audio":
        kind = str(part.get("mime_type") or "audio/wav").partition("/")[2]
        audio = {"data": part.get("content"), "format": kind}
        return {"type": "input_audio", "input_audio": audio}
    if kind == "blob" and part.get("mime_type"):
        url = f"data:{part.get('mime_type')};base64,{part.get('content')}"
        return {"type": "file", "file": {"filename": "file", "file_data": url}}
    if kind == "file" and part.get("file_id"):
        return {"type": "file", "file": {"file_id": part["file_id"]}}
    if kind in ("uri", "blob", "file"):
        return {"type": "text", "text": named(part)}
    return None


def _write_call(part: Part) -> Json:
    arguments = part.get("arguments")
    if not isinstance(arguments, str):
        arguments = json.dumps({} if arguments is None else arguments)
    rest = _rest(part)
    if rest.get("type") == "custom":
        inner = {"name": part.get("name"), "input": arguments}
        return {"id": part.get("id") or "", "custom": inner, **rest}
    return {
        "id": part.get("id") or "",
        "type": "function",
        "function": {"name": part.get("name"), "arguments": arguments},
        **rest,
    }


def _rest(part: Part) -> Json:
    """Return what of a part is this API's own."""
    rest = part.get("openai_chat")
    return rest if isinstance(rest, dict) else {}


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
