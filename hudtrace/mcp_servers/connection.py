"""One open session with one server. It lives on the side loop, in one task."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar
from weakref import WeakSet

from opentelemetry import context as otel_context
from opentelemetry.trace.propagation.tracecontext import (
    TraceContextTextMapPropagator,
)

from hudtrace.errors import EnvironmentFailure
from hudtrace.mcp_servers.endpoints import Endpoint, Http, Signs, logger
from hudtrace.mcp_servers.side_loop import EXIT_SECONDS, side_loop
from hudtrace.tracing.credentials import mask
from hudtrace.tracing.twins import ASIDE, MCP_SCOPE

T = TypeVar("T")
_PROPAGATOR = TraceContextTextMapPropagator()
CONNECTION_CLOSED = -32000
_CHANGED = "notifications/tools/list_changed"
_PING_SECONDS = 5.0
_SILENCE_SECONDS = 15.0
_MOST_PAGES = 1000
#: What transports say where a server has forgotten the session, or has failed.
_GONE = ("Session terminated", "Server returned an error response")


@contextlib.contextmanager
def unseen() -> Iterator[None]:
    """Do without the package's own spans: there is one of ours, or none is wanted."""
    current = otel_context.get_current()
    token = otel_context.attach(otel_context.set_value(ASIDE, MCP_SCOPE, current))
    try:
        yield
    finally:
        otel_context.detach(token)


class ConnectionLost(Exception):
    """The server is gone; `before` says whether it was so before the request."""

    def __init__(self, reason: str, *, before: bool) -> None:
        super().__init__(reason)
        self.before = before


@dataclass(slots=True)
class Request:
    """A request on its way: the trace context to send along, and its id when sent."""

    carrier: Mapping[str, str]
    id: Any = None


def carrier() -> dict[str, str]:
    """Return what goes along with a request: the trace that it is made in."""
    texts: dict[str, str] = {}
    _PROPAGATOR.inject(texts)
    return texts


_sending: contextvars.ContextVar[Request | None] = contextvars.ContextVar(
    "hudtrace-mcp-request", default=None
)
_connections: WeakSet[Connection] = WeakSet()


class Connection:
    """A session with a server: `open` it, make requests, `close` it.

    `lost` is why it is of no use any more; None while it is. `stale` says that
    the server has other tools by now.
    """

    def __init__(self, name: str, endpoint: Endpoint) -> None:
        self.lost: str | None = None
        self.stale = False
        self.server_name: str | None = None
        self.protocol: str | None = None
        self.signs = Signs(name)
        self._name = name
        self._endpoint = endpoint
        self._session: Any = None
        self._closing = asyncio.Event()
        self._gone = asyncio.Event()
        self._owner: asyncio.Task[None] | None = None
        _connections.add(self)

    @property
    def keeps_state(self) -> bool:
        """Whether the server may hold something for us that ends with this."""
        return not self._endpoint.network or self.signs.session_id is not None

    @property
    def greeted(self) -> bool:
        """Whether the server has answered as an MCP server does."""
        return self._session is not None

    async def open(self, carrier: Mapping[str, str], timeout: float) -> None:
        """Connect and greet; raises `EnvironmentFailure` within *timeout* seconds."""
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # It outlives the eval that it is opened for, and has none of its context.
        self._owner = asyncio.get_running_loop().create_task(
            self._hold(ready, Request(carrier)), context=contextvars.Context()
        )
        try:
            async with asyncio.timeout(timeout):
                await asyncio.shield(ready)
        except TimeoutError:
            self._lose(f"it did not answer within {timeout:g} s")
            closing = asyncio.ensure_future(self.close())
            await asyncio.wait([closing], timeout=EXIT_SECONDS)
            raise EnvironmentFailure(
                f"MCP server {self._name!r} ({self._endpoint.label}) did not answer "
                f"within {timeout:g} s{self.signs.text}"
            ) from None
        except asyncio.CancelledError:
            await self.close()
            raise

    async def close(self) -> None:
        """End the session, and the process if there is one."""
        self._closing.set()
        self._lose("it was closed")
        if self._owner is None:
            return
        if self._session is None:
            self._owner.cancel()
        await asyncio.wait([self._owner], timeout=EXIT_SECONDS)
        self._owner.cancel()

    async def abandon(self) -> None:
        """Do as `close`, and see to it that the server has heard.

        The package's transport keeps it to itself when a request has just been
        cancelled, now and then.
        """
        endpoint, session_id = self._endpoint, self.signs.session_id
        there = self.lost is None
        await self.close()
        if there and session_id is not None and isinstance(endpoint, Http):
            await endpoint.delete(session_id)

    async def list_tools(self, carrier: Mapping[str, str]) -> list[Any]:
        """Return the definitions of all tools; raises as `request`."""
        from mcp.types import PaginatedRequestParams

        self.stale = False
        found: list[Any] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            params = None if cursor is None else PaginatedRequestParams(cursor=cursor)
            send = functools.partial(self._session.list_tools, params=params)
            page = await self._request(send, Request(carrier))
            found += page.tools
            after = getattr(page, "next_cursor", None) or getattr(
                page, "nextCursor", None
            )
            if not after or after == cursor:
                break
            cursor = after
        return found

    async def call(
        self,
        name: str,
        arguments: Mapping[str, Any],
        request: Request,
        timeout: float | None,
    ) -> Any:
        """Return the `CallToolResult` of a tool call.

        Raises `ConnectionLost`, the package's error of JSON-RPC, TimeoutError if the
        server is slow but there, `EnvironmentFailure` if it answers nothing.
        """
        try:
            async with asyncio.timeout(timeout) as deadline:
                return await self._request(
                    functools.partial(_call_tool, self._session, name, dict(arguments)),
                    request,
                )
        except TimeoutError:
            if not deadline.expired():
                raise
            said = f"tool {name} took longer than {timeout:g} s"
        if not await self._is_there():
            self._lose("it does not answer any more")
            side_loop.soon(self.close)
            raise EnvironmentFailure(
                f"{said}, and MCP server {self._name!r} ({self._endpoint.label}) does "
                f"not answer any more{self.signs.text}"
            )
        raise TimeoutError(said)

    async def call_patiently(
        self, name: str, arguments: Mapping[str, Any], request: Request
    ) -> Any:
        """Do as `call`, however long it takes, as long as the server answers pings."""
        task = asyncio.ensure_future(self.call(name, arguments, request, None))
        try:
            while not task.done():
                await asyncio.wait([task], timeout=_SILENCE_SECONDS)
                if task.done() or await self._is_there(_SILENCE_SECONDS):
                    continue
                self._lose("it does not answer any more")
                side_loop.soon(self.close)
            return await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=_PING_SECONDS)

    async def _is_there(self, seconds: float = _PING_SECONDS) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._request(self._session.send_ping, Request({}))
        except (TimeoutError, ConnectionLost):
            return False
        except Exception:
            return True  # an error is an answer
        return True

    async def _request(self, send: Callable[[], Awaitable[T]], request: Request) -> T:
        if self.lost is not None:
            raise ConnectionLost(self.lost, before=True)
        task = asyncio.ensure_future(self._sent(send, request))
        gone = asyncio.ensure_future(self._gone.wait())
        try:
            while not (task.done() or gone.done()):
                await asyncio.wait(
                    [task, gone],
                    timeout=_PING_SECONDS if self._endpoint.network else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not (task.done() or gone.done()):
                    # A server that is gone may leave its answer open.
                    side_loop.soon(self._is_there)
            if gone.done() and not task.done():
                await asyncio.wait([task], timeout=0.1)
            if task.done() and not task.cancelled():
                return self._outcome(task)
            raise ConnectionLost(str(self.lost), before=False)
        finally:
            gone.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=_PING_SECONDS)

    def _outcome(self, task: asyncio.Future[T]) -> T:
        error = task.exception()
        if error is None:
            return task.result()
        details = getattr(error, "error", None)
        message = getattr(details, "message", "")
        if getattr(details, "code", None) == CONNECTION_CLOSED or message in _GONE:
            self._lose(message)
            side_loop.soon(self.close)
        if self.lost is not None:
            raise ConnectionLost(self.lost, before=False) from error
        raise error

    async def _sent(self, send: Callable[[], Awaitable[T]], request: Request) -> T:
        _sending.set(request)
        try:
            return await send()
        except asyncio.CancelledError:
            if request.id is not None and not hasattr(self._session, "discover"):
                await _tell_cancelled(self._session, request.id)
            raise

    async def _hold(self, ready: asyncio.Future[None], request: Request) -> None:
        """Keep the session open; the transports want to be left where entered."""
        try:
            async with self._endpoint.open(self.signs) as (read, write):
                session = _session(_Reads(read, self._ended), _Writes(write), self)
                async with session:
                    _sending.set(request)
                    hello = await _greet(session)
                    _sending.set(None)
                    info = getattr(session, "server_info", None) or getattr(
                        hello, "serverInfo", None
                    )
                    self.server_name = getattr(info, "name", None)
                    self.protocol = str(
                        getattr(session, "protocol_version", None)
                        or getattr(hello, "protocolVersion", "")
                    )
                    self._session = session
                    ready.set_result(None)
                    await self._closing.wait()
        except EnvironmentFailure as failure:
            self._fail(ready, str(failure))
        except asyncio.CancelledError:
            self._fail(ready, "it was closed")
        except BaseException as error:
            self._fail(ready, _reason(error))
            if not isinstance(error, Exception):
                raise
        finally:
            self._fail(ready, "it ended")

    def _fail(self, ready: asyncio.Future[None], reason: str) -> None:
        self._lose(reason)
        if not ready.done():
            ready.set_exception(
                EnvironmentFailure(
                    f"cannot connect to MCP server {self._name!r} "
                    f"({self._endpoint.label}): {self.lost}{self.signs.text}"
                )
            )
            ready.exception()  # nobody may be left to hear it

    def _ended(self) -> None:
        """Take note of the end of the server's messages."""
        if not self._closing.is_set():
            self._lose("the server has ended" if self._session else "it ended")
            if self._session is not None:
                self._closing.set()

    def _lose(self, reason: str) -> None:
        if self.lost is None:
            self.lost = reason
            if self._session is not None and not self._closing.is_set():
                logger.warning("MCP server %s is gone: %s", self._name, reason)
        self._gone.set()

    async def heard(self, message: Any) -> None:
        """Take a notification of the server."""
        plain = getattr(message, "root", message)
        if getattr(plain, "method", None) == _CHANGED:
            self.stale = True

    async def log(self, params: Any) -> None:
        """Take a log message of the server."""
        logger.info("%s: %s: %s", self._name, params.level, params.data)


class _Writes:
    """A stream of outgoing messages: each request carries the trace it is made in.

    The package puts the context of its own span there, which is not recorded.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def __aenter__(self) -> _Writes:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *details: Any) -> Any:
        return await self._stream.__aexit__(*details)

    async def send(self, item: Any) -> None:
        request = _sending.get()
        message = getattr(item.message, "root", item.message)
        if request is not None and hasattr(message, "method"):
            id = getattr(message, "id", None)
            if id is not None:
                if request.carrier:
                    params = dict(message.params or {})
                    params["_meta"] = {**(params.get("_meta") or {}), **request.carrier}
                    message.params = params
                request.id = id
        await self._stream.send(item)


class _Reads:
    """A stream of incoming messages, whose end is told."""

    def __init__(self, stream: Any, ended: Callable[[], None]) -> None:
        self._stream = stream
        self._ended = ended

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def __aenter__(self) -> _Reads:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *details: Any) -> Any:
        return await self._stream.__aexit__(*details)

    def __aiter__(self) -> _Reads:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except StopAsyncIteration:
            self._ended()
            raise


def _session(read: Any, write: Any, connection: Connection) -> Any:
    from mcp import ClientSession
    from mcp.types import Implementation

    from hudtrace import __version__

    return ClientSession(
        read,
        write,
        message_handler=connection.heard,
        logging_callback=connection.log,
        client_info=Implementation(name="hudtrace", version=__version__),
    )


async def _greet(session: Any) -> Any:
    """Greet as every server of today understands; else as those of 2026 do."""
    try:
        return await session.initialize()
    except Exception as error:
        code = getattr(getattr(error, "error", None), "code", CONNECTION_CLOSED)
        if code == CONNECTION_CLOSED or not hasattr(session, "discover"):
            raise
        try:
            return await session.discover()
        except Exception:
            raise error from None


async def _call_tool(session: Any, name: str, arguments: dict[str, Any]) -> Any:
    types: Any = import_module("mcp.types")
    request: Any = types.CallToolRequest(
        method="tools/call",
        params=types.CallToolRequestParams(name=name, arguments=arguments),
    )
    if not hasattr(session, "discover"):  # mcp 1.x
        request = types.ClientRequest(request)
    return await session.send_request(request, types.CallToolResult)


async def _tell_cancelled(session: Any, id: Any) -> None:
    """Tell the server that nobody waits; mcp 2.x does so itself."""
    types: Any = import_module("mcp.types")
    params = types.CancelledNotificationParams(requestId=id, reason="cancelled")
    notice: Any = types.CancelledNotification(
        method="notifications/cancelled", params=params
    )
    _sending.set(None)
    with contextlib.suppress(Exception):
        async with asyncio.timeout(1):
            await session.send_notification(types.ClientNotification(notice))


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    # There may be an address in it, with a password.
    said = mask(str(error), "[redacted]")
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


async def _close_all() -> None:
    await asyncio.gather(*(each.close() for each in list(_connections)))


side_loop.at_exit = _close_all
