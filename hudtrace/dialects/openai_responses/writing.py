"""Messages written as OpenAI Responses has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hudtrace import semconv
from hudtrace.dialects.openai_responses.calls import export
from hudtrace.dialects.openai_responses.items import ROLES
from hudtrace.messages import Message, ModelReply, Part, Usage
from hudtrace.tools import Tool

Json = dict[str, Any]
_IN_ITEM = frozenset({"text", "reasoning", "refusal", "blob", "uri", "file"})
_ALONE = frozenset({"tool_call", "tool_call_response", "server_tool_call"})
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


def write_messages(messages: Iterable[Message]) -> list[Json]:
    """Return *messages* as the input of a request.

    Reasoning of other providers is left out: the API takes only its own back.
    """
    return [item for message in messages for item in _write_message(message)]


def write_results(replies: Iterable[Json]) -> list[Json]:
    """Return the answers to one turn's tool calls as items."""
    return list(replies)


def write_request(
    model: str, messages: Iterable[Message], tools: Iterable[Tool] = ()
) -> Json:
    """Return the JSON body of a request; without tools it has no such key."""
    body: Json = {"model": model, "input": write_messages(messages)}
    exported = export(tools)
    if exported:
        body["tools"] = exported
    return body


def _write_message(message: Message, *, reasoning: bool = False) -> list[Json]:
    """Return the items of one message; with *reasoning*, also those without an id."""
    items: list[Json] = []
    run: list[Part] = []

    def close() -> None:
        if run:
            items.append(_write_run(run, message["role"]))
            run.clear()

    for part in message["parts"]:
        inside = _is_block(part, message["role"])
        if not (inside and run and _same_item(run[-1], part)):
            close()
        if inside:
            run.append(part)
        else:
            items += _write_part(part)
    close()
    return [i for i in items if reasoning or i.get("type") != "reasoning" or "id" in i]


def _is_block(part: Part, role: str) -> bool:
    """Say whether a part is a piece of an item, not an item of its own."""
    kind = part["type"]
    if kind in _IN_ITEM:
        return True
    if kind in _ALONE or kind in ROLES or role == "tool":
        return False
    # A kind that we do not know: the model's are items, the user's are blocks.
    return role != "assistant" or "item" in part


def _same_item(one: Part, other: Part) -> bool:
    if "reasoning" not in (one["type"], other["type"]):
        return _item(one) == _item(other)
    same_kind = one["type"] == other["type"]
    return same_kind and _item(one).get("id") == _item(other).get("id")


def _write_run(run: list[Part], role: str) -> Json:
    """Write parts of one item: a message or a piece of reasoning."""
    item = _item(run[0])
    if run[0]["type"] == "reasoning":
        return _write_reasoning(run, item)
    only = run[0]
    if len(run) == 1 and only["type"] == "text" and not item and "block" not in only:
        return {"role": role, "content": only.get("content") or ""}
    content = [_write_block(part, role) for part in run]
    return {"type": "message", "role": role, "content": content, **item}


def _write_reasoning(run: list[Part], item: Json) -> Json:
    wire: Json = {"type": "reasoning", "summary": [], **item}
    for part in run:
        text = part.get("content") or ""
        if _block(part).get("type") == "reasoning_text":
            block = {"type": "reasoning_text", "text": text}
            wire.setdefault("content", []).append(block)
        elif text:
            wire["summary"].append({"type": "summary_text", "text": text})
    return wire


def _write_part(part: Part) -> list[Json]:
    """Write a part that is an item of its own."""
    item = _item(part)
    if part["type"] == "tool_call":
        return [_write_call(part, item)]
    if part["type"] == "tool_call_response":
        response = part.get("response")
        kind = item.get("type", "function_call_output")
        if kind in ("function_call_output", "custom_tool_call_output"):
            response = _write_output(response)
        wire = {"type": kind, "call_id": part.get("id") or "", "output": response}
        return [{**wire, **item}]
    if part["type"] == "server_tool_call":
        kept = part.get("server_tool_call")
        kind = str(kept.get("type")) if isinstance(kept, dict) else ""
        return [dict(kept)] if isinstance(kept, dict) and kind.endswith("_call") else []
    return [dict(part)]


def _write_call(part: Part, item: Json) -> Json:
    arguments = part.get("arguments")
    if not isinstance(arguments, str):
        arguments = json.dumps({} if arguments is None else arguments)
    kind = item.get("type", "function_call")
    wire = {"type": kind, "call_id": part.get("id"), "name": part.get("name")}
    key = "input" if kind == "custom_tool_call" else "arguments"
    return {**wire, key: arguments, **item}


def _write_output(response: Any) -> Any:
    """Write what a tool returned: text, or blocks where there is more to it."""
    if isinstance(response, str):
        return response
    if isinstance(response, list) and all(map(_is_part, response)):
        return [_write_block(part, "user") for part in response]
    return json.dumps(response, default=str)


def _is_part(thing: Any) -> bool:
    return isinstance(thing, dict) and isinstance(thing.get("type"), str)


def _write_block(part: Part, role: str) -> Json:
    rest = _block(part)
    kind = part["type"]
    if kind == "text" and role == "assistant":
        text = {"type": "output_text", "text": part.get("content") or ""}
        return {**text, "annotations": [], **rest}
    if kind == "text":
        return {"type": "input_text", "text": part.get("content") or "", **rest}
    if kind == "refusal":
        return {"type": "refusal", "refusal": part.get("content") or "", **rest}
    if kind == "file" and part.get("modality") != "image":
        return {"type": "input_file", "file_id": part.get("file_id"), **rest}
    if kind in ("file", "uri", "blob") and part.get("modality") == "image":
        return {"type": "input_image", **_image(part), "detail": "auto", **rest}
    if kind == "blob" and part.get("modality") == "audio":
        form = str(part.get("mime_type") or "audio/wav").partition("/")[2]
        audio = {"data": part.get("content"), "format": form}
        return {"type": "input_audio", "input_audio": audio}
    if kind == "blob":
        url = f"data:{part.get('mime_type')};base64,{part.get('content')}"
        return {"type": "input_file", "filename": "file", "file_data": url}
    if kind == "uri":
        return {"type": "input_file", "file_url": part.get("uri")}
    return {key: value for key, value in part.items() if key not in ("item", "block")}


def _image(part: Part) -> Json:
    if part["type"] == "file":
        return {"file_id": part.get("file_id")}
    if part["type"] == "uri":
        return {"image_url": part.get("uri")}
    mime_type = part.get("mime_type") or "image/png"
    return {"image_url": f"data:{mime_type};base64,{part.get('content')}"}


def _item(part: Part) -> Json:
    item = part.get("item")
    return item if isinstance(item, dict) else {}


def _block(part: Part) -> Json:
    block = part.get("block")
    return block if isinstance(block, dict) else {}


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
        for wire in _write_message(message, reasoning=True):
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
