"""MCP over streamable HTTP, and the lifecycle tools as a server at `/mcp`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import mcp_types as types
from mcp.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError

from hudtrace.server.errors import Refusal
from hudtrace.server.lifecycle import TOOLS, call
from hudtrace.server.mcp_spans import RequestTracing
from hudtrace.server.shapes import encode

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from hudtrace.server.service import Service

Json = dict[str, Any]


class McpEndpoint:
    """An ASGI application that speaks MCP, of every version that the package does.

    It keeps no state of its own between requests, unless its MCP sessions have
    *idle_timeout* seconds. Without, closing the connection stops a call; the
    `notifications/cancelled` of older versions of the protocol cannot, as it does not
    say whose call it means. It runs on the first request's loop until `close`.
    """

    def __init__(
        self, server: Server[Any], *, idle_timeout: float | None = None
    ) -> None:
        self._manager = StreamableHTTPSessionManager(
            server,
            stateless=idle_timeout is None,
            # A stream of events is cut as soon as a signal comes, before what goes on
            # has had its grace time.
            json_response=idle_timeout is not None,
            session_idle_timeout=idle_timeout,
        )
        self._closing = asyncio.Event()
        self._ready: asyncio.Future[None] | None = None
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._ready is None:
            self._ready = asyncio.get_running_loop().create_future()
            self._running = asyncio.create_task(self._run(self._ready))
        await asyncio.shield(self._ready)
        await self._manager.handle_request(scope, receive, send)

    async def close(self) -> None:
        """End what is still going on."""
        self._closing.set()
        if self._running is not None:
            await asyncio.wait([self._running])

    async def _run(self, ready: asyncio.Future[None]) -> None:
        async with self._manager.run():
            ready.set_result(None)
            await self._closing.wait()


def lifecycle_server(service: Service) -> Server[Any]:
    """Return the MCP server of the lifecycle tools: which session, the calls say."""
    from hudtrace import __version__

    async def list_tools(_ctx: Any, _params: Any) -> types.ListToolsResult:
        tools = [
            types.Tool(
                name=tool.name,
                description=tool.description,
                input_schema=tool.input_schema,
            )
            for tool in TOOLS.values()
        ]
        return types.ListToolsResult(tools=tools)

    async def call_tool(
        _ctx: Any, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        if params.name not in TOOLS:
            raise MCPError(types.INVALID_PARAMS, f"unknown tool {params.name!r}")
        try:
            return json_result(await call(service, params.name, params.arguments))
        except Refusal as refusal:
            return json_result(refusal.body, is_error=True)

    server: Server[Any] = Server(
        f"hudtrace:{service.environment.name}",
        version=__version__,
        instructions="Run scenarios with an agent: scenario_list, scenario_start, "
        "scenario_send as often as needed, scenario_finish.",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    # In the place of the package's own spans.
    server.middleware[:] = [RequestTracing(TOOLS.__contains__)]
    return server


def json_result(
    value: Json, *, is_error: bool = False, hud: Json | None = None
) -> types.CallToolResult:
    """Return *value* as a tool's result, as text and as data; *hud* goes into `_meta`."""
    import json

    text = encode(value).decode()
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)],
        structured_content=json.loads(text),
        is_error=is_error,
        _meta=None if hud is None else {"hud": hud},
    )
