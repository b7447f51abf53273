"""An MCP server over stdio for the tests; runs with mcp 1.x and 2.x alike.

    python stdio_server.py [MODE]

MODE is `crash` (end at once, with a word on stderr) or `hang` (answer nothing).
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

try:
    from mcp.server import MCPServer as Server
except ImportError:
    from mcp.server.fastmcp import FastMCP as Server  # type: ignore[no-redef]
from mcp import types

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()


def make_server(name: str, **options: Any) -> Any:
    server: Any = Server(name, **options)
    notes: list[str] = []
    cancelled: list[str] = []

    @server.tool(description="Add two numbers.")
    async def add(a: Annotated[int, Field(description="one", ge=0)], b: int = 1) -> int:
        return a + b

    @server.tool()
    async def note(text: str) -> list[str]:
        """Remember a text, and tell all of them."""
        notes.append(text)
        return notes

    @server.tool()
    async def pid() -> int:
        return os.getpid()

    @server.tool()
    async def fail(why: str) -> str:
        raise ValueError(why)

    @server.tool()
    async def picture() -> list[Any]:
        kinds: Any = types.ImageContent
        image = kinds.model_validate(
            {"type": "image", "data": PNG, "mimeType": "image/png"}
        )
        return [types.TextContent(type="text", text="a page"), image]

    @server.tool()
    async def slow(seconds: float, key: str = "x") -> str:
        print(f"slow {key}", file=sys.stderr, flush=True)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            cancelled.append(key)
            raise
        return f"slept {key}"

    @server.tool()
    async def cancelled_calls() -> list[str]:
        return cancelled

    @server.tool()
    async def block(seconds: float) -> str:
        time.sleep(seconds)  # noqa: ASYNC251  stands still on purpose
        return "moved on"

    @server.tool()
    async def die() -> str:
        print("about to die", file=sys.stderr, flush=True)
        os._exit(3)

    @server.tool()
    async def environment(name: str) -> str:
        return f"{os.environ.get(name)} in {Path.cwd().name}"

    return server


def with_meta(server: Any) -> Any:
    """Add a tool that tells the `_meta` of its own call."""
    try:
        from mcp.server.mcpserver import Context
    except ImportError:
        from mcp.server.fastmcp import Context  # type: ignore[no-redef,assignment]

    async def meta(ctx: Any) -> str:
        found = ctx.request_context.meta
        plain = found if isinstance(found, dict) else found.model_dump()
        return json.dumps({k: v for k, v in plain.items() if isinstance(v, str)})

    meta.__annotations__ = {"ctx": Context, "return": str}
    server.tool()(meta)
    return server


def with_growth(server: Any) -> Any:
    """Add a tool that adds a tool, and says so."""
    try:
        from mcp.server.mcpserver import Context
    except ImportError:
        from mcp.server.fastmcp import Context  # type: ignore[no-redef,assignment]

    async def grow(ctx: Any) -> str:
        async def grown() -> str:
            return "new"

        server.add_tool(grown, name="grown")
        await ctx.session.send_tool_list_changed()
        return "grown"

    grow.__annotations__ = {"ctx": Context, "return": str}
    server.tool()(grow)
    return server


if __name__ == "__main__":
    mode = sys.argv[1] if len(sys.argv) > 1 else ""
    if mode == "crash":
        sys.exit("no license file")
    if mode == "hang":
        time.sleep(1000)
    with_growth(with_meta(make_server("tester"))).run("stdio")
