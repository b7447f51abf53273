"""The hub: environments that are installed or configured, found by name."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hudtrace import settings
from hudtrace.errors import UnknownEnvironment

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "hudtrace.environments"
TABLE = "tool.hudtrace.environments"


def find_in_hub(name: str) -> Any:
    """Load what is registered as *name*: an entry point, else a configured one.

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
    hub = f"the hub at {url} (not read yet)" if url else "no HUDTRACE_HUB_URL is set"
    raise UnknownEnvironment(
        f"no environment {name!r} in the hub. Looked among: entry points of group "
        f"{GROUP} ({_names(installed)}); [{TABLE}] of the nearest pyproject.toml "
        f'({_names(configured)}); {hub}. Add {name} = "module:attr" to one of the '
        f"first two"
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
