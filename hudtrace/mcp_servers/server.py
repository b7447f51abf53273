"""An MCP server that an environment has: one connection for all of its episodes."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry import context as otel_context
from opentelemetry.trace import SpanKind

from hudtrace import semconv
from hudtrace.errors import ConfigurationError, EnvironmentFailure, MissingExtra
from hudtrace.mcp_servers.connection import (
    Connection,
    ConnectionLost,
    Request,
    carrier,
    unseen,
)
from hudtrace.mcp_servers.endpoints import Endpoint
from hudtrace.mcp_servers.remote_tool import RemoteTool, result_of
from hudtrace.mcp_servers.side_loop import side_loop
from hudtrace.scenario import Exclusive, Scenario
from hudtrace.tools import ToolResult, digest_of
from hudtrace.tracing.episode import Episode, current_episode
from hudtrace.tracing.spans import OWN_SPAN, Span, with_span
from hudtrace.tracing.twins import ASIDE, MCP_SCOPE

CONNECT_TIMEOUT = 10.0
CALL_TIMEOUT = 120.0


class McpServer:
    """One server: where it is, the tools that it has, and the way to call them.

    `tools` is what was listed last, by the names that models see; nothing before
    the first listing. `scenarios` are those that the server runs, `env_digest` what
    it says of them all; only a hub's has any. Safe to use from many threads and event
    loops.
    """

    scenarios: Mapping[str, Scenario[Any]] = {}
    env_digest: str | None = None

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        name: str | None = None,
        prefix: str = "",
        include: Iterable[str] | None = None,
        exclude: Iterable[str] = (),
        connect_timeout: float = CONNECT_TIMEOUT,
        timeout: float | None = CALL_TIMEOUT,
    ) -> None:
        _require()
        self.endpoint = endpoint
        self.name = name or endpoint.name
        self.tools: Mapping[str, RemoteTool] = {}
        self.said_name: str | None = None
        self.tried: Connection | None = None  # the latest connection, made or not
        self._prefix = prefix
        self._include = None if include is None else frozenset(include)
        self._exclude = frozenset(exclude)
        self.connect_timeout = connect_timeout
        self._timeout = timeout
        self._connection: Connection | None = None
        self._opening: asyncio.Lock | None = None
        self._process = os.getpid()
        self._guard = threading.Lock()
        self._used: WeakKeyDictionary[Episode, Connection] = WeakKeyDictionary()

    @property
    def digest(self) -> str:
        """A hash of the tools' definitions."""
        return digest_of(*sorted(tool.digest for tool in self.tools.values()))

    @property
    def is_ready(self) -> bool:
        """Whether it is connected, and has the tools that were listed."""
        connection = self._current()
        return connection is not None and not connection.stale

    async def get_ready(self) -> None:
        """Connect and list the tools, where that is not done.

        Raises `EnvironmentFailure` if the server cannot be reached within its connect
        timeout, `ConfigurationError` if its tools cannot be offered as asked for.
        """
        if self.is_ready:
            return
        with self.connecting() as span:
            await side_loop.run(functools.partial(self._get_ready, carrier()))
            if span is not None:
                connection = self._current()
                span.set_attribute(semconv.MCP_TOOLS, len(self.tools))
                if connection is not None and connection.protocol:
                    span.set_attribute(semconv.MCP_PROTOCOL, connection.protocol)

    def get_ready_sync(self) -> None:
        """Do as `get_ready`, blocking."""
        if not self.is_ready:
            side_loop.run_sync(functools.partial(self._get_ready, {}))

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolResult:
        """Call a tool by the server's own name for it.

        What the server answers is a result, an error too. Raises TimeoutError, and
        `EnvironmentFailure` if the server is gone: a call that was under way is not
        made again, and what a server held for an episode is gone with it.
        """
        connection = await self._for_episode()
        request = Request({**carrier(), semconv.MCP_TRACED: semconv.OP_EXECUTE_TOOL})
        start = functools.partial(
            connection.call, name, arguments, request, self._timeout
        )
        try:
            with self.calling(connection, request):
                return result_of(await side_loop.run(start))
        except ConnectionLost as lost:
            if lost.before and not connection.keeps_state:
                return await self.call(name, arguments)
            raise EnvironmentFailure(
                f"MCP server {self.name!r} ({self.endpoint.label}) was lost during a "
                f"call of {name!r}: {lost}{connection.signs.text}"
            ) from lost
        except Exception as error:
            if (details := getattr(error, "error", None)) is None:
                raise
            return ToolResult.error(str(getattr(details, "message", details)))

    @contextmanager
    def calling(self, connection: Connection, request: Request) -> Iterator[None]:
        """Make a call's request inside: the span that it is made in says how."""
        try:
            with unseen():
                yield
        finally:
            self._describe(connection, request)

    def close(self) -> None:
        """Disconnect, without waiting for it."""
        connection, self._connection = self._connection, None
        if connection is not None and self._process == os.getpid():
            side_loop.soon(connection.close)

    def _current(self) -> Connection | None:
        if self._process != os.getpid():
            # The connection is the parent's, which goes on with it.
            with self._guard:
                self._connection = self._opening = None
                self._process = os.getpid()
        connection = self._connection
        return connection if connection and connection.lost is None else None

    async def _for_episode(self) -> Connection:
        """Return the connection; a new one if there is none, once."""
        episode = current_episode()
        used = None if episode is None else self._used.get(episode)
        connection = self._current()
        if used is not None and used is not connection and used.keeps_state:
            raise EnvironmentFailure(
                f"MCP server {self.name!r} ({self.endpoint.label}) was lost after this "
                f"episode had used it ({used.lost}); what it held is gone"
                f"{used.signs.text}"
            )
        if connection is None:
            await self.get_ready()
            connection = self._current()
            if connection is None:
                raise EnvironmentFailure(
                    f"MCP server {self.name!r} ({self.endpoint.label}) was lost again "
                    f"at once"
                )
        if episode is not None:
            self._used[episode] = connection
        return connection

    async def _get_ready(self, carrier: Mapping[str, str]) -> None:
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self.is_ready:
                return
            connection = self._current()
            if connection is None:
                connection = self.tried = Connection(self.name, self.endpoint)
                await connection.open(carrier, self.connect_timeout)
            try:
                async with asyncio.timeout(self.connect_timeout):
                    listed = await connection.list_tools(carrier)
                    await self._take(connection, listed, carrier)
            except BaseException as error:
                await connection.close()
                raise self._cannot_list(connection, error) from error
            self.said_name = connection.server_name
            self._connection = connection

    def _cannot_list(
        self, connection: Connection, error: BaseException
    ) -> BaseException:
        if isinstance(error, ConfigurationError) or not isinstance(error, Exception):
            return error
        why = str(error) or type(error).__name__
        if isinstance(error, TimeoutError):
            why = f"no answer within {self.connect_timeout:g} s"
        return EnvironmentFailure(
            f"cannot list the tools of MCP server {self.name!r} "
            f"({self.endpoint.label}): {why}{connection.signs.text}"
        )

    async def _take(
        self, connection: Connection, listed: list[Any], carrier: Mapping[str, str]
    ) -> None:
        """Take the tools that were listed."""
        self.tools = self._offered(listed)

    def _offered(self, listed: Iterable[Any]) -> dict[str, RemoteTool]:
        """Return the tools that were asked for, by the names that models see."""
        by_name = {definition.name: definition for definition in listed}
        asked = (self._include or frozenset()) | self._exclude
        if unknown := sorted(asked - by_name.keys()):
            raise ConfigurationError(
                f"MCP server {self.name!r} has no tool {unknown[0]!r} to include or "
                f"exclude (it has: {', '.join(by_name) or 'none'})"
            )
        return {
            self._prefix + name: RemoteTool(definition, self._prefix + name, self.call)
            for name, definition in by_name.items()
            if name not in self._exclude
            and (self._include is None or name in self._include)
        }

    @contextmanager
    def connecting(self) -> Iterator[Span | None]:
        """Have a span for connecting and listing, if an eval waits for it."""
        episode, context = current_episode(), otel_context.get_current()
        if episode is None:
            yield None
            return
        span = episode.tracer.start(
            f"{semconv.SPAN_CONNECT_MCP} {self.name}",
            context,
            {semconv.MCP_SERVER: self.name},
            kind=SpanKind.CLIENT,
        )
        inside = otel_context.set_value(ASIDE, MCP_SCOPE, with_span(context, span))
        token = otel_context.attach(inside)
        try:
            yield span
        except BaseException as error:
            span.fail(error)
            raise
        finally:
            otel_context.detach(token)
            span.end()

    def _describe(self, connection: Connection, request: Request) -> None:
        span = otel_context.get_current().get(OWN_SPAN)
        if not isinstance(span, Span):
            return
        span.set_attribute(semconv.MCP_METHOD, "tools/call")
        span.set_attribute(semconv.MCP_SERVER, self.name)
        if request.id is not None:
            span.set_attribute(semconv.JSONRPC_ID, str(request.id))
        if connection.protocol:
            span.set_attribute(semconv.MCP_PROTOCOL, connection.protocol)
        if connection.signs.session_id:
            span.set_attribute(semconv.MCP_SESSION, connection.signs.session_id)


def refuse_same_names(servers: Iterable[McpServer]) -> None:
    """Raise `ConfigurationError` where two servers have a tool of the same name."""
    owners: dict[str, str] = {}
    for server in servers:
        for name, tool in server.tools.items():
            if isinstance(tool, Exclusive):
                continue
            if name in owners:
                raise ConfigurationError(
                    f"the MCP servers {owners[name]!r} and {server.name!r} both have a "
                    f"tool {name!r}; give one of them a prefix, or exclude it"
                )
            owners[name] = server.name


def _require() -> None:
    from importlib.util import find_spec

    if find_spec("mcp") is None:
        raise MissingExtra(
            "MCP servers need the package 'mcp', which is not installed: "
            "pip install 'hudtrace[mcp]'"
        )
