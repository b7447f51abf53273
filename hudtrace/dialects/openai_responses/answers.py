"""Replies written as OpenAI Responses sends them: bodies and streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hudtrace import semconv
from hudtrace.dialects.openai_responses.writing import write_message
from hudtrace.messages import ModelReply, Usage

Json = dict[str, Any]
_STATUS = {
    "length": ("incomplete", "max_output_tokens"),
    "content_filter": ("incomplete", "content_filter"),
    "error": ("failed", None),
}
_SERVER_ERROR = {"code": "server_error", "message": "the model failed"}
#: Item kind → the prefix of its id.
_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
}
_DELTAS = {
    "function_call": ("arguments", "response.function_call_arguments"),
    "custom_tool_call": ("input", "response.custom_tool_call_input"),
}


def write_usage(usage: Usage) -> Json:
    """Return *usage* as a response has it."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def write_response(answer: ModelReply, *, created: int = 0) -> Json:
    """Return *answer* as the JSON body of a response; `created` is in unix seconds."""
    reasons = answer.finish_reasons
    reason = (reasons[0] if reasons else None) or "stop"
    fallback = ("completed", None) if reason in ("stop", "tool_call") else None
    status, why = _STATUS.get(reason, fallback or ("incomplete", reason))
    return {
        **_head(answer, created),
        "status": status,
        "error": _SERVER_ERROR if status == "failed" else None,
        "incomplete_details": {"reason": why} if status == "incomplete" else None,
        "output": _write_items(answer),
        "usage": None if answer.usage is None else write_usage(answer.usage),
    }


def _head(answer: ModelReply, created: int) -> Json:
    """Return a response that has only begun."""
    return {
        "id": answer.id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": answer.model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": answer.attributes.get(semconv.SERVICE_TIER_RESPONSE, "default"),
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }


def _write_items(answer: ModelReply) -> list[Json]:
    """Write the output; what has no id or status gets one."""
    items: list[Json] = []
    own = str(answer.id or "").removeprefix("resp_")
    for message in answer.messages:
        for wire in write_message(message, reasoning=True):
            kind = wire.setdefault("type", "message")
            if kind == "message" and isinstance(wire["content"], str):
                text = {"type": "output_text", "text": wire["content"]}
                wire["content"] = [{**text, "annotations": []}]
            prefix = _PREFIXES.get(kind, kind)
            wire.setdefault("id", f"{prefix}_{own}_{len(items)}")
            if kind in ("message", "function_call"):
                wire.setdefault("status", "completed")
            items.append(wire)
    return items


def write_chunks(
    answer: ModelReply,
    *,
    include_usage: bool = True,
    created: int = 0,
    split: Callable[[str], Iterable[str]] = str.split,
) -> Iterator[Json]:
    """Return *answer* as the events of a stream; `split` cuts its texts."""
    whole = write_response(answer, created=created)
    if not include_usage:
        whole["usage"] = None
    events = _events(whole, _head(answer, created), split)
    for number, event in enumerate(events):
        yield {**event, "sequence_number": number}


def _events(
    whole: Json, head: Json, split: Callable[[str], Iterable[str]]
) -> Iterator[Json]:
    yield {"type": "response.created", "response": head}
    yield {"type": "response.in_progress", "response": head}
    for index, item in enumerate(whole["output"]):
        begun, inside = _item_events(item, split)
        yield {
            "type": "response.output_item.added",
            "output_index": index,
            "item": begun,
        }
        for event in inside:
            yield {**event, "item_id": item["id"], "output_index": index}
        yield {
            "type": "response.output_item.done",
            "output_index": index,
            "item": item,
        }
    yield {"type": f"response.{whole['status']}", "response": whole}


def _item_events(
    item: Json, split: Callable[[str], Iterable[str]]
) -> tuple[Json, Iterator[Json]]:
    """Return an item as it begins, and the events that fill it."""
    kind = item["type"]
    begun = dict(item)
    if "status" in item:
        begun["status"] = "in_progress"
    if kind in _DELTAS:
        key, stem = _DELTAS[kind]
        begun[key] = ""
        return begun, _call_events(stem, key, item[key])
    inside: list[Iterator[Json]] = []
    for index, block in enumerate(item.get("summary") or ()):
        begun["summary"] = []
        inside.append(_summary_events(block, index, split))
    if kind in ("message", "reasoning"):
        for index, block in enumerate(item.get("content") or ()):
            begun["content"] = []
            inside.append(_content_events(block, index, split))
    return begun, (event for events in inside for event in events)


def _call_events(stem: str, key: str, text: str) -> Iterator[Json]:
    half = (len(text) + 1) // 2
    for piece in (text[:half], text[half:]):
        yield {"type": f"{stem}.delta", "delta": piece}
    yield {"type": f"{stem}.done", key: text}


def _summary_events(
    block: Json, index: int, split: Callable[[str], Iterable[str]]
) -> Iterator[Json]:
    at = {"summary_index": index}
    stem = "response.reasoning_summary"
    yield {"type": f"{stem}_part.added", **at, "part": {**block, "text": ""}}
    for piece in split(block["text"]):
        yield {"type": f"{stem}_text.delta", **at, "delta": piece}
    yield {"type": f"{stem}_text.done", **at, "text": block["text"]}
    yield {"type": f"{stem}_part.done", **at, "part": block}


def _content_events(
    block: Json, index: int, split: Callable[[str], Iterable[str]]
) -> Iterator[Json]:
    at = {"content_index": index}
    key = "refusal" if block["type"] == "refusal" else "text"
    more: Json = {"logprobs": []} if block["type"] == "output_text" else {}
    stem = f"response.{block['type']}"
    begun = {**block, key: ""}
    if block.get("annotations"):
        begun["annotations"] = []
    yield {"type": "response.content_part.added", **at, "part": begun}
    for piece in split(block[key]):
        yield {"type": f"{stem}.delta", **at, "delta": piece, **more}
    for number, annotation in enumerate(block.get("annotations") or ()):
        yield {
            "type": "response.output_text.annotation.added",
            **at,
            "annotation_index": number,
            "annotation": annotation,
        }
    yield {"type": f"{stem}.done", **at, key: block[key], **more}
    yield {"type": "response.content_part.done", **at, "part": block}
