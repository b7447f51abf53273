"""The application: the endpoints, MCP, who may come in, and how errors look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from hudtrace.server.agent_mcp import AgentEndpoint
from hudtrace.server.agent_sessions import AgentSessions
from hudtrace.server.endpoints import Endpoints, JsonResponse, health
from hudtrace.server.errors import Refusal, refusal_of
from hudtrace.server.gate import Gate
from hudtrace.server.lifespan import Lifespan
from hudtrace.server.mcp_endpoint import McpEndpoint, lifecycle_server
from hudtrace.server.request_spans import RequestSpans
from hudtrace.server.service import Service
from hudtrace.server.streaming import ClientGone

if TYPE_CHECKING:
    from starlette.types import Scope

    from hudtrace.environment import Environment
    from hudtrace.server.options import ServerOptions


def create_app(environment: Environment, options: ServerOptions) -> FastAPI:
    """Return the ASGI application.

    In `app.state`: the `environment`, the `sessions` behind, `AgentSessions` and with a
    model `Sessions`, and then the `service` behind the endpoints.
    """
    from hudtrace import __version__

    environment = environment.resolve()
    agents = AgentSessions(options)
    agent_endpoint = AgentEndpoint(environment, agents, options.session_ttl)
    lifespan = Lifespan()
    lifespan.closing += [agents, agent_endpoint]
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
    methods = ["GET", "POST", "DELETE"]
    app.router.routes.append(_McpRoute("/mcp/env", agent_endpoint, methods=methods))
    if options.model is None:
        app.add_api_route("/health", health, methods=["GET"])
    else:
        service = app.state.service = Service(environment, options)
        app.state.sessions.append(service.sessions)
        endpoint = McpEndpoint(lifecycle_server(service))
        lifespan.closing += [service.sessions, endpoint]
        app.include_router(Endpoints(service).router)
        app.router.routes.append(_McpRoute("/mcp", endpoint, methods=["POST"]))
    app.add_middleware(RequestSpans)
    app.add_middleware(Gate, options=options, passed=lifespan.check)
    _handle_errors(app)
    return app


class _McpRoute(Route):
    """A route that is told to `RequestSpans`, as those of FastAPI are."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Say whether a request is for this route."""
        match, found = super().matches(scope)
        return match, {**found, "route": self}


def _handle_errors(app: FastAPI) -> None:
    """Have every error answered in one form."""

    async def refused(_: Request, error: Any) -> Response:
        return JsonResponse(error.body, error.status, error.headers)

    async def invalid(request: Request, error: Any) -> Response:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"][1:])) or None
        kind = request.headers.get("content-type", "")
        if first["type"] == "json_invalid":
            refusal = Refusal(400, "invalid_json", "the body is not JSON")
        elif first["loc"] == ("body",) and "json" not in kind.lower():
            refusal = Refusal(
                415,
                "unsupported_media_type",
                f"the body is sent as {kind!r:.80}; send JSON, and say so: "
                f"'Content-Type: application/json'",
            )
        else:
            said = f"{place}: {first['msg']}" if place else first["msg"]
            refusal = Refusal(422, "invalid_request", said, param=place)
        return await refused(request, refusal)

    async def http(request: Request, error: Any) -> Response:
        status, said = error.status_code, str(error.detail)
        code = {404: "not_found", 405: "method_not_allowed"}.get(status)
        if status == 400:  # what cannot be read at all: not UTF-8, nested too deeply
            code, said = "invalid_json", "the body is not JSON, or nested too deeply"
        refusal = Refusal(status, code or "invalid_request", said)
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
