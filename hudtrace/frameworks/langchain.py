"""LangChain: tools as `StructuredTool`, tool calls answered by `ToolMessage`.

Works with langchain-core from 0.3 on, and with what is built on it.
"""

from __future__ import annotations

import contextvars
import functools
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from hudtrace.dialects.fields import read_arguments, text_or_none
from hudtrace.frameworks.agent_tool import AgentTool, required
from hudtrace.frameworks.results import data_url, shows, told
from hudtrace.tools import ToolCall, ToolResult

name = "langchain"
title = "LangChain ToolCall ({'type': 'tool_call', 'name', 'args', 'id'})"

#: The id of the call that a tool is being run for.
_call_id: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "hudtrace_langchain_call_id", default=None
)


def export(tools: Iterable[AgentTool]) -> list[Any]:
    """Return *tools* as `StructuredTool` objects, for sync and async agents.

    What goes wrong in a tool is its result; it does not end the agent. Where CrewAI
    is imported they are its tools as well.
    """
    made = _tool_class()
    if "crewai" in sys.modules:
        return import_module("hudtrace.frameworks.crewai").langchain_tools(tools, made)  # type: ignore[no-any-return]
    return [made.of(tool) for tool in tools]


def parse(native: object) -> ToolCall | None:
    """Read a `ToolCall` or an `InvalidToolCall`, which are dicts."""
    if not isinstance(native, Mapping) or "args" not in native:
        return None
    called = native.get("name")
    if native.get("type") not in ("tool_call", "invalid_tool_call"):
        return None
    if not isinstance(called, str):
        return None
    arguments, problem = read_arguments(native["args"])
    return ToolCall(called, arguments, text_or_none(native.get("id")), problem, native)


def reply(call: ToolCall, result: ToolResult) -> Any:
    """Return *result* as the `ToolMessage` that answers *call*."""
    messages = required("langchain_core.messages", "hudtrace[langchain]")
    return messages.ToolMessage(
        content=_content(result),
        tool_call_id=call.id or "",
        name=call.name,
        status="error" if result.is_error else "success",
    )


def _content(result: ToolResult) -> Any:
    """Return *result* as text; with an image, as blocks of the text and the images."""
    if not shows(result):
        return told(result)
    images = [
        {"type": "image_url", "image_url": {"url": data_url(block)}}
        for block in result.content
        if block["type"] == "image"
    ]
    return [{"type": "text", "text": told(result)}, *images]


@functools.cache
def _tool_class() -> Any:
    langchain = required("langchain_core.tools", "hudtrace[langchain]")
    from pydantic import PrivateAttr

    def outcome(result: ToolResult) -> Any:
        if result.is_error:
            raise langchain.ToolException(
                told(result)
            )  # becomes a message with that status
        return _content(result)

    class HudTool(langchain.StructuredTool):  # type: ignore[name-defined]
        """A tool of an eval, whose arguments may have any name."""

        _tool: Any = PrivateAttr()

        @classmethod
        def of(cls, tool: AgentTool) -> HudTool:
            """Make one of *tool*."""

            def function(**arguments: Any) -> Any:
                return _content(tool.run_sync(arguments))

            async def coroutine(**arguments: Any) -> Any:
                return _content(await tool.run(arguments))

            made = cls(
                name=tool.name,
                description=tool.description,
                args_schema=tool.schema,
                func=function,
                coroutine=coroutine,
                handle_tool_error=True,
            )
            made._tool = tool
            return made

        # The base class would take arguments named `config` or `run_manager` for
        # its own, as these two have such parameters there.

        def _run(self, /, *args: Any, **arguments: Any) -> Any:
            return outcome(self._tool.run_sync(arguments, id=_call_id.get()))

        async def _arun(self, /, *args: Any, **arguments: Any) -> Any:
            return outcome(await self._tool.run(arguments, id=_call_id.get()))

        def run(self, tool_input: Any, *args: Any, **options: Any) -> Any:
            """Run the tool for the call whose id is among the options."""
            token = _call_id.set(options.get("tool_call_id"))
            try:
                return super().run(tool_input, *args, **options)
            finally:
                _call_id.reset(token)

        async def arun(self, tool_input: Any, *args: Any, **options: Any) -> Any:
            """Run the tool for the call whose id is among the options."""
            token = _call_id.set(options.get("tool_call_id"))
            try:
                return await super().arun(tool_input, *args, **options)
            finally:
                _call_id.reset(token)

    return HudTool
