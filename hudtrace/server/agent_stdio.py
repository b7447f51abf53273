"""An environment as an MCP server over stdin and stdout: one client, one session."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

from hudtrace.runtime import flush
from hudtrace.server import require

if TYPE_CHECKING:
    from hudtrace.environment import Environment

_FLUSH_SECONDS = 5.0
_HURRY_SECONDS = 1.0


def take_streams() -> tuple[TextIO, TextIO]:
    """Take stdin and stdout for the protocol alone, for the rest of the process.

    What else is printed, by the environment's module or a child, goes to stderr.
    """
    sys.stdout.flush()
    ours = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    reading = io.TextIOWrapper(
        os.fdopen(ours[0], "rb", closefd=False), encoding="utf-8", errors="replace"
    )
    writing = io.TextIOWrapper(
        os.fdopen(ours[1], "wb", closefd=False), encoding="utf-8"
    )
    return reading, writing


def serve_stdio(
    environment: Environment, streams: tuple[TextIO, TextIO], **options: Any
) -> None:
    """Serve until stdin ends or a signal comes; then the open episode is closed."""
    require()
    asyncio.run(_serve(environment.resolve(), streams, options))


async def _serve(
    environment: Environment, streams: tuple[TextIO, TextIO], options: Any
) -> None:
    import anyio
    from mcp.server.stdio import stdio_server

    from hudtrace.server.agent_mcp import agent_server
    from hudtrace.server.agent_sessions import AgentSessions
    from hudtrace.server.options import ServerOptions

    sessions = AgentSessions(ServerOptions(**options))
    server = agent_server(environment, sessions, lambda _: "stdio")
    reading, writing = map(anyio.wrap_file, streams)
    with _at_a_signal(lambda: _leave(sessions)):
        try:
            async with stdio_server(reading, writing) as (received, sent):
                await server.run(received, sent, server.create_initialization_options())
        finally:
            await sessions.close("disconnected")
            await asyncio.to_thread(flush, _FLUSH_SECONDS)


async def _leave(sessions: Any) -> None:
    """Close and go: a thread waits for stdin, and nothing can wake it."""
    await sessions.close()
    await asyncio.to_thread(flush, _FLUSH_SECONDS)
    sys.stderr.flush()
    os._exit(0)


@contextlib.contextmanager
def _at_a_signal(leave: Callable[[], Any]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    leaving: list[asyncio.Task[None]] = []

    def begin(number: int) -> None:
        if leaving:  # a second one: at once
            flush(_HURRY_SECONDS)
            os._exit(128 + number)
        leaving.append(asyncio.ensure_future(leave()))

    signals = (signal.SIGINT, signal.SIGTERM)
    for each in signals:
        with contextlib.suppress(NotImplementedError):  # on Windows
            loop.add_signal_handler(each, begin, each)
    try:
        yield
    finally:
        for each in signals:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(each)
