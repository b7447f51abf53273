"""Tools of autogen-agentchat (autogen 0.4 and later)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from autogen_core import CancellationToken
from autogen_core.tools import BaseTool, ToolSchema

from hudtrace.errors import ToolError
from hudtrace.frameworks.arguments import Arguments
from hudtrace.frameworks.schemas import inlined

if TYPE_CHECKING:
    from hudtrace.frameworks.agent_tool import AgentTool


class Tool(BaseTool[Arguments, str]):
    """A tool for `AssistantAgent(tools=...)`, with the whole schema."""

    component_provider_override = "hudtrace.frameworks.autogen_agentchat.Tool"

    def __init__(self, tool: AgentTool) -> None:
        super().__init__(Arguments, str, tool.name, tool.description)
        self._tool = tool

    @property
    def schema(self) -> ToolSchema:
        """What the model is told."""
        parameters: Any = inlined(self._tool.schema)
        return ToolSchema(
            name=self.name,
            description=self.description,
            parameters=parameters,
            strict=False,
        )

    async def run(self, args: Arguments, cancellation_token: CancellationToken) -> str:
        """Run the tool; raises `ToolError` with what went wrong, for the model."""
        return await self.run_json(args.sent(), cancellation_token)

    async def run_json(
        self,
        args: Mapping[str, Any],
        cancellation_token: CancellationToken,
        call_id: str | None = None,
    ) -> str:
        """Run the tool; raises `ToolError` with what went wrong, for the model.

        AutoGen marks its own result as an error then, and goes on.
        """
        result = await self._tool.run(args, id=call_id)
        if result.is_error:
            raise ToolError(result.text)
        return result.text


def export(tools: Iterable[AgentTool]) -> list[Tool]:
    """Return *tools* as AutoGen's."""
    return [Tool(tool) for tool in tools]
