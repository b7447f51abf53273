"""Serves the viewer on its sockets until a signal ends it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from hudtrace.errors import ConfigurationError
from hudtrace.store import viewers
from hudtrace.viewer.app import create_app
from hudtrace.viewer.desk import Viewer
from hudtrace.viewer.options import ViewOptions

_GRACE = 5  # seconds that answers under way have to come to their end


def run(options: ViewOptions, told: Callable[[Viewer], None]) -> None:
    """Serve until SIGINT or SIGTERM; *told* gets the viewer once it listens.

    Raises `ConfigurationError` if its port is taken. That of OTLP may be: then spans
    are received on the viewer's own port only.
    """
    listening = [_bind(options.host, options.port)]
    app = create_app(options)
    viewer: Viewer = app.state.viewer
    viewer.url = _url(options.host, listening[0])
    listening += _receivers(viewer, options)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_GRACE,
        lifespan="on",
        ws="none",
        server_header=False,
    )
    try:
        _Server(config, viewer, told).run(sockets=listening)
    finally:
        viewers.withdraw(options.store)
        viewer.readers.close()
        for each in listening:
            each.close()


def _receivers(viewer: Viewer, options: ViewOptions) -> list[socket.socket]:
    """Listen for OTLP beside, if that is wanted and its port is free."""
    if options.read_only:
        return []
    viewer.receivers.append(
        {"protocol": "http", "url": viewer.url, "state": "listening"}
    )
    if options.otlp_http is None or options.otlp_http == options.port != 0:
        return []
    try:
        beside = _bind(options.host, options.otlp_http)
    except ConfigurationError:
        where = f"{options.host}:{options.otlp_http}"
        state = f"another program has {where}; send to {viewer.url} instead"
        viewer.receivers.append({"protocol": "http", "url": None, "state": state})
        return []
    viewer.otlp_port = beside.getsockname()[1]
    viewer.receivers.insert(
        0,
        {
            "protocol": "http",
            "url": _url(options.host, beside),
            "state": "listening",
        },
    )
    return [beside]


class _Server(uvicorn.Server):
    """Brings the streams to their end first, since no browser would.

    A second Ctrl-C does not wait for anything.
    """

    def __init__(
        self, config: uvicorn.Config, viewer: Viewer, told: Callable[[Viewer], None]
    ) -> None:
        super().__init__(config)
        self._viewer = viewer
        self._told = told

    async def startup(self, sockets: Any = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        if not self.should_exit:
            viewers.announce(self._viewer.options.store, self._viewer.url)
            self._told(self._viewer)

    async def shutdown(self, sockets: Any = None) -> None:
        """Close everything; called on the loop when a signal has come."""
        self._viewer.live.end_streams()
        await super().shutdown(sockets)


def _bind(host: str, port: int) -> socket.socket:
    name = host.strip("[]")
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    try:
        listening = socket.create_server((name, port), family=family, backlog=2048)
        # Or each answer on a connection that is kept waits for the client's ACK.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"another program listens on {host}:{port}; if that is a viewer, it "
                f"shows what you record now, too: open http://{host}:{port}. If not, "
                f"say --port 0 for any that is free"
            ) from error
        raise ConfigurationError(
            f"cannot serve on {host}:{port}: {error.strerror}; choose another address"
        ) from error


def _url(host: str, listening: socket.socket) -> str:
    name = f"[{host.strip('[]')}]" if ":" in host else host
    if name in ("0.0.0.0", "[::]"):
        name = socket.gethostname()
    return f"http://{name}:{listening.getsockname()[1]}"
