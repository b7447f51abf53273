"""CrewAI: tools as its own `BaseTool`, and as LangChain's that it takes for such.

CrewAI has strict mode always on: what is optional may be null there, and a map is
asked for as the text of a JSON object. The tool gets what its own schema says.
"""

from __future__ import annotations

import contextvars
import functools
import json
from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from hudtrace.frameworks.agent_tool import required
from hudtrace.frameworks.arguments import arguments_model
from hudtrace.frameworks.results import told
from hudtrace.frameworks.schemas import closed, restored

if TYPE_CHECKING:
    from hudtrace.frameworks.agent_tool import AgentTool

#: Whether it is LangChain that runs a tool.
_by_langchain: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "hudtrace_crewai_by_langchain", default=False
)


def export(tools: Iterable[AgentTool]) -> list[Any]:
    """Return *tools* as objects of `crewai.tools.BaseTool`."""
    required("crewai", "hudtrace[crewai]")
    made = _tool_class()
    return [made(tool) for tool in tools]


def langchain_tools(tools: Iterable[AgentTool], base: type) -> list[Any]:
    """Return *tools* as objects of *base*, a `StructuredTool`, that CrewAI takes too.

    From 0.105 on CrewAI takes only its own tools; these are both. Before 0.86 it has
    none, and a LangChain whose tools are no more than functions with a schema.
    """
    if find_spec("crewai.tools.base_tool") is None:
        return [_plain(tool) for tool in tools]
    made = _langchain_class(base)
    return [made(tool) for tool in tools]


@functools.cache
def _tool_class() -> Any:
    from crewai.tools import BaseTool
    from pydantic import PrivateAttr

    class Tool(BaseTool):  # type: ignore[misc,unused-ignore]
        """A tool of an eval, as CrewAI has them."""

        _tool: Any = PrivateAttr()

        def __init__(self, tool: AgentTool) -> None:
            super().__init__(**_fields(tool))
            self._tool = tool

        def model_post_init(self, context: Any) -> None:
            super().model_post_init(context)
            _describe(self)

        def _run(self, /, *args: Any, **arguments: Any) -> str:
            return _now(self._tool, arguments)

        async def _arun(self, /, *args: Any, **arguments: Any) -> str:
            return await _soon(self._tool, arguments)

    return Tool


@functools.cache
def _langchain_class(base: type) -> Any:
    from crewai.tools import BaseTool
    from pydantic import PrivateAttr

    class LangChainTool(base, BaseTool):
        """A tool of an eval, as LangChain and CrewAI have them."""

        _tool: Any = PrivateAttr()

        def __init__(self, tool: AgentTool) -> None:
            function = functools.partial(_called, tool)
            super().__init__(**_fields(tool), func=function, handle_tool_error=True)
            self._tool = tool

        def model_post_init(self, context: Any) -> None:
            super().model_post_init(context)
            _describe(self)

        def _parse_input(self, tool_input: Any, *args: Any) -> Any:
            return tool_input if isinstance(tool_input, dict) else {}

        def _run(self, /, *args: Any, **arguments: Any) -> Any:
            if not _by_langchain.get():
                return _now(self._tool, arguments)
            return base._run(self, **restored(arguments, self._tool.schema))  # type: ignore[attr-defined]

        async def _arun(self, /, *args: Any, **arguments: Any) -> Any:
            if not _by_langchain.get():
                return await _soon(self._tool, arguments)
            given = restored(arguments, self._tool.schema)
            return await base._arun(self, **given)  # type: ignore[attr-defined]

        # LangChain gives the arguments as one input, CrewAI by keyword.

        def run(self, /, *args: Any, **options: Any) -> Any:
            """Run the tool, as LangChain or as CrewAI calls it."""
            if not args and "tool_input" not in options:
                return _now(self._tool, options)
            token = _by_langchain.set(True)
            try:
                return base.run(self, *args, **options)  # type: ignore[attr-defined]
            finally:
                _by_langchain.reset(token)

        async def arun(self, /, *args: Any, **options: Any) -> Any:
            """Run the tool, as LangChain or as CrewAI calls it."""
            if not args and "tool_input" not in options:
                return await _soon(self._tool, options)
            token = _by_langchain.set(True)
            try:
                return await base.arun(self, *args, **options)  # type: ignore[attr-defined]
            finally:
                _by_langchain.reset(token)

    return LangChainTool


def _plain(tool: AgentTool) -> Any:
    from langchain_core.tools import StructuredTool

    async def coroutine(**arguments: Any) -> str:
        return await _soon(tool, arguments)

    return StructuredTool(
        name=tool.name,
        description=tool.description,
        args_schema=arguments_model(tool.name, tool.schema),
        func=functools.partial(_called, tool),
        coroutine=coroutine,
    )


def _fields(tool: AgentTool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "args_schema": arguments_model(tool.name, closed(tool.schema)),
        "cache_function": never_cache,
    }


def never_cache(arguments: Any = None, result: Any = None) -> bool:
    """Have CrewAI call the tool each time: an environment changes between calls."""
    return False


def _describe(tool: Any) -> None:
    """Put the whole schema where an older CrewAI has the arguments' Python types."""
    if not tool.description.startswith("Tool Name: "):
        tool._generate_description()
    if not tool.description.startswith("Tool Name: "):
        return
    schema = json.dumps(tool.args_schema.model_json_schema(), ensure_ascii=False)
    said = tool.description.partition("\nTool Description: ")[2]
    tool.description = (
        f"Tool Name: {tool.name}\nTool Arguments: {schema}\nTool Description: {said}"
    )


def _called(tool: AgentTool, /, **arguments: Any) -> str:
    return _now(tool, arguments)


def _now(tool: AgentTool, arguments: dict[str, Any]) -> str:
    given = restored(arguments, tool.schema)
    return told(tool.run_sync(given))


async def _soon(tool: AgentTool, arguments: dict[str, Any]) -> str:
    given = restored(arguments, tool.schema)
    return told(await tool.run(given))
