"""Messages written as Anthropic Messages has them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hudtrace import semconv
from hudtrace.dialects.anthropic_messages.blocks import rest_of, write_block
from hudtrace.dialects.anthropic_messages.calls import export
from hudtrace.messages import (
    Message,
    ModelReply,
    Part,
    Usage,
    encodable_data,
    tool_calls_of,
    with_ids,
)
from hudtrace.tools import Tool

Json = dict[str, Any]
_FINISH_BACK = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_call": "tool_use",
    "content_filter": "refusal",
}


def write_messages(messages: Iterable[Message]) -> list[Json]:
    """Return *messages* in this format, system ones in a message's form too.

    Results of tools that follow each other are one message, as the API asks;
    messages that would be empty are left out.
    """
    written: list[Json] = []
    for role, group in itertools.groupby(with_ids(messages), key=lambda m: m["role"]):
        if role == "tool":
            parts = [part for message in group for part in message["parts"]]
            written += _write_message("user", parts)
        else:
            for message in group:
                written += _write_message(role, message["parts"])
    sendable: list[Json] = encodable_data(written)
    return sendable


def write_results(replies: Iterable[Json]) -> list[Json]:
    """Return the answers to one turn's tool calls as the one message they go in."""
    return [{"role": "user", "content": list(replies)}]


def write_request(
    model: str,
    messages: Iterable[Message],
    tools: Iterable[Tool] = (),
    *,
    max_tokens: int = 4096,
) -> Json:
    """Return the JSON body of a request; without tools it has no such key."""
    written = write_messages(messages)
    system = list(itertools.takewhile(lambda wire: wire["role"] == "system", written))
    body: Json = {"model": model, "max_tokens": max_tokens}
    if len(system) == 1:
        body["system"] = system[0]["content"]
    elif system:
        body["system"] = [block for wire in system for block in _blocks_of(wire)]
    body["messages"] = written[len(system) :]
    exported = export(tools)
    if exported:
        body["tools"] = exported
    return body


def _write_message(role: str, parts: Iterable[Part]) -> list[Json]:
    blocks = [write_block(part) for part in parts if not _unsendable(part)]
    content = [block for block in blocks if block is not None]
    if not content:
        return []
    if len(content) == 1 and content[0].keys() == {"type", "text"}:
        return [{"role": role, "content": content[0]["text"]}]
    return [{"role": role, "content": content}]


def _unsendable(part: Part) -> bool:
    """Say what the API refuses in a request: empty text, unsigned reasoning."""
    if part["type"] == "text":
        return not part.get("content")
    return part["type"] == "reasoning" and not rest_of(part).get("signature")


def _blocks_of(wire: Json) -> list[Json]:
    content = wire["content"]
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return list(content)


def write_usage(usage: Usage) -> Json:
    """Return *usage* as a response has it."""
    cached, cache_write = usage.cached_tokens, usage.cache_write_tokens
    wire: Json = {
        "input_tokens": usage.input_tokens - cached - cache_write,
        "cache_creation_input_tokens": cache_write,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_tokens:
        wire["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return wire


def write_response(answer: ModelReply, *, created: int = 0) -> Json:
    """Return *answer* as the JSON body of a response; it has no place for `created`."""
    body = {
        **_head(answer),
        "content": list(_answer_blocks(answer)),
        "stop_reason": _stop_reason(answer),
        "stop_sequence": None,
    }
    if answer.usage is not None:
        body["usage"] = write_usage(answer.usage)
    return body


def write_chunks(
    answer: ModelReply,
    *,
    include_usage: bool = True,
    created: int = 0,
    split: Callable[[str], Iterable[str]] = str.split,
) -> Iterator[Json]:
    """Return *answer* as the events of a stream; `split` cuts its texts.

    The API itself always includes the usage.
    """
    usage = write_usage(answer.usage) if include_usage and answer.usage else None
    message: Json = {**_head(answer), "content": []}
    message |= {"stop_reason": None, "stop_sequence": None}
    if usage is not None:
        message["usage"] = {**usage, "output_tokens": min(1, usage["output_tokens"])}
    yield {"type": "message_start", "message": message}
    for index, block in enumerate(_answer_blocks(answer, raw=True)):
        for event in _block_events(block, split):
            yield {"type": event.pop("type"), "index": index, **event}
            if index == 0 and "content_block" in event:
                yield {"type": "ping"}
    delta = {"stop_reason": _stop_reason(answer), "stop_sequence": None}
    end: Json = {"type": "message_delta", "delta": delta}
    if usage is not None:
        end["usage"] = usage
    yield end
    yield {"type": "message_stop"}


def _block_events(block: Json, split: Callable[[str], Iterable[str]]) -> Iterator[Json]:
    """Return how *block* starts, its deltas, and how it stops."""
    start, deltas = _opened(block, split)
    yield {"type": "content_block_start", "content_block": start}
    for kind, key, pieces in deltas:
        for piece in pieces:
            delta = {"type": kind, key: piece}
            yield {"type": "content_block_delta", "delta": delta}
    yield {"type": "content_block_stop"}


_Deltas = list[tuple[str, str, Iterable[Any]]]  # type, key, values


def _opened(block: Json, split: Callable[[str], Iterable[str]]) -> tuple[Json, _Deltas]:
    """Return *block* as it starts, and the deltas that fill it."""
    kind = block["type"]
    if kind == "text":
        start = {**block, "text": ""}
        cited = start.pop("citations", [])
        texts: _Deltas = [("text_delta", "text", split(block["text"]))]
        return start, [*texts, ("citations_delta", "citation", cited)]
    if kind == "thinking":
        start = {**block, "thinking": "", "signature": ""}
        thoughts: _Deltas = [("thinking_delta", "thinking", split(block["thinking"]))]
        return start, [
            *thoughts,
            ("signature_delta", "signature", [block["signature"]]),
        ]
    if "input" in block:
        text = block["input"]
        text = text if isinstance(text, str) else json.dumps(text)
        half = (len(text) + 1) // 2
        pieces = ["", text[:half], text[half:]]
        start = {**block, "input": {}}
        return start, [("input_json_delta", "partial_json", pieces)]
    return block, []


def _answer_blocks(answer: ModelReply, *, raw: bool = False) -> Iterator[Json]:
    """Return the blocks of an answer, which has one message in this format.

    With *raw*, arguments that are the model's own text stay text.
    """
    for part in answer.messages[0]["parts"] if answer.messages else ():
        block = write_block(part)
        if block is None:
            continue
        if block["type"] == "thinking":
            block.setdefault("signature", "")
        if raw and isinstance(part.get("arguments"), str):
            block["input"] = part["arguments"]
        yield block


def _head(answer: ModelReply) -> Json:
    return {
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
    }


def _stop_reason(answer: ModelReply) -> str:
    given = answer.attributes.get(semconv.ANTHROPIC_STOP_REASON)
    if isinstance(given, str):
        return given
    reason = answer.finish_reasons[0] if answer.finish_reasons else None
    if reason is None:
        asked = answer.messages and tool_calls_of(answer.messages[0])
        reason = "tool_call" if asked else "stop"
    return _FINISH_BACK.get(reason, reason)
