"""The tools of an eval in the form that each API and each framework takes."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any, Literal

from hudtrace import dialects
from hudtrace.frameworks.agent_tool import AgentTool
from hudtrace.tools import Tool


class Converters:
    """What an eval's context offers as `ctx.as_…()`.

    The forms of APIs are plain data. Those of frameworks are objects of theirs, that
    run the tool in this eval; each raises `MissingExtra` without its framework.
    """

    def as_openai_chat_tools(self, strict: bool = False) -> list[Any]:
        """Return the tools in OpenAI Chat Completions form."""
        return dialects.openai_chat.export(self._tool_list, strict=strict)

    def as_openai_responses_tools(self, strict: bool = False) -> list[Any]:
        """Return the tools in OpenAI Responses form."""
        return dialects.openai_responses.export(self._tool_list, strict=strict)

    def as_claude_tools(self, cache_control: bool = False) -> list[Any]:
        """Return the tools in Anthropic form.

        With *cache_control* the provider may cache them with the prompt.
        """
        return dialects.anthropic_messages.export(
            self._tool_list, cache_control=cache_control
        )

    def as_gemini_tools(self) -> list[Any]:
        """Return the tools in Gemini form, for google-genai and google.generativeai."""
        return dialects.gemini.export(self._tool_list)

    def as_gemini_tool_config(
        self, mode: str = "AUTO", allowed_tools: Iterable[str] | None = None
    ) -> Any:
        """Return how Gemini may call: *mode* is AUTO, ANY (it must) or NONE.

        *allowed_tools* names those that it may choose from, with ANY.
        """
        return dialects.gemini.tool_config(mode, allowed_tools)

    def as_tools(self) -> list[Any]:
        """Return the tools as MCP `Tool` objects."""
        tools: list[Any] = _framework("mcp").export(self._tool_list)
        return tools

    def as_openai_agent_tools(self) -> list[Any]:
        """Return the tools for the OpenAI Agents SDK."""
        tools: list[Any] = _framework("openai_agents").export(self._agent_tools())
        return tools

    def as_langchain_tools(self) -> list[Any]:
        """Return the tools for LangChain and LangGraph."""
        tools: list[Any] = _framework("langchain").export(self._agent_tools())
        return tools

    def as_llamaindex_tools(self) -> list[Any]:
        """Return the tools for LlamaIndex."""
        tools: list[Any] = _framework("llamaindex").export(self._agent_tools())
        return tools

    def as_adk_tools(self) -> list[Any]:
        """Return the tools for Google's Agent Development Kit."""
        tools: list[Any] = _framework("adk").export(self._agent_tools())
        return tools

    def as_crewai_tools(self) -> list[Any]:
        """Return the tools for CrewAI."""
        tools: list[Any] = _framework("crewai").export(self._agent_tools())
        return tools

    def as_autogen_tools(
        self,
        kind: Literal["functions", "agentchat", "ag2"] | None = None,
        *,
        sync: bool = False,
    ) -> list[Any]:
        """Return the tools for AutoGen: the generation imported, else installed.

        *kind* chooses one: `functions` for `autogen.register_function` of pyautogen
        0.2 and ag2 before 1.0, `agentchat`, or `ag2` 1.0 and later. Functions are
        coroutine functions; with *sync*, plain ones for `initiate_chat`.
        """
        autogen = _framework("autogen")
        tools: list[Any] = autogen.export(self._agent_tools(), kind, sync=sync)
        return tools

    def as_browser_use_tools(self) -> Any:
        """Return a browser-use `Tools` with the eval's tools among its actions."""
        return _framework("browser_use").export(self._agent_tools())

    @property
    def _tool_list(self) -> list[Tool]:
        raise NotImplementedError

    def _agent_tools(self) -> list[AgentTool]:
        raise NotImplementedError


def _framework(name: str) -> Any:
    return import_module(f"hudtrace.frameworks.{name}")
