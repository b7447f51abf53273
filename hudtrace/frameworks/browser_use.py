"""browser-use: the tools of an eval as actions beside those of the browser."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from hudtrace.frameworks.agent_tool import required
from hudtrace.frameworks.arguments import Arguments, arguments_model
from hudtrace.frameworks.results import shows
from hudtrace.frameworks.schemas import closed, restored
from hudtrace.tools import ToolResult

if TYPE_CHECKING:
    from hudtrace.frameworks.agent_tool import AgentTool


def export(tools: Iterable[AgentTool]) -> Any:
    """Return a browser-use `Tools` (older: `Controller`) with *tools* as actions.

    For `Agent(tools=...)`, or `Agent(controller=...)` of older versions. Its own
    actions are in it as well.
    """
    browser_use = required("browser_use", "hudtrace[browser-use]")
    kind = getattr(browser_use, "Tools", None) or browser_use.Controller
    registry = kind()
    for tool in tools:
        model = arguments_model(tool.name, closed(tool.schema))
        registry.registry.action(tool.description, param_model=model)(_action(tool))
    return registry


def _action(tool: AgentTool) -> Callable[..., Any]:
    from browser_use.agent.views import ActionResult

    async def action(params: Arguments) -> Any:
        result = await tool.run(restored(params.sent(), tool.schema))
        if result.is_error:
            return ActionResult(error=result.text)
        said = {"extracted_content": result.text, "include_in_memory": True}
        if shows(result) and "images" in ActionResult.model_fields:
            said["images"] = _images(tool.name, result)
        return ActionResult(**said)

    action.__name__ = tool.name
    return action


def _images(name: str, result: ToolResult) -> list[dict[str, str]]:
    """Return the images of *result*; their names tell browser-use what they are."""
    shown = [block for block in result.content if block["type"] == "image"]
    return [
        {
            "name": f"{name}-{number}.{block['mimeType'].rpartition('/')[2]}",
            "data": block["data"],
        }
        for number, block in enumerate(shown, 1)
    ]
