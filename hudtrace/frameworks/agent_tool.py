"""A tool of an open eval, for the converters of agent frameworks to wrap.

A converter is a module here with `export(tools: Iterable[AgentTool]) -> list[Any]`,
which makes one object of its framework for each tool: named `tool.name`, described by
`tool.description`, with `tool.schema` as the arguments' JSON Schema. Its async entry
awaits `tool.run(arguments)`, its sync one calls `tool.run_sync(arguments)`; both give
a `ToolResult` to put into the framework's own result: `.text` for the model,
`.content` for its blocks, `.value` for the Python value, `.is_error`. Neither raises
for what the model or the tool did wrong. The framework itself is imported by `required`
inside `export`.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any

from hudtrace.dialects.fields import read_arguments
from hudtrace.errors import MissingExtra
from hudtrace.tools import Tool, ToolCall, ToolResult


class AgentTool:
    """One tool of one eval, callable from wherever a framework calls it.

    `schema` is the JSON Schema of the arguments, a copy that may be changed. It is
    bound to its eval: its span is below the current one where the caller's context
    is in that eval, else below the eval's agent.
    """

    def __init__(
        self,
        tool: Tool,
        run: Callable[[ToolCall], Awaitable[ToolResult]],
        run_sync: Callable[[ToolCall], ToolResult],
    ) -> None:
        self.name = tool.name
        self.description = tool.description
        self.schema: dict[str, Any] = copy.deepcopy(tool.input_schema)
        self._run = run
        self._run_sync = run_sync

    async def run(
        self,
        arguments: Mapping[str, Any] | str | None,
        *,
        id: str | None = None,
        native: object = None,
    ) -> ToolResult:
        """Run the tool, in any event loop; mistakes and exceptions are results too.

        *arguments* may be JSON text, as models send it; *id* is the one that the
        model gave the call, *native* the framework's own object for it. Raises only
        `EnvironmentFailure`, `EvalFinished` and cancellation.
        """
        return await self._run(self._call(arguments, id, native))

    def run_sync(
        self,
        arguments: Mapping[str, Any] | str | None,
        *,
        id: str | None = None,
        native: object = None,
    ) -> ToolResult:
        """Do as `run` for sync code, in any thread; also one that a loop runs in."""
        return self._run_sync(self._call(arguments, id, native))

    def _call(self, arguments: Any, id: str | None, native: object) -> ToolCall:
        read, problem = read_arguments(arguments)
        return ToolCall(
            self.name, read, id, problem, arguments if native is None else native
        )

    def __deepcopy__(self, memo: Any) -> AgentTool:
        """Return the tool itself: frameworks copy their tools, an eval is one."""
        return self

    def __repr__(self) -> str:
        return f"AgentTool({self.name!r})"


def required(module: str, distribution: str) -> Any:
    """Import a framework's *module*; `MissingExtra` says how to install it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise  # it is there, and something that it needs is not
        raise MissingExtra(
            f"this needs {module.split('.')[0]!r}, which is not installed: "
            f"pip install '{distribution}'"
        ) from error
