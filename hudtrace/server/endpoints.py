"""The endpoints of a scenario server: what comes in, and what goes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel

from hudtrace.server import lifecycle
from hudtrace.server.bodies import ChatRequest, FinishRequest, ToolRequest
from hudtrace.server.errors import Refusal, refusal_of
from hudtrace.server.messages import Sent
from hudtrace.server.parameters import request_options
from hudtrace.server.service import Said, Service, read_messages
from hudtrace.server.session import Session
from hudtrace.server.shapes import (
    completion,
    encode,
    meta_of,
    scenario_list,
    session_list,
)
from hudtrace.server.streaming import EventStream, completion_events, unless_gone

Json = dict[str, Any]
SessionHeader = Annotated[str | None, Header(max_length=200)]


class ErrorDetail(BaseModel):
    """What went wrong, in OpenAI's form."""

    message: str
    type: str
    code: str
    param: str | None


class ErrorBody(BaseModel):
    """The body of every answer that is an error."""

    error: ErrorDetail
    hud: dict[str, Any] | None = None


_SESSION_ERRORS = (400, 404, 409, 422, 429, 500, 502, 503, 504)


def _errors(*statuses: int) -> Any:
    return {status: {"model": ErrorBody} for status in (401, 403, 413, *statuses)}


class JsonResponse(Response):
    """JSON of whatever a scenario or a model has said."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return encode(content)


async def health() -> Any:
    """Say that the server lives."""
    return JsonResponse({"status": "ok"})


class Endpoints:
    """The endpoints, as methods; `router` has their paths."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.router = APIRouter(
            default_response_class=JsonResponse, responses=_errors()
        )
        add = self.router.add_api_route
        add("/health", health, methods=["GET"])
        add("/scenarios", self.scenarios, methods=["GET"])
        add("/v1/models", self.models, methods=["GET"])
        add(
            "/v1/chat/completions",
            self.chat,
            methods=["POST"],
            responses=_errors(*_SESSION_ERRORS),
        )
        add("/v1/sessions", self.sessions, methods=["GET"])
        add(
            "/v1/sessions/{session_id}/finish",
            self.finish,
            methods=["POST"],
            responses=_errors(*_SESSION_ERRORS),
        )
        for prefix, key in (
            ("/v1/lifecycle-tools", "input_schema"),
            ("/mcp/tools", "inputSchema"),
        ):
            add(prefix, self._tool_list(key), methods=["GET"], name=f"list {prefix}")
            add(
                f"{prefix}/call",
                self.call_tool,
                methods=["POST"],
                name=f"call {prefix}",
                responses=_errors(*_SESSION_ERRORS),
            )

    async def scenarios(self) -> Any:
        """List the scenarios, and the arguments that they take."""
        return JsonResponse({"scenarios": scenario_list(self._service.environment)})

    async def models(self) -> Any:
        """List the models that may be asked for."""
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "hud"}
            for name in self._service.options.served_models
        ]
        return JsonResponse({"object": "list", "data": data})

    async def sessions(self) -> Any:
        """List the open sessions; their ids are whole only if a key is needed."""
        service = self._service
        whole = service.options.api_key is not None
        open_sessions = service.sessions.listed()
        return JsonResponse({"sessions": session_list(open_sessions, whole_ids=whole)})

    async def chat(
        self,
        request: Request,
        body: ChatRequest,
        x_hud_session_id: SessionHeader = None,
    ) -> Any:
        """Begin a session, or send the next message of one; streamed on demand."""
        service, said = self._service, read_messages(body.messages)
        options = {**(body.model_extra or {}), "metadata": body.metadata}
        model = service.model_for(body.model)
        changes = request_options(service.dialect, options)
        named = x_hud_session_id or body.named_session
        if body.named_session not in (None, named):
            raise Refusal(
                400,
                "invalid_request",
                f"X-HUD-Session-Id and the body name two sessions, {named!r:.40} and "
                f"{body.named_session!r:.40}; send one",
                param="thread_id",
            )
        sent = Sent(said.text, model, changes or None, body.max_steps)
        if named is not None:
            session = self._going_on(named, body, said)
        elif not body.stream:
            return await unless_gone(
                request.receive, self._begin_and_answer(body, said, sent)
            )
        else:
            session = await unless_gone(request.receive, self._begin(body, said))
        if not body.stream:
            return await unless_gone(request.receive, self._answer(session, sent))
        usage = bool(body.stream_options and body.stream_options.include_usage)
        events = completion_events(session, sent, model, include_usage=usage)
        return EventStream(events, _headers(session))

    async def finish(self, session_id: str, body: FinishRequest | None = None) -> Any:
        """Submit the answer of a session, grade it, and return the reward."""
        answer = None if body is None else body.answer
        return JsonResponse(await self._service.finish(session_id, answer))

    async def call_tool(self, request: Request, body: ToolRequest) -> Any:
        """Call a lifecycle tool."""
        work = lifecycle.call(self._service, body.name, body.arguments)
        return JsonResponse(await unless_gone(request.receive, work))

    def _tool_list(self, key: str) -> Any:
        tools = [
            {"name": t.name, "description": t.description, key: t.input_schema}
            for t in lifecycle.TOOLS.values()
        ]

        async def list_tools() -> Any:
            """List the lifecycle tools."""
            return JsonResponse({"tools": tools})

        return list_tools

    async def _begin(self, body: ChatRequest, said: Said) -> Session:
        if body.scenario is None:
            raise Refusal(
                400,
                "missing_scenario",
                "say which session (X-HUD-Session-Id, or thread_id), or begin one "
                "with 'scenario' and 'scenario_args'; GET /scenarios lists them",
                param="scenario",
            )
        if body.scenario_args is None:
            self._service.check_scenario(body.scenario)
            raise Refusal(
                400,
                "missing_scenario_args",
                f"scenario {body.scenario!r} needs 'scenario_args' beside it, {{}} if "
                f"it takes none",
                param="scenario_args",
            )
        return await self._service.begin(
            body.scenario,
            body.scenario_args,
            system_prompt=said.system_prompt,
            max_steps=body.max_steps,
            metadata=body.metadata,
        )

    def _going_on(self, named: str, body: ChatRequest, said: Said) -> Session:
        """Return the session that goes on; 409 for what was settled at its beginning."""
        session = self._service.find(named)
        begun: Mapping[str, Any] = session.chat.context.task.args
        wrong = None
        named_scenario = self._service.scenario_named(body.scenario)
        if named_scenario not in (None, session.scenario):
            wrong = "scenario"
        elif body.scenario_args is not None and body.scenario_args != begun:
            wrong = "scenario_args"
        elif said.system_prompt not in (None, session.system_prompt):
            wrong = "messages"
        if wrong is not None:
            raise Refusal(
                409,
                "session_conflict",
                f"the session runs scenario {session.scenario!r} as it was begun; for "
                f"another {wrong!r} begin a new one, without the session's id",
                param=wrong,
                hud=meta_of(session),
            )
        if said.text is None:
            raise Refusal(
                400,
                "missing_message",
                "say something: a message of role 'user' that is not empty",
                param="messages",
                hud=meta_of(session),
            )
        return session

    async def _begin_and_answer(self, body: ChatRequest, said: Said, sent: Sent) -> Any:
        return await self._answer(await self._begin(body, said), sent)

    async def _answer(self, session: Session, sent: Sent) -> Any:
        meta = meta_of(session)
        try:
            reply = await session.send(sent)
        except Exception as error:
            raise refusal_of(error, session.explained(meta)) from error
        model = sent.model or self._service.model_for(None)
        return JsonResponse(
            completion(session, reply, model), headers=_headers(session)
        )


def _headers(session: Session) -> dict[str, str]:
    return {
        "X-HUD-Session-Id": session.id,
        "X-HUD-Thread-Id": session.id,
        "X-HUD-Trace-Id": session.trace_id,
    }
