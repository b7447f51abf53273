"""A SERVER span for each request, in the trace of its caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import (
    TraceContextTextMapPropagator,
)
from starlette.datastructures import Headers

from hudtrace import semconv
from hudtrace.runtime import get_runtime
from hudtrace.server.gate import OPEN_PATHS, path_of
from hudtrace.tracing.episode import EPISODE
from hudtrace.tracing.spans import with_span

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PROPAGATOR = TraceContextTextMapPropagator()


class RequestSpans:
    """Middleware that traces requests: method, route, status; no header, no content.

    Only `traceparent` and `tracestate` are read from a caller, not its baggage,
    which clients of models would carry on to their providers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run a request with its span current; checks and mere listening have none."""
        if scope["type"] != "http" or _is_apart(scope):
            await self.app(scope, receive, send)
            return
        scope = {**scope, "route": None}  # it may be that of an application around
        caller, root = _caller(scope), scope.get("root_path", "")
        method = scope["method"]
        span = get_runtime().tracer.start(
            method, caller, _attributes(scope), kind=SpanKind.SERVER
        )

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                span.set_attribute(semconv.HTTP_STATUS, status)
                if status >= 500:
                    span.set_attribute(semconv.ERROR_TYPE, str(status))
                    span.set_status(StatusCode.ERROR)
            await send(message)

        token = otel_context.attach(with_span(caller, span))
        try:
            await self.app(scope, receive, answer)
        except Exception as error:
            span.fail(error)
            raise
        finally:
            otel_context.detach(token)
            route = getattr(scope.get("route"), "path", None)
            if route is not None:
                span.update_name(f"{method} {root}{route}")
                span.set_attribute(semconv.HTTP_ROUTE, f"{root}{route}")
            span.end()


def _is_apart(scope: Scope) -> bool:
    """Say whether a request does nothing: a health check, or one that is held open."""
    path = path_of(scope)
    return path in OPEN_PATHS or (path == "/mcp/env" and scope["method"] == "GET")


def _caller(scope: Scope) -> Context:
    """Return where the request comes from: a span around the server, or a remote one."""
    around = otel_context.get_current()
    span = trace.get_current_span(around)
    if span.get_span_context().is_valid and EPISODE not in around:
        return trace.set_span_in_context(span, Context())
    return _PROPAGATOR.extract(Headers(scope=scope), Context())


def _attributes(scope: Scope) -> dict[str, Any]:
    attributes = {
        semconv.HTTP_METHOD: scope["method"],
        semconv.URL_SCHEME: scope["scheme"],
        semconv.URL_PATH: scope["path"],
    }
    server = scope.get("server")
    if server:
        attributes[semconv.SERVER_ADDRESS] = server[0]
        if server[1] is not None:
            attributes[semconv.SERVER_PORT] = server[1]
    return attributes
