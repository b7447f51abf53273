"""Messages written as a request of OpenAI Responses has them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from hudtrace.dialects.fields import as_text
from hudtrace.dialects.openai_responses.calls import export
from hudtrace.dialects.openai_responses.items import ROLES
from hudtrace.messages import Message, Part, encodable_data, parts_in, with_ids
from hudtrace.tools import Tool

Json = dict[str, Any]
_IN_ITEM = frozenset({"text", "reasoning", "refusal", "blob", "uri", "file"})
_ALONE = frozenset({"tool_call", "tool_call_response", "server_tool_call"})


def write_messages(messages: Iterable[Message]) -> list[Json]:
    """Return *messages* as the input of a request.

    Reasoning of other providers is left out: the API takes only its own back.
    """
    written = [i for message in with_ids(messages) for i in write_message(message)]
    sendable: list[Json] = encodable_data(written)
    return sendable


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


def write_message(message: Message, *, reasoning: bool = False) -> list[Json]:
    """Return the items of one message; with *reasoning*, also those without an id."""
    items: list[Json] = []
    run: list[Part] = []

    def close() -> None:
        if run:
            items.extend(_write_run(run, message["role"]))
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
    if kind in _IN_ITEM and _kept(part) is None:
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


def _write_run(run: list[Part], role: str) -> list[Json]:
    """Write parts of one item: a message or a piece of reasoning."""
    item = _item(run[0])
    if run[0]["type"] == "reasoning":
        return [_write_reasoning(run, item)]
    only = run[0]
    if len(run) == 1 and only["type"] == "text" and not item and "block" not in only:
        return [{"role": role, "content": only.get("content") or ""}]
    content = _write_blocks(run, role)
    if not content:
        return []
    return [{"type": "message", "role": role, "content": content, **item}]


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
    kept = _kept(part)
    return [] if kept is None else [kept]


def _write_call(part: Part, item: Json) -> Json:
    arguments = part.get("arguments")
    if not isinstance(arguments, str):
        arguments = json.dumps({} if arguments is None else arguments)
    kind = item.get("type", "function_call")
    wire = {"type": kind, "call_id": part.get("id") or "", "name": part.get("name")}
    key = "input" if kind == "custom_tool_call" else "arguments"
    return {**wire, key: arguments, **item}


def _write_output(response: Any) -> Any:
    """Write what a tool returned: text, or blocks where there is more to it."""
    parts = parts_in(response)
    return as_text(response) if parts is None else _write_blocks(parts, "user")


def _write_blocks(parts: list[Part], role: str) -> list[Json]:
    blocks = [_write_block(part, role) for part in parts]
    return [block for block in blocks if block is not None]


def _write_block(part: Part, role: str) -> Json | None:
    """Return a part as a block of content, None for another API's own."""
    kept = _kept(part)
    if kept is not None:
        return kept
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
        return {"type": "input_file", "filename": "file", "file_data": url, **rest}
    if kind == "uri":
        return {"type": "input_file", "file_url": part.get("uri"), **rest}
    return None


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


def _kept(part: Part) -> Json | None:
    """Return the item or block that a part is, where we know no more of it."""
    kept = part.get("openai_responses")
    return dict(kept) if isinstance(kept, dict) else None


def _block(part: Part) -> Json:
    block = part.get("block")
    return block if isinstance(block, dict) else {}
