"""LlamaIndex: tools as `FunctionTool`, a `ToolSelection` answered by `ChatMessage`.

Works with llama-index-core from 0.12 on.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterable
from typing import Any

from hudtrace.dialects.fields import get, read_arguments, text_or_none
from hudtrace.frameworks.agent_tool import AgentTool, required
from hudtrace.frameworks.results import shows, told
from hudtrace.tools import ToolCall, ToolResult

Json = dict[str, Any]
name = "llamaindex"
title = "LlamaIndex ToolSelection (tool_id, tool_name, tool_kwargs)"


def export(tools: Iterable[AgentTool]) -> list[Any]:
    """Return *tools* as `FunctionTool` objects, for sync and async agents."""
    return [_export(tool) for tool in tools]


def _export(tool: AgentTool) -> Any:
    kinds = required("llama_index.core.tools", "hudtrace[llamaindex]")

    # By keyword alone: where there is one argument, LlamaIndex tries it by
    # position first, whatever name the model gave it.
    def function(**arguments: Any) -> Any:
        return _content(tool.run_sync(arguments))

    async def coroutine(**arguments: Any) -> Any:
        return _content(await tool.run(arguments))

    return kinds.FunctionTool(
        fn=function,
        async_fn=coroutine,
        metadata=kinds.ToolMetadata(
            name=tool.name,
            description=tool.description,
            fn_schema=_schema_class(tool),
        ),
    )


def parse(native: object) -> ToolCall | None:
    """Read a `ToolSelection`, object or dict."""
    called, arguments = get(native, "tool_name"), get(native, "tool_kwargs")
    if not isinstance(called, str) or arguments is None:
        return None
    call_id = text_or_none(get(native, "tool_id"))
    read, problem = read_arguments(arguments)
    return ToolCall(called, read, call_id, problem, native)


def reply(call: ToolCall, result: ToolResult) -> Any:
    """Return *result* as the chat message of role `tool` that answers *call*."""
    llms = required("llama_index.core.llms", "hudtrace[llamaindex]")
    return llms.ChatMessage(
        role=llms.MessageRole.TOOL,
        content=_content(result),
        additional_kwargs={"name": call.name, "tool_call_id": call.id},
    )


def _content(result: ToolResult) -> Any:
    """Return *result* as text; with an image, as blocks of the text and the images.

    The text names the images, for models that are sent the text alone. Versions
    that know text alone get that.
    """
    kinds = required("llama_index.core.tools", "hudtrace[llamaindex]")
    if not shows(result) or "blocks" not in kinds.ToolOutput.model_fields:
        return told(result)
    llms = required("llama_index.core.llms", "hudtrace[llamaindex]")
    images = [
        llms.ImageBlock(
            image=base64.b64decode(block.get("data", "")),
            image_mimetype=block.get("mimeType"),
        )
        for block in result.content
        if block["type"] == "image"
    ]
    return [llms.TextBlock(text=told(result)), *images]


def _schema_class(tool: AgentTool) -> Any:
    """Make the class that LlamaIndex asks for the JSON Schema, and nothing else."""
    from pydantic import BaseModel, ConfigDict

    class Arguments(BaseModel):
        model_config = ConfigDict(extra="allow")

        @classmethod
        def model_json_schema(cls, *args: Any, **options: Any) -> Json:
            return copy.deepcopy(tool.schema)

    Arguments.__name__ = tool.name
    return Arguments
