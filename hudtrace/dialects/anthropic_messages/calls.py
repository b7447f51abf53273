"""Tools and tool calls of Anthropic Messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hudtrace.dialects.fields import get, read_arguments, text_or_none
from hudtrace.tools import ContentBlock, Tool, ToolCall, ToolResult, api_name

Json = dict[str, Any]
#: What the API lets a tool be called.
NAMES = r"[a-zA-Z0-9_-]{1,128}"
_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


def export(tools: Iterable[Tool], *, cache_control: bool = False) -> list[Json]:
    """Return *tools* in this format.

    With *cache_control*, the provider caches the prompt up to the last of them.
    """
    exported: list[Json] = [
        {
            "name": api_name(tool, NAMES, "Anthropic"),
            "description": tool.description,
            "input_schema": tool.input_schema,
        }
        for tool in tools
    ]
    if cache_control and exported:
        exported[-1]["cache_control"] = {"type": "ephemeral"}
    return exported


def parse(native: object) -> ToolCall | None:
    """Read a tool_use block (object or dict); None if *native* is something else."""
    called = get(native, "name")
    if get(native, "type") != "tool_use" or not isinstance(called, str):
        return None
    arguments, problem = read_arguments(get(native, "input"))
    return ToolCall(called, arguments, text_or_none(get(native, "id")), problem, native)


def reply(call: ToolCall, result: ToolResult) -> Json:
    """Return *result* as the tool_result block that answers *call*.

    The blocks for all calls of one answer go into one user message.
    """
    wire: Json = {"type": "tool_result", "tool_use_id": call.id or ""}
    blocks = [_block(block) for block in result.content]
    kept = [block for block in blocks if block.get("text") != ""]  # refused if empty
    if kept:
        wire["content"] = kept
    if result.is_error:
        wire["is_error"] = True
    return wire


def _block(block: ContentBlock) -> Json:
    mime_type = block.get("mimeType")
    if block["type"] == "image" and mime_type in _IMAGES:
        data = block.get("data")
        source = {"type": "base64", "media_type": mime_type, "data": data}
        return {"type": "image", "source": source}
    return {"type": "text", "text": ToolResult([block]).text}
