"""Items of OpenAI Responses, and the parts of messages that they become.

A part keeps what the API wants back under two keys: `item` has the rest of
the item that it came from (its id, status, encrypted content, …), `block` the
rest of the content block (annotations, detail, …). Items and blocks of kinds
without a part of their own are kept whole, under `openai_responses`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hudtrace.dialects.fields import get, list_of, plain, read_arguments
from hudtrace.messages import Part

Json = dict[str, Any]
#: Kinds of items that say who wrote them neither by `role` nor by their ending.
ROLES = {
    "additional_tools": "system",
    "compaction_trigger": "system",
    "configuration_update": "system",
    "mcp_approval_response": "tool",
}
#: Calls that the client runs; every other `…_call` runs at the server.
CLIENT_CALLS = frozenset(
    {
        "apply_patch_call",
        "computer_call",
        "custom_tool_call",
        "function_call",
        "local_shell_call",
        "shell_call",
    }
)
_TEXTS = frozenset({"text", "input_text", "output_text"})
_SDK_ONLY = frozenset({"parsed", "parsed_arguments", "logprobs"})


def role_of(item: Any) -> str:
    """Say whose an item is: system, user, assistant or tool, or as sent."""
    role = get(item, "role")
    if isinstance(role, str):
        return "system" if role == "developer" else role
    kind = get(item, "type")
    if not isinstance(kind, str):
        return "user" if get(item, "id") is None else "assistant"
    if kind == "message":
        return "user"
    return ROLES.get(kind, "tool" if kind.endswith("_output") else "assistant")


def read_items(items: Iterable[Any]) -> list[Part]:
    """Return the parts of items that make one message."""
    return [part for item in items for part in read_item(item)]


def read_item(item: Any) -> list[Part]:
    """Return the parts of one item."""
    wire = plain(item)
    if isinstance(wire, str):
        return [{"type": "text", "content": wire}]
    if not isinstance(wire, dict):
        return [_kept(wire)]
    kind = wire.get("type")
    if kind is None and ("role" in wire or "content" in wire):
        kind = "message"
    if not isinstance(kind, str):
        return [_kept(wire)]
    if kind == "message":
        return _read_content(wire)
    if kind in ("function_call", "custom_tool_call"):
        return [_read_call(wire, kind)]
    if kind == "reasoning":
        return _read_reasoning(wire)
    if kind.endswith("_output") and "output" in wire:
        return [_read_output(wire, kind)]
    if kind.endswith("_call") and kind not in CLIENT_CALLS:
        return [_read_server_call(wire, kind)]
    return [_kept(wire)]


def _read_content(wire: Json) -> list[Part]:
    rest = _rest(wire, "role", "content")
    if rest.get("type") == "message":
        del rest["type"]
    content = wire.get("content")
    blocks = content if isinstance(content, list | tuple) else [content]
    parts = [read_block(block) for block in blocks if block is not None]
    if rest:
        for part in parts:
            part["item"] = rest  # type: ignore[typeddict-unknown-key]
    return parts


def _read_call(wire: Json, kind: str) -> Part:
    if kind == "function_call":
        raw = wire.get("arguments")
        read, problem = read_arguments(raw)
        part = _tool_call(wire, raw if problem is not None else read)
        return _with_item(part, _rest(wire, "type", "call_id", "name", "arguments"))
    part = _tool_call(wire, wire.get("input"))
    return _with_item(part, _rest(wire, "call_id", "name", "input"))


def _tool_call(wire: Json, arguments: Any) -> Part:
    return {
        "type": "tool_call",
        "id": wire.get("call_id"),
        "name": str(wire.get("name") or ""),
        "arguments": arguments,
    }


def _read_reasoning(wire: Json) -> list[Part]:
    rest = _rest(wire, "type", "summary", "content")
    parts: list[Part] = []
    for block in list_of(wire.get("summary")):
        parts.append({"type": "reasoning", "content": get(block, "text") or ""})
    for block in list_of(wire.get("content")):
        part: Json = {"type": "reasoning", "content": get(block, "text") or ""}
        parts.append({**part, "block": {"type": "reasoning_text"}})  # type: ignore[typeddict-item]
    if not parts:
        parts.append({"type": "reasoning", "content": ""})
    _with_item(parts[0], rest)
    for later in parts[1:]:
        _with_item(later, {"id": rest["id"]} if "id" in rest else {})
    return parts


def _read_output(wire: Json, kind: str) -> Part:
    output = wire["output"]
    if kind in ("function_call_output", "custom_tool_call_output"):
        if isinstance(output, list | tuple):
            output = [read_block(block) for block in output]
        else:
            output = plain(output)
    part: Part = {
        "type": "tool_call_response",
        "id": wire.get("call_id"),
        "response": output,
    }
    rest = _rest(wire, "call_id", "output")
    if kind == "function_call_output":
        del rest["type"]
    return _with_item(part, rest)


def _read_server_call(wire: Json, kind: str) -> Part:
    called = wire.get("name")
    return {
        "type": "server_tool_call",
        "id": wire.get("id"),
        "name": called if isinstance(called, str) else kind.removesuffix("_call"),
        "server_tool_call": _rest(wire),  # type: ignore[typeddict-unknown-key]
    }


def read_block(block: Any) -> Part:
    """Return one block of a message's content, or of a tool's output, as a part."""
    wire = plain(block)
    if isinstance(wire, str):
        return {"type": "text", "content": wire}
    kind = get(wire, "type")
    if not isinstance(kind, str):
        return _kept(wire)
    if kind in _TEXTS:
        return _with_block(
            {"type": "text", "content": wire.get("text")}, _rest(wire, "type", "text")
        )
    if kind == "refusal":
        part: Part = {"type": "refusal", "content": wire.get("refusal")}
        return _with_block(part, _rest(wire, "type", "refusal"))
    if kind == "input_image":
        return _read_image(wire)
    if kind == "input_audio" and isinstance(get(wire, "input_audio"), Mapping):
        audio = wire["input_audio"]
        return {
            "type": "blob",
            "modality": "audio",
            "mime_type": f"audio/{audio.get('format')}",
            "content": audio.get("data"),
        }
    if kind == "input_file" and isinstance(wire.get("file_id"), str):
        part = {"type": "file", "file_id": wire["file_id"]}
        return _with_block(part, _rest(wire, "type", "file_id"))
    if kind == "input_file":
        return _read_file(wire)
    return _kept(wire)


def _read_image(wire: Json) -> Part:
    url, file_id = wire.get("image_url"), wire.get("file_id")
    rest = _rest(wire, "type", "image_url", "file_id")
    if rest.get("detail") == "auto":
        del rest["detail"]
    part: Part
    if isinstance(file_id, str):
        part = {"type": "file", "modality": "image", "file_id": file_id}
    elif isinstance(url, str) and url.startswith("data:"):
        head, _, data = url.partition(",")
        part = {
            "type": "blob",
            "modality": "image",
            "mime_type": head.removeprefix("data:").removesuffix(";base64") or None,
            "content": data,
        }
    elif isinstance(url, str):
        part = {"type": "uri", "modality": "image", "uri": url}
    else:
        return _kept(wire)
    return _with_block(part, rest)


def _read_file(wire: Json) -> Part:
    url, data = wire.get("file_url"), wire.get("file_data")
    if isinstance(url, str):
        part: Part = {"type": "uri", "modality": "document", "uri": url}
        return _with_block(part, _rest(wire, "type", "file_url"))
    if not isinstance(data, str) or not data.startswith("data:"):
        return _kept(wire)
    head, _, content = data.partition(",")
    kind = head.removeprefix("data:").removesuffix(";base64")
    part = {"type": "blob", "modality": "document", "mime_type": kind}
    rest = _rest(wire, "type", "file_data")
    return _with_block({**part, "content": content}, rest)


def _rest(wire: Json, *used: str) -> Json:
    """Return what else *wire* has: neither *used* nor empty nor only the SDK's."""
    return {
        "async" if key == "async_" else key: value
        for key, value in wire.items()
        if not (
            key in used
            or value is None
            or key in _SDK_ONLY
            or (key == "annotations" and not value)
        )
    }


def _with_item(part: Part, rest: Json) -> Part:
    if rest:
        part["item"] = rest  # type: ignore[typeddict-unknown-key]
    return part


def _with_block(part: Part, rest: Json) -> Part:
    if rest:
        part["block"] = rest  # type: ignore[typeddict-unknown-key]
    return part


def _kept(wire: Any) -> Part:
    if not isinstance(wire, dict):
        return {"type": "unknown", "content": wire}
    kind = wire.get("type")
    kind = kind if isinstance(kind, str) else "unknown"
    return {"type": kind, "openai_responses": wire}  # type: ignore[typeddict-unknown-key]
