"""The tests' MCP server over streamable HTTP, on a port that it prints.

python http_server.py [NAME] [PORT]
"""

from __future__ import annotations

import socket
import sys

import uvicorn
from stdio_server import make_server, with_growth, with_meta


class RequireKey:
    """Refuses requests without the key, where one is asked for."""

    def __init__(self, app: object, key: bytes) -> None:
        self.app, self.key = app, key

    async def __call__(self, scope: dict, receive: object, send: object) -> None:  # type: ignore[type-arg]
        headers = dict(scope.get("headers", ()))
        if scope["type"] == "http" and headers.get(b"x-key", self.key) != self.key:
            start = {"type": "http.response.start", "status": 401, "headers": []}
            await send(start)  # type: ignore[operator]
            await send({"type": "http.response.body"})  # type: ignore[operator]
            return
        await self.app(scope, receive, send)  # type: ignore[operator]


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "tester"
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    app = with_growth(with_meta(make_server(name))).streamable_http_app()
    listening = socket.create_server(("127.0.0.1", port))
    print(listening.getsockname()[1], flush=True)
    config = uvicorn.Config(
        RequireKey(app, b"right"), log_level="error", timeout_graceful_shutdown=1
    )
    uvicorn.Server(config).run(sockets=[listening])
