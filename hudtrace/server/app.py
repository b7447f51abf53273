"""The application: the endpoints, MCP, who may come in, and how errors look."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Route

from hudtrace.runtime import flush
from hudtrace.server.agent_mcp import AgentEndpoint
from hudtrace.server.agent_sessions import AgentSessions
from hudtrace.server.endpoints import Endpoints, JsonResponse, health
from hudtrace.server.errors import Refusal, refusal_of
from hudtrace.server.gate import Gate
from hudtrace.server.mcp_endpoint import McpEndpoint, lifecycle_server
from hudtrace.server.request_spans import RequestSpans
from hudtrace.server.service import Service
from hudtrace.server.streaming import ClientGone

if TYPE_CHECKING:
    from hudtrace.environment import Environment
    from hudtrace.server.options import ServerOptions

_FLUSH_SECONDS = 5.0


def create_app(environment: Environment, options: ServerOptions) -> FastAPI:
    """Return the ASGI application.

    In `app.state`: the `environment`, the `sessions` behind, `AgentSessions` and with a
    model `Sessions`, and then the `service` behind the endpoints.
    """
    from hudtrace import __version__

    environment = environment.resolve()
    agents = AgentSessions(options)
    agent_endpoint = AgentEndpoint(environment, agents, options.session_ttl)
    closing: list[Any] = [agents, agent_endpoint]

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        for each in closing:
            await each.close()
        await asyncio.to_thread(flush, _FLUSH_SECONDS)

    app = FastAPI(
        title=f"hudtrace: scenarios of {environment.name}",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        # Its own spans of requests would be there beside ours.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        lifespan=lifespan,
    )
    app.state.environment, app.state.sessions = environment, [agents]
    route = Route("/mcp/env", agent_endpoint, methods=["POST", "DELETE"])
    app.router.routes.append(route)
    if options.model is None:
        app.add_api_route("/health", health, methods=["GET"])
    else:
        service = app.state.service = Service(environment, options)
        app.state.sessions.append(service.sessions)
        endpoint = McpEndpoint(lifecycle_server(service))
        closing += [service.sessions, endpoint]
        app.include_router(Endpoints(service).router)
        app.router.routes.append(Route("/mcp", endpoint, methods=["POST"]))
    app.add_middleware(RequestSpans)
    app.add_middleware(Gate, options=options)
    _handle_errors(app)
    return app


def _handle_errors(app: FastAPI) -> None:
    """Have every error answered in one form."""

    async def refused(_: Request, error: Any) -> Response:
        return JsonResponse(error.body, error.status, error.headers)

    async def invalid(request: Request, error: Any) -> Response:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"][1:])) or None
        if first["type"] == "json_invalid":
            refusal = Refusal(400, "invalid_json", "the body is not JSON")
        else:
            said = f"{place}: {first['msg']}" if place else first["msg"]
            refusal = Refusal(422, "invalid_request", said, param=place)
        return await refused(request, refusal)

    async def http(request: Request, error: Any) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code)
        refusal = Refusal(
            error.status_code, code or "invalid_request", str(error.detail)
        )
        response = await refused(request, refusal)
        response.headers.update(error.headers or {})
        return response

    async def gone(_: Request, __: Any) -> Response:
        return Response(status_code=499)  # nobody reads it

    async def broken(request: Request, error: Any) -> Response:
        return await refused(request, refusal_of(error))

    app.add_exception_handler(Refusal, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(ClientGone, gone)
    app.add_exception_handler(Exception, broken)
