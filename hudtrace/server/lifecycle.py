"""The four lifecycle tools: list scenarios, start one, send to it, finish it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from hudtrace.dialects import openai_chat
from hudtrace.messages import encodable
from hudtrace.server.bodies import (
    FinishArguments,
    ListArguments,
    SendArguments,
    StartArguments,
    WithSession,
    read_arguments,
)
from hudtrace.server.errors import Refusal, refusal_of
from hudtrace.server.messages import Sent
from hudtrace.server.service import Service
from hudtrace.server.session import Session
from hudtrace.server.shapes import calls_of, meta_of, scenario_list

Json = dict[str, Any]


@dataclass(frozen=True)
class LifecycleTool:
    """One tool: `run(service, arguments)` returns the JSON of its result."""

    name: str
    description: str
    arguments: type[BaseModel]
    run: Callable[[Service, Any], Awaitable[Json]]

    @functools.cached_property
    def input_schema(self) -> Json:
        """The JSON Schema of the arguments."""
        schema = self.arguments.model_json_schema()
        schema.pop("title", None)
        schema.pop("description", None)
        for each in schema.get("properties", {}).values():
            each.pop("title", None)
        return {"properties": {}, **schema}


async def call(
    service: Service, name: str, arguments: Mapping[str, Any] | None
) -> Json:
    """Run a lifecycle tool; raises `Refusal` (400 for a call that is wrong)."""
    tool = TOOLS.get(name)
    if tool is None:
        raise Refusal(
            400,
            "unknown_tool",
            f"unknown tool {name!r} (there are: {', '.join(TOOLS)})",
            param="name",
        )
    read = read_arguments(tool.arguments, name, arguments)
    return await tool.run(service, read)


async def _list(service: Service, _: ListArguments) -> Json:
    return {"scenarios": scenario_list(service.environment)}


async def _start(service: Service, given: StartArguments) -> Json:
    model = service.model_named(given.model)
    session = await service.begin(
        given.scenario, given.scenario_args, max_steps=given.max_steps
    )
    return await _answer(session, Sent(encodable(given.message or "") or None, model))


async def _send(service: Service, given: SendArguments) -> Json:
    return await _answer(service.find(_id(given)), Sent(encodable(given.message)))


async def _finish(service: Service, given: FinishArguments) -> Json:
    return await service.finish(_id(given), given.answer)


async def _answer(session: Session, sent: Sent) -> Json:
    meta = meta_of(session)
    try:
        reply = await session.send(sent)
    except Exception as error:
        raise refusal_of(error, session.explained(meta)) from error
    return {
        "answer": reply.answer,
        "tool_calls": calls_of(reply),
        "usage": openai_chat.write_usage(reply.usage),
        "stopped_by": reply.stopped_by,
        "hud": meta,
    }


def _id(given: WithSession) -> str:
    if given.named_session is None:
        raise Refusal(
            400,
            "missing_session",
            "say which session: session_id, as scenario_start returned it",
            param="arguments.session_id",
        )
    return given.named_session


TOOLS = {
    tool.name: tool
    for tool in (
        LifecycleTool(
            "scenario_list",
            "List the scenarios that can be started, with their arguments.",
            ListArguments,
            _list,
        ),
        LifecycleTool(
            "scenario_start",
            "Start a scenario in a new session and return the agent's first answer; "
            "hud.session_id in the result names the session.",
            StartArguments,
            _start,
        ),
        LifecycleTool(
            "scenario_send",
            "Send a message to the agent of a session and return its answer.",
            SendArguments,
            _send,
        ),
        LifecycleTool(
            "scenario_finish",
            "Submit the answer of a session, evaluate it, and return the reward.",
            FinishArguments,
            _finish,
        ),
    )
}
