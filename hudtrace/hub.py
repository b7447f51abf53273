"""The hub: environments that are installed or configured, found by name."""

from __future__ import annotations

import importlib
import urllib.parse
from typing import TYPE_CHECKING, Any

from hudtrace import settings
from hudtrace.errors import HudtraceError, UnknownEnvironment
from hudtrace.mcp_servers import Http, HubServer, McpServer

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from hudtrace.environment import Environment

GROUP = "hudtrace.environments"
TABLE = "tool.hudtrace.environments"


def find_in_hub(name: str, environment: Environment) -> Any:
    """Load what is registered as *name*: an entry point, else a configured one.

    Else return the hub's server of it, listed, where a hub URL is set and it has it; its
    scenarios are *environment*'s.

    Raises `UnknownEnvironment` naming the places searched, or what went wrong
    with the one that was found.
    """
    from importlib.metadata import EntryPoint, entry_points

    installed = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name in installed:
        return _load(name, installed[name], f"entry point of group {GROUP}")
    configured = settings.project_table().get("environments", {})
    if name in configured:
        entry = EntryPoint(name, configured[name], GROUP)
        return _load(name, entry, f"[{TABLE}] of pyproject.toml")
    url = settings.load().hub_url
    hub: Any = "no HUDTRACE_HUB_URL is set"
    if url:
        hub = _ask_hub(name, url, environment)
        if isinstance(hub, McpServer):
            return hub
    raise UnknownEnvironment(
        f"no environment {name!r} in the hub. Looked among: entry points of group "
        f"{GROUP} ({_names(installed)}); [{TABLE}] of the nearest pyproject.toml "
        f'({_names(configured)}); {hub}. Add {name} = "module:attr" to one of the '
        f"first two"
    )


def _ask_hub(name: str, url: str, environment: Environment) -> McpServer | str:
    """Return the hub's server of the environment *name*, or why there is none."""
    named = "{name}" in url
    token = settings.load().hub_token
    endpoint = Http(
        url.replace("{name}", urllib.parse.quote(name, safe="")),
        {"Authorization": f"Bearer {token}"} if token else {},
    )
    server = HubServer(endpoint, name=name, environment=environment)
    place = f"the hub at {endpoint.label}"
    try:
        server.get_ready_sync()
    except HudtraceError as error:
        return f"{place}: {error}"
    if named or server.said_name in (name, f"hudtrace:{name}"):
        return server
    server.close()
    return f"{place} (it serves {server.said_name!r})"


def _names(known: Any) -> str:
    return f"it has: {', '.join(sorted(known))}" if known else "it has none"


def _load(name: str, entry: EntryPoint, where: str) -> Any:
    try:
        importlib.import_module(entry.module)
        return entry.load()
    except Exception as error:
        raise UnknownEnvironment(
            f"environment {name!r} is {entry.value} by {where}, but loading it failed: "
            f"{type(error).__name__}: {error}"
        ) from error
