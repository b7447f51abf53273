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
    require()
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
    require()
    from hudtrace.server import running
    from hudtrace.server.options import LOOPBACK_NAMES, is_loopback

    running.check_bind(host, options.get("api_key"), allow_unauthenticated)
    if options.get("allowed_hosts") is None:
        near = is_loopback(host)
        options["allowed_hosts"] = [*LOOPBACK_NAMES, host] if near else ["*"]
    app = agent_app(environment, **options)
    name, with_model = app.state.environment.name, options.get("model") is not None

    def say(url: str) -> None:
        running.say_where(name, url, with_model=with_model)

    running.run(app, host, port, grace, told or say)


def require() -> None:
    """Raise `MissingExtra` without the packages that serving needs."""
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
