"""Tools of ag2 (1.0 and later)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ag2.events import ToolCallEvent, ToolErrorEvent, ToolResultEvent
from ag2.tools import tool
from ag2.tools.final import FunctionTool

from hudtrace.errors import ToolError
from hudtrace.frameworks.schemas import inlined

if TYPE_CHECKING:
    from hudtrace.frameworks.agent_tool import AgentTool


class Tool(FunctionTool):
    """A tool for `Agent(tools=...)`, with the whole schema and the call's own id."""

    __slots__ = ("_tool",)

    def __init__(self, wrapped: AgentTool) -> None:
        async def function() -> None:
            """Stand in for the tool where its module is asked for."""

        function.__name__ = wrapped.name
        super().__init__(
            tool(function).model,
            name=wrapped.name,
            description=wrapped.description,
            schema=inlined(wrapped.schema),
        )
        self._tool = wrapped

    def __deepcopy__(self, memo: Any) -> Tool:
        """Return the tool itself: it belongs to one eval, which is not copied."""
        return self

    async def __call__(self, event: ToolCallEvent, context: Any) -> ToolResultEvent:
        """Run the tool as *event* asks; what went wrong is an event too."""
        result = await self._tool.run(_arguments(event), id=event.id)
        if result.is_error:
            failed = ToolErrorEvent.from_call(event, error=ToolError(result.text))
            failed.result = ToolResultEvent.from_call(event, result=result.text).result
            return failed
        return ToolResultEvent.from_call(event, result=result.text)


def _arguments(event: ToolCallEvent) -> Any:
    """Return the arguments as middleware left them, else the text that was sent."""
    try:
        return event.serialized_arguments
    except ValueError:
        return event.arguments


def export(tools: Iterable[AgentTool]) -> list[Tool]:
    """Return *tools* as ag2's."""
    return [Tool(each) for each in tools]
