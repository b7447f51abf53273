"""The formats that a tool call may come in; detecting one is parsing it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from hudtrace.dialects import (
    anthropic_messages,
    gemini,
    openai_chat,
    openai_responses,
)
from hudtrace.errors import UnrecognizedToolCall
from hudtrace.frameworks import autogen, langchain, llamaindex, mcp
from hudtrace.tools import ToolCall, ToolResult


class Format(Protocol):
    """A module that reads one kind of call and answers in the same kind."""

    name: str
    title: str

    def parse(self, native: object) -> ToolCall | None:
        """Read a call; None if it is in another format."""

    def reply(self, call: ToolCall, result: ToolResult) -> Any:
        """Return the result in this format."""


class _Read:
    """A call that has been read already, and is answered by the result itself."""

    name = "hudtrace"
    title = "hudtrace ToolCall"

    def parse(self, native: object) -> ToolCall | None:
        return native if isinstance(native, ToolCall) else None

    def reply(self, call: ToolCall, result: ToolResult) -> ToolResult:
        return result


#: Asked in this order; no call is readable by two of them.
FORMATS: tuple[Format, ...] = (
    _Read(),
    openai_chat,
    openai_responses,
    anthropic_messages,
    gemini,
    langchain,
    llamaindex,
    autogen,
    mcp,
)


def recognize(
    call: object, arguments: Any = None, named: Mapping[str, Any] | None = None
) -> tuple[Format, ToolCall]:
    """Find the format that wrote *call*, and read it.

    A str is a tool's name, with *arguments* (a mapping or its JSON text) or
    *named* ones; it is answered as MCP. Raises `UnrecognizedToolCall` listing
    the formats tried.
    """
    if isinstance(call, str):
        return mcp, _by_name(call, arguments, named or {})
    if arguments is not None or named:
        raise UnrecognizedToolCall(
            f"arguments beside a {type(call).__name__}: pass a tool's name with "
            f"arguments, or a whole tool call alone"
        )
    for form in FORMATS:
        parsed = form.parse(call)
        if parsed is not None:
            return form, parsed
    tried = "; ".join(form.title for form in FORMATS)
    raise UnrecognizedToolCall(
        f"cannot read {call!r:.120} (a {type(call).__name__}) as a tool call. Tried: "
        f"{tried}; a tool's name with arguments"
    )


def each_call(calls: Any) -> list[Any]:
    """Return several calls as a list.

    Raises `UnrecognizedToolCall` for one call alone and for what holds none.
    """
    is_model = hasattr(calls, "model_dump")  # which yields its fields
    alone = isinstance(calls, str | bytes | Mapping) or is_model
    if alone or not isinstance(calls, Iterable):
        raise UnrecognizedToolCall(
            f"call_tools takes a list of tool calls, but got {calls!r:.120} (a "
            f"{type(calls).__name__}); one call goes to call_tool(call)"
        )
    return list(calls)


def _by_name(name: str, arguments: Any, named: Mapping[str, Any]) -> ToolCall:
    if arguments is None:
        return ToolCall(name, dict(named))
    if named:
        raise UnrecognizedToolCall(
            f"call_tool({name!r}) got its arguments twice: as a mapping and by keyword"
        )
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError as error:
            return ToolCall(name, None, problem=f"the arguments are not JSON: {error}")
    if not isinstance(arguments, Mapping):
        return ToolCall(
            name, None, problem="the arguments must be an object: {name: value}"
        )
    return ToolCall(name, dict(arguments))


__all__ = [
    "FORMATS",
    "Format",
    "anthropic_messages",
    "each_call",
    "gemini",
    "langchain",
    "llamaindex",
    "mcp",
    "openai_chat",
    "openai_responses",
    "recognize",
]
