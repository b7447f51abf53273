"""Raw MCP: tools as `Tool` objects, calls and results in the types given.

Works with the installed `mcp` package of either generation (1.x spells
`inputSchema` in Python, 2.x `input_schema`), else with `mcp_types`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from hudtrace.tools import Tool, ToolCall, ToolResult

name = "mcp"
title = "MCP tools/call request ({'name', 'arguments'})"


def export(tools: Iterable[Tool]) -> list[Any]:
    """Return *tools* as MCP `Tool` objects, readable by both spellings."""
    kind = _tool_class()
    return [
        kind(
            name=tool.name,
            description=tool.description or None,
            inputSchema=tool.input_schema,
        )
        for tool in tools
    ]


def parse(native: object) -> ToolCall | None:
    """Read `CallToolRequestParams`, `CallToolRequest` or a dict of their shape."""
    params = _member(native, "params")
    inner = native if params is None else params
    if isinstance(inner, Mapping):
        if set(inner) - {"name", "arguments", "_meta", "meta", "task"}:
            return None
        if "arguments" not in inner:
            return None
    elif not _is_mcp(inner):
        return None
    called = _member(inner, "name")
    arguments = _member(inner, "arguments")
    if not isinstance(called, str):
        return None
    if arguments is None:
        return ToolCall(called, {}, native=native)
    if not isinstance(arguments, Mapping):
        return None
    return ToolCall(called, dict(arguments), native=native)


def reply(call: ToolCall, result: ToolResult) -> Any:
    """Return *result* as a `CallToolResult`; its `str()` is its text."""
    structured = result.value if isinstance(result.value, dict) else None
    return _result_class(_types_of(call.native))(
        content=result.content,
        structuredContent=structured,
        isError=result.is_error,
    )


def _member(thing: object, key: str) -> Any:
    if isinstance(thing, Mapping):
        return thing.get(key)
    return getattr(thing, key, None)


def _is_mcp(thing: object) -> bool:
    module = type(thing).__module__
    return module.split(".")[0] in ("mcp", "mcp_types") and hasattr(thing, "arguments")


def _types_of(native: object) -> str:
    """Return the package whose types a call came in, the installed one by default."""
    package = type(native).__module__.split(".")[0]
    if package == "mcp_types" and "mcp" not in sys.modules:
        return "mcp_types"
    return "mcp" if _has_mcp() else "mcp_types"


@functools.cache
def _has_mcp() -> bool:
    from importlib.util import find_spec

    return find_spec("mcp") is not None


def _types(package: str) -> Any:
    return import_module("mcp.types" if package == "mcp" else "mcp_types")


@functools.cache
def _tool_class() -> Any:
    base = _types("mcp" if _has_mcp() else "mcp_types").Tool
    other = "inputSchema" if "input_schema" in base.model_fields else "input_schema"
    own = "input_schema" if other == "inputSchema" else "inputSchema"
    both = property(lambda tool: getattr(tool, own), doc="The arguments' JSON Schema.")
    return type("Tool", (base,), {other: both, "__module__": __name__})


@functools.cache
def _result_class(package: str) -> Any:
    base = _types(package).CallToolResult

    def text(result: Any) -> str:
        """Return the text blocks, joined by newlines."""
        return "\n".join(
            block.text for block in result.content if hasattr(block, "text")
        )

    return type("CallToolResult", (base,), {"__str__": text, "__module__": __name__})
