"""Tools and tool calls of OpenAI Responses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hudtrace.dialects.fields import (
    get,
    read_arguments,
    read_free_text,
    text_or_none,
)
from hudtrace.dialects.openai_chat.calls import NAMES
from hudtrace.dialects.strict import strict_schema
from hudtrace.tools import ContentBlock, Tool, ToolCall, ToolResult, api_name

Json = dict[str, Any]
_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}


def export(tools: Iterable[Tool], *, strict: bool = False) -> list[Json]:
    """Return *tools* in this format.

    With *strict*, schemas are closed as strict mode asks; a tool whose schema
    cannot be (it has an open map) stays non-strict. The key is always there,
    because the API takes a missing one for true.
    """
    return [_export(tool, strict=strict) for tool in tools]


def _export(tool: Tool, *, strict: bool) -> Json:
    closed = strict_schema(tool.input_schema) if strict else None
    return {
        "type": "function",
        "name": api_name(tool, NAMES, "OpenAI"),
        "description": tool.description,
        "parameters": tool.input_schema if closed is None else closed,
        "strict": closed is not None,
    }


def parse(native: object) -> ToolCall | None:
    """Read a tool call (object or dict); None if *native* is something else."""
    kind, called = get(native, "type"), get(native, "name")
    key = _CALLS.get(kind) if isinstance(kind, str) else None
    if key is None or not isinstance(called, str):
        return None
    call_id = text_or_none(get(native, "call_id"))
    if key == "input":
        arguments, problem, text = read_free_text(get(native, key))
        return ToolCall(called, arguments, call_id, problem, native, text)
    arguments, problem = read_arguments(get(native, key))
    return ToolCall(called, arguments, call_id, problem, native)


def reply(call: ToolCall, result: ToolResult) -> Json:
    """Return *result* as the item that answers *call*.

    Its output is text, or a list of blocks where there is an image to see.
    """
    kind = get(call.native, "type")
    return {
        "type": f"{kind if kind in _CALLS else 'function_call'}_output",
        "call_id": call.id or "",
        "output": _output(result),
    }


def _output(result: ToolResult) -> str | list[Json]:
    if not result.is_error and any(map(_is_image, result.content)):
        return [_block(block) for block in result.content]
    text = result.text
    if result.is_error and not text.lower().startswith("error"):
        text = f"Error: {text}"
    return text


def _is_image(block: ContentBlock) -> bool:
    return block["type"] == "image"


def _block(block: ContentBlock) -> Json:
    if _is_image(block):
        url = f"data:{block.get('mimeType')};base64,{block.get('data')}"
        return {"type": "input_image", "image_url": url, "detail": "auto"}
    return {"type": "input_text", "text": ToolResult([block]).text}
