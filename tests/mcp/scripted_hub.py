"""A hub of anybody's: the three tools of a served environment, with given answers.

Runs with mcp 1.x and 2.x alike.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import uvicorn
from mcp.types import CallToolResult

try:
    from mcp.server import MCPServer as Server
except ImportError:
    from mcp.server.fastmcp import FastMCP as Server  # type: ignore[no-redef]


def make_server(answers: dict[str, Any]) -> Any:
    """Make it; `told_of_<tool>` goes with a tool's answer, as `_meta.hud`."""
    server: Any = Server("trivia", log_level="ERROR")

    def telling(tool: str, said: Any) -> CallToolResult:
        text = {"type": "text", "text": json.dumps(said)}
        hud = answers.get(f"told_of_{tool}")
        plain = {"content": [text], "structuredContent": said, "_meta": {"hud": hud}}
        return CallToolResult.model_validate(plain)

    @server.tool()
    async def scenario_list() -> CallToolResult:
        return telling("list", dict(answers["scenario_list"]))

    @server.tool()
    async def scenario_start(
        scenario: str, scenario_args: dict[str, Any]
    ) -> CallToolResult:
        said = {"scenario": scenario, **answers.get("scenario_start", {})}
        return telling("start", said)

    @server.tool()
    async def scenario_submit(answer: Any) -> CallToolResult:
        return telling("submit", dict(answers.get("scenario_submit", {})))

    @server.tool()
    async def add(a: int, b: int = 1) -> int:
        return a + b

    return server


@contextlib.contextmanager
def serving(answers: dict[str, Any]) -> Iterator[str]:
    """Serve in a thread; give the address."""
    app = make_server(answers).streamable_http_app()
    config = uvicorn.Config(
        app, log_level="error", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        thread = threading.Thread(target=server.run, args=[[listening]])
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            server.should_exit = True
            thread.join()
