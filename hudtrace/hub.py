"""The hub: environments that are installed or configured, found by name."""

from __future__ import annotations

import importlib
import urllib.parse
from typing import TYPE_CHECKING, Any

from hudtrace import settings
from hudtrace.errors import ConfigurationError, HudtraceError, UnknownEnvironment
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
    with the one that was found, or with the hub that could not be asked.
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
    hub = "no HUDTRACE_HUB_URL is set"
    if url:
        server = _ask_hub(name, url, environment)
        if "{name}" in url or server.said_name in (name, f"hudtrace:{name}"):
            return server
        server.close()
        hub = f"the hub at {server.endpoint.label} (it serves {server.said_name!r})"
    raise UnknownEnvironment(
        f"no environment {name!r} in the hub. Looked among: entry points of group "
        f"{GROUP} ({_names(installed)}); [{TABLE}] of the nearest pyproject.toml "
        f'({_names(configured)}); {hub}. Add {name} = "module:attr" to one of the '
        f"first two"
    )


def _ask_hub(name: str, url: str, environment: Environment) -> McpServer:
    """Return the server that the hub URL leads to for *name*, listed.

    Raises `UnknownEnvironment` saying why it cannot be asked.
    """
    if not _is_address(url):
        shown = url.rpartition("@")[2]
        raise UnknownEnvironment(
            f"environment {name!r}: HUDTRACE_HUB_URL is {shown!r:.200}, which is no "
            f"address; it is one like 'http://10.0.0.7:8321/mcp/env'"
        )
    token = settings.load().hub_token
    endpoint = Http(
        url.replace("{name}", urllib.parse.quote(name, safe="")),
        {"Authorization": f"Bearer {token}"} if token else {},
        "HUDTRACE_HUB_TOKEN",
    )
    server = HubServer(endpoint, name=name, environment=environment)
    try:
        server.get_ready_sync()
    except ConfigurationError as error:
        raise UnknownEnvironment(f"environment {name!r}: {error}") from error
    except HudtraceError as error:
        why = _why_not(server, error, has_key=token is not None)
        raise UnknownEnvironment(f"environment {name!r}: {why}") from error
    return server


def _is_address(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:  # brackets that are no IPv6
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _why_not(server: HubServer, error: HudtraceError, *, has_key: bool) -> str:
    """Say why a hub cannot be asked, and what to do."""
    place, tried = f"the hub at {server.endpoint.label}", server.tried
    if tried is None or tried.greeted:
        return f"{place} cannot be used: {error}"
    refused, status = tried.signs.refused, tried.signs.status
    if refused == 401 and not has_key:
        return f"{place} asks for a key ({status}): set HUDTRACE_HUB_TOKEN to it"
    if refused in (401, 403):
        key = "its key, HUDTRACE_HUB_TOKEN," if has_key else "us without a key"
        return (
            f"{place} refuses {key} ({status}): set HUDTRACE_HUB_TOKEN to one that it "
            f"takes"
        )
    if refused == 404:
        return (
            f"{place} has no MCP server there ({status}): set HUDTRACE_HUB_URL to its "
            f"whole address; that of `hudtrace serve` ends in /mcp/env"
        )
    what = f"it answered {status}" if status else tried.lost
    return (
        f"{place} cannot be reached: {what}. See whether it runs, and whether "
        f"HUDTRACE_HUB_URL is its address"
    )


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
