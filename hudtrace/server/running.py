"""Serves the application on a socket of its own, until a signal ends it."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import uvicorn

from hudtrace.errors import ConfigurationError
from hudtrace.runtime import flush
from hudtrace.server.options import is_loopback
from hudtrace.settings import read_key

if TYPE_CHECKING:
    from fastapi import FastAPI

_MARGIN = 30.0  # seconds beyond the grace time, before connections are cut
_HURRY = 1.0  # seconds for each of the last steps after a second Ctrl-C


def check_bind(host: str, api_key: str | None, allow_unauthenticated: bool) -> None:
    """Raise `ConfigurationError` for an address that others reach without a key."""
    if api_key is not None:
        read_key(api_key, "api_key")
        return
    if is_loopback(host) or allow_unauthenticated:
        return
    raise ConfigurationError(
        f"host={host!r} can be reached from other machines, and there is no api_key: "
        f"anyone there could run models at your cost. Pass api_key='…', or serve on "
        f"127.0.0.1, or say allow_unauthenticated=True"
    )


def run(
    app: FastAPI, host: str, port: int, grace: float, told: Callable[[str], None]
) -> None:
    """Serve *app* until SIGINT or SIGTERM; *told* gets the server's address.

    Answers that are under way have *grace* seconds to come to their end.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RuntimeError(
            "serve_as_agent() blocks, and an event loop runs here already: call it in "
            "a thread, or serve env.agent_app(...) with a server of your own"
        )
    listening = _bind(host, port)
    name = f"[{host}]" if ":" in host else host
    told(f"http://{name}:{listening.getsockname()[1]}")
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=int(grace + _MARGIN),
        lifespan="on",
        ws="none",
    )
    with listening:
        _Server(config, grace).run(sockets=[listening])


def say_where(environment: str, url: str, *, with_model: bool) -> None:
    """Say on stderr what is served where."""
    agent = f"OpenAI base_url={url}/v1, MCP {url}/mcp, " if with_model else ""
    print(
        f"hudtrace: scenarios of {environment!r} at {url} ({agent}for agents that speak "
        f"MCP {url}/mcp/env); Ctrl-C stops it",
        file=sys.stderr,
        flush=True,
    )


class _Server(uvicorn.Server):
    """Ends the sessions while connections close, so that open streams come to an end.

    A second Ctrl-C ends them at once.
    """

    def __init__(self, config: uvicorn.Config, grace: float) -> None:
        super().__init__(config)
        self._grace = grace

    async def shutdown(self, sockets: Any = None) -> None:
        """Close everything; called on the loop when a signal has come."""
        closing = asyncio.create_task(self._close(sockets))
        while not (closing.done() or self.force_exit):
            await asyncio.wait([closing], timeout=0.05)
        if self.force_exit:
            await self._leave()
        await closing

    async def _close(self, sockets: Any) -> None:
        drains = (sessions.drain(self._grace) for sessions in self._sessions)
        draining = asyncio.gather(*drains)
        await super().shutdown(sockets)
        await draining

    async def _leave(self) -> None:
        """Write what there is, and end as Ctrl-C does: no thread is waited for."""
        await asyncio.gather(*(s.close(patience=_HURRY) for s in self._sessions))
        flush(_HURRY)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)

    @property
    def _sessions(self) -> Any:
        app: Any = self.config.app
        return app.state.sessions


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server(
            (host.strip("[]"), port), family=family, backlog=2048
        )
        # Asyncio sets it only where it has made the socket; answers wait 40 ms else.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        raise ConfigurationError(
            f"cannot serve on {host}:{port}: {error.strerror}; choose another port"
        ) from error
