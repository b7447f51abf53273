"""Tools and tool calls of OpenAI Chat Completions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hudtrace.dialects.fields import (
    get,
    read_arguments,
    read_free_text,
    text_or_none,
)
from hudtrace.dialects.strict import strict_schema
from hudtrace.tools import Tool, ToolCall, ToolResult, api_name

Json = dict[str, Any]
#: What the API lets a tool be called.
NAMES = r"[a-zA-Z0-9_-]{1,64}"


def export(tools: Iterable[Tool], *, strict: bool = False) -> list[Json]:
    """Return *tools* in this format.

    With *strict*, schemas are closed as strict mode asks; a tool whose schema
    cannot be (it has an open map) stays non-strict.
    """
    return [_export(tool, strict=strict) for tool in tools]


def _export(tool: Tool, *, strict: bool) -> Json:
    function: Json = {
        "name": api_name(tool, NAMES, "OpenAI"),
        "description": tool.description,
    }
    closed = strict_schema(tool.input_schema) if strict else None
    function["parameters"] = tool.input_schema if closed is None else closed
    if closed is not None:
        function["strict"] = True
    return {"type": "function", "function": function}


def parse(native: object) -> ToolCall | None:
    """Read a tool call (object or dict); None if *native* is something else."""
    call_id = text_or_none(get(native, "id"))
    function = get(native, "function")
    custom = get(native, "custom") if function is None else None
    called = get(custom or function, "name")
    if not isinstance(called, str):
        return None
    if custom is not None:
        arguments, problem, text = read_free_text(get(custom, "input"))
        return ToolCall(called, arguments, call_id, problem, native, text)
    arguments, problem = read_arguments(get(function, "arguments"))
    return ToolCall(called, arguments, call_id, problem, native)


def reply(call: ToolCall, result: ToolResult) -> Json:
    """Return *result* as the message that answers *call*."""
    text = result.text
    if result.is_error and not text.lower().startswith("error"):
        text = f"Error: {text}"
    return {"role": "tool", "tool_call_id": call.id or "", "content": text}
