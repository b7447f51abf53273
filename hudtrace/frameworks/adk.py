"""Google's Agent Development Kit: tools, and how to run an agent with a prompt."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from hudtrace.answers import answer_of
from hudtrace.frameworks.agent_tool import AgentTool, required

required("google.adk", "hudtrace[adk]")

from google.adk.runners import Runner  # noqa: E402
from google.adk.sessions import InMemorySessionService  # noqa: E402
from google.adk.tools import FunctionTool  # noqa: E402
from google.genai import types  # noqa: E402

_APP = "hudtrace"
_USER = "user"


class Tool(FunctionTool):
    """An ADK tool that declares the whole schema and takes arguments as they are.

    ADK would read the declaration from a Python signature, and filter by it.
    """

    def __init__(self, tool: AgentTool) -> None:
        async def function(**arguments: Any) -> dict[str, Any]:
            return _response(await tool.run(arguments))

        function.__name__ = tool.name
        function.__doc__ = tool.description
        super().__init__(function)
        self._tool = tool

    def _get_declaration(self) -> types.FunctionDeclaration:
        return types.FunctionDeclaration(
            name=self._tool.name,
            description=self._tool.description,
            parameters_json_schema=self._tool.schema,
        )

    async def run_async(
        self, *, args: dict[str, Any], tool_context: Any
    ) -> dict[str, Any]:
        """Run the tool; what went wrong comes back as `error`."""
        call_id = getattr(tool_context, "function_call_id", None)
        return _response(await self._tool.run(args, id=call_id))


def export(tools: Iterable[AgentTool]) -> list[Tool]:
    """Return *tools* as ADK tools."""
    return [Tool(tool) for tool in tools]


async def run(agent: Any, prompt: Any) -> str:
    """Run an ADK agent with a prompt, in a session of its own; return its last text.

    *prompt* is a text, or a `types.Content`. For sessions, artifacts and events
    of your own use ADK's `Runner`, and give `ctx.submit` the list of its events.
    """
    sessions = InMemorySessionService()
    session = await sessions.create_session(
        app_name=_APP, user_id=_USER, session_id=uuid.uuid4().hex
    )
    runner = Runner(agent=agent, app_name=_APP, session_service=sessions)
    events = [
        event
        async for event in runner.run_async(
            user_id=_USER, session_id=session.id, new_message=_message(prompt)
        )
    ]
    answer = answer_of(events)
    return answer if isinstance(answer, str) else ""


def _message(prompt: Any) -> types.Content:
    if isinstance(prompt, types.Content):
        return prompt
    return types.Content(role="user", parts=[types.Part(text=str(prompt))])


def _response(result: Any) -> dict[str, Any]:
    if result.is_error:
        return {"error": result.text}
    if isinstance(result.value, dict):
        return {"result": result.value}
    return {"result": result.text}
