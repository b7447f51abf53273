"""Scenarios over HTTP and MCP: any OpenAI or MCP client can run them.

Needs the extra `server`; nothing of it is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hudtrace.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from hudtrace.environment import Environment


def agent_app(environment: Environment, **options: Any) -> FastAPI:
    """Make the application of `env.agent_app`."""
    _require()
    from hudtrace.server.app import create_app
    from hudtrace.server.options import ServerOptions

    return create_app(environment, ServerOptions(**options))


def serve_as_agent(
    environment: Environment,
    *,
    host: str,
    port: int,
    allow_unauthenticated: bool,
    grace: float,
    told: Callable[[str], None] | None = None,
    **options: Any,
) -> None:
    """Serve until a signal comes, as `env.serve_as_agent`; *told* gets the address."""
    _require()
    from hudtrace.server import running
    from hudtrace.server.options import LOOPBACK_NAMES, is_loopback

    running.check_bind(host, options.get("api_key"), allow_unauthenticated)
    if options.get("allowed_hosts") is None:
        near = is_loopback(host)
        options["allowed_hosts"] = [*LOOPBACK_NAMES, host] if near else ["*"]
    app = agent_app(environment, **options)
    name = app.state.service.environment.name
    running.run(
        app, host, port, grace, told or (lambda url: running.say_where(name, url))
    )


def _require() -> None:
    try:
        import fastapi
        import mcp
        import uvicorn
    except ImportError as error:
        raise MissingExtra(
            f"serving scenarios needs {error.name!r}, which is not installed: "
            f"pip install 'hudtrace[server]'"
        ) from error
    del fastapi, mcp, uvicorn
