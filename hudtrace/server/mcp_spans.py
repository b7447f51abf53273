"""A SERVER span for each MCP request, in the trace that its `_meta` carries.

As the MCP conventions say: https://opentelemetry.io/docs/specs/semconv/gen-ai/mcp/.
The package makes such spans itself, with the global provider, which may be sampled
or not there; ours can be linked to, as they are always recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mcp.shared.exceptions import MCPError
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import (
    TraceContextTextMapPropagator,
)

from hudtrace import semconv
from hudtrace.runtime import get_runtime
from hudtrace.tracing.spans import Span, with_span

_PROPAGATOR = TraceContextTextMapPropagator()


class RequestTracing:
    """Middleware of an MCP server: each message runs with its span current.

    *has_tool* tells the names of tools from other texts that clients send. The span of
    a call is an `execute_tool` operation where it is *counted* as one; where the tool
    has a span of its own in an episode, the call would count twice.
    """

    def __init__(
        self, has_tool: Callable[[str], bool], *, counted: bool = True
    ) -> None:
        self._has_tool = has_tool
        self._counted = counted

    async def __call__(self, ctx: Any, call_next: Any) -> Any:
        """Run one message."""
        named = (ctx.params or {}).get("name") if ctx.method == "tools/call" else None
        known = isinstance(named, str) and self._has_tool(named)
        return await _trace(ctx, call_next, named if known else None, self._counted)


async def _trace(ctx: Any, call_next: Any, tool: str | None, counted: bool) -> Any:
    around = otel_context.get_current()
    caller = _caller(ctx.meta)
    span = get_runtime().tracer.start(
        f"{ctx.method} {tool}" if tool else str(ctx.method),
        around if caller is None else caller,
        _attributes(ctx, tool, counted),
        kind=SpanKind.SERVER,
    )
    request = trace.get_current_span(around).get_span_context()
    if caller is not None and request.is_valid:
        span.add_link(request, {semconv.LINK_KIND: "http_request"})
    token = otel_context.attach(with_span(around, span))
    try:
        result = await call_next(ctx)
        if getattr(result, "is_error", False):
            _fail(span, "tool_error")
        return result
    except MCPError as error:
        _fail(span, str(error.error.code))
        raise
    except Exception as error:
        span.fail(error)
        raise
    finally:
        otel_context.detach(token)
        span.end()


def _caller(meta: object) -> Context | None:
    """Return the context that *meta* carries, None if there is none."""
    if not isinstance(meta, Mapping):
        return None
    texts = {key: value for key, value in meta.items() if isinstance(value, str)}
    found = _PROPAGATOR.extract(texts, Context())
    valid = trace.get_current_span(found).get_span_context().is_valid
    return found if valid else None


def _attributes(ctx: Any, tool: str | None, counted: bool) -> dict[str, Any]:
    attributes = {
        semconv.MCP_METHOD: ctx.method,
        semconv.MCP_PROTOCOL: ctx.protocol_version,
    }
    if ctx.request_id is not None:
        attributes[semconv.JSONRPC_ID] = str(ctx.request_id)
    if tool is not None:
        operation = semconv.OP_EXECUTE_TOOL
        if counted and (ctx.meta or {}).get(semconv.MCP_TRACED) != operation:
            attributes[semconv.OPERATION] = operation  # else the call counts twice
        attributes[semconv.TOOL_NAME] = tool
    return attributes


def _fail(span: Span, kind: str) -> None:
    span.set_attribute(semconv.ERROR_TYPE, kind)
    span.set_status(StatusCode.ERROR)
