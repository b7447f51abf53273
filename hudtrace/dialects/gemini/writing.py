"""Messages written as Gemini has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hudtrace.dialects.gemini.calls import export
from hudtrace.dialects.gemini.parts import write_part
from hudtrace.messages import Message, ModelReply, Usage, encodable_data, tool_calls_of
from hudtrace.tools import Tool

Json = dict[str, Any]
_ROLES = {"assistant": "model", "tool": "user"}
_FINISH_BACK = {
    "stop": "STOP",
    "tool_call": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "error": "MALFORMED_FUNCTION_CALL",
}


def write_messages(messages: Iterable[Message]) -> list[Json]:
    """Return *messages* as contents; that of the system has role `system`.

    Results of tools that follow each other are one content, as Gemini wants
    all answers to a turn's calls together.
    """
    written: list[Json] = []
    names: dict[str, str] = {}
    before = None
    for message in messages:
        for call in tool_calls_of(message):
            names[str(call.get("id"))] = str(call.get("name"))
        content = _write_content(message, names)
        if not content["parts"]:
            continue
        if message["role"] == before == "tool":
            written[-1]["parts"] += content["parts"]
        else:
            written.append(content)
        before = message["role"]
    sendable: list[Json] = encodable_data(written)
    return sendable


def _write_content(message: Message, names: dict[str, str]) -> Json:
    parts = [write_part(part, names) for part in message["parts"]]
    return {
        "role": _ROLES.get(message["role"], message["role"]),
        "parts": [part for part in parts if part is not None],
    }


def write_results(replies: Iterable[Json]) -> list[Json]:
    """Return the answers to one turn's function calls as the one content they go in."""
    return [{"role": "user", "parts": list(replies)}]


def write_request(
    model: str, messages: Iterable[Message], tools: Iterable[Tool] = ()
) -> Json:
    """Return the JSON body of a request; without tools it has no such key.

    The `model` in it belongs into the request's path.
    """
    contents = write_messages(messages)
    system = [p for c in contents if c["role"] == "system" for p in c["parts"]]
    body: Json = {
        "model": model,
        "contents": [c for c in contents if c["role"] != "system"],
    }
    if system:
        body["systemInstruction"] = {"parts": system}
    exported = export(tools)
    if exported:
        body["tools"] = exported
    return body


def write_usage(usage: Usage) -> Json:
    """Return *usage* as a response has it."""
    written = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_tokens:
        written["cachedContentTokenCount"] = usage.cached_tokens
    if usage.reasoning_tokens:
        written["thoughtsTokenCount"] = usage.reasoning_tokens
    return written


def write_response(answer: ModelReply, *, created: int = 0) -> Json:
    """Return *answer* as the JSON body of a response; *created* is not in it."""
    body: Json = {
        "candidates": [
            {
                "content": {**_write_content(message, {}), "role": "model"},
                "finishReason": _finish_back(answer, index),
                "index": index,
            }
            for index, message in enumerate(answer.messages)
        ]
    }
    if answer.usage is not None:
        body["usageMetadata"] = write_usage(answer.usage)
    return {**body, **_tail(answer)}


def write_chunks(
    answer: ModelReply,
    *,
    include_usage: bool = True,
    created: int = 0,
    split: Callable[[str], Iterable[str]] = str.split,
) -> Iterator[Json]:
    """Return *answer* as the chunks of a stream; `split` cuts its texts.

    As in the API, each chunk tells the tokens so far; *created* is in none.
    """
    usage = answer.usage if include_usage else None
    for index, message in enumerate(answer.messages):
        parts = _write_content(message, {})["parts"]
        pieces = [[piece] for part in parts for piece in _cut(part, split)] or [[]]
        for position, piece in enumerate(pieces):
            content = {"role": "model", "parts": piece}
            candidate: Json = {"content": content, "index": index}
            last = position == len(pieces) - 1
            if last:
                candidate["finishReason"] = _finish_back(answer, index)
            chunk: Json = {"candidates": [candidate]}
            if usage is not None:
                ended = last and index == len(answer.messages) - 1
                chunk["usageMetadata"] = (
                    write_usage(usage) if ended else _usage_before(usage)
                )
            yield {**chunk, **_tail(answer)}


def _cut(part: Json, split: Callable[[str], Iterable[str]]) -> Iterator[Json]:
    if not part.get("text") or part.keys() - {"text", "thought"}:
        yield part
        return
    for piece in split(part["text"]):
        yield {**part, "text": piece}


def _usage_before(usage: Usage) -> Json:
    given = usage.input_tokens
    return {"promptTokenCount": given, "totalTokenCount": given}


def _tail(answer: ModelReply) -> Json:
    tail = {"modelVersion": answer.model, "responseId": answer.id}
    return {key: value for key, value in tail.items() if value is not None}


def _finish_back(answer: ModelReply, index: int) -> str:
    reasons = answer.finish_reasons
    reason = reasons[index] if index < len(reasons) else None
    return _FINISH_BACK.get(reason or "stop", reason or "STOP")
