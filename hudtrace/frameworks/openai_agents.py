"""OpenAI Agents SDK: tools as `FunctionTool` objects, images as images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hudtrace.frameworks.agent_tool import AgentTool, required
from hudtrace.frameworks.results import data_url, shows, told
from hudtrace.tools import ToolResult


def export(tools: Iterable[AgentTool]) -> list[Any]:
    """Return *tools* as the SDK takes them, each with its whole schema.

    Strict mode is off: it changes schemas, and refuses those with maps.
    """
    agents = required("agents", "hudtrace[agents]")
    return [_export(agents, tool) for tool in tools]


def _export(agents: Any, tool: AgentTool) -> Any:
    async def invoke(context: Any, arguments: str) -> Any:
        call_id = getattr(context, "tool_call_id", None)
        return _output(agents, await tool.run(arguments, id=call_id))

    return agents.FunctionTool(
        name=tool.name,
        description=tool.description,
        params_json_schema=tool.schema,
        on_invoke_tool=invoke,
        strict_json_schema=False,
    )


def _output(agents: Any, result: ToolResult) -> Any:
    """Return *result* as text; with an image, as the text and the image.

    The text names the image for Chat Completions, which takes none from tools.
    """
    if not shows(result):
        return told(result)
    images = [block for block in result.content if block["type"] == "image"]
    return [
        agents.ToolOutputText(text=told(result)),
        *(agents.ToolOutputImage(image_url=data_url(image)) for image in images),
    ]
