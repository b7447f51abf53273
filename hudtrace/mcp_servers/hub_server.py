"""A server that a hub has of an environment: its tools, and the scenarios it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hudtrace.errors import ConfigurationError, EnvironmentFailure, ToolError
from hudtrace.mcp_servers.connection import Connection, Request
from hudtrace.mcp_servers.hub_session import LIST, START, SUBMIT, hud_of, plain_of
from hudtrace.mcp_servers.remote_scenario import RemoteScenario
from hudtrace.mcp_servers.remote_tool import RemoteTool
from hudtrace.mcp_servers.server import McpServer
from hudtrace.scenario import Exclusive
from hudtrace.tools import ToolResult

if TYPE_CHECKING:
    from hudtrace.environment import Environment
    from hudtrace.mcp_servers.endpoints import Endpoint

OWN = frozenset({LIST, START, SUBMIT})
_AGENTS = frozenset({"scenario_send", "scenario_finish"})


class HubServer(McpServer):
    """A server of a hub, whose scenarios become those of *environment*.

    That is so where it is one of ours (`hudtrace serve`): then its tools belong to
    episodes, each of which has a session of its own, and none is kept open between
    them. Any other server has tools alone, as with `connect_mcp`. `tools` are those
    that any of its scenarios offers, `offers` their names by the scenario's, as far as
    the server says so.
    """

    def __init__(
        self, endpoint: Endpoint, *, name: str, environment: Environment
    ) -> None:
        super().__init__(endpoint, name=name)
        self.offers: Mapping[str, frozenset[str]] = {}
        self._environment = environment
        self._outdated = False

    @property
    def is_ready(self) -> bool:
        """Whether its tools are known, and its scenarios where it has any."""
        alive = super().is_ready
        return not self._outdated if self.scenarios else alive

    def note_digest(self, digest: object) -> None:
        """Have it listed anew, where it is not any more what was listed."""
        if digest != self.env_digest:
            self._outdated = True

    async def _get_ready(self, carrier: Mapping[str, str]) -> None:
        await super()._get_ready(carrier)
        if self.scenarios:
            self.close()

    async def _take(
        self, connection: Connection, listed: list[Any], carrier: Mapping[str, str]
    ) -> None:
        names = {definition.name for definition in listed}
        if names >= _AGENTS and SUBMIT not in names:
            raise ConfigurationError(self._leads_to_an_agent())
        if not names >= OWN:
            await super()._take(connection, listed, carrier)
            self.scenarios, self.env_digest = {}, None
            return
        request = Request(carrier)
        answer = plain_of(await connection.call(LIST, {}, request, None))
        told = answer.get("structuredContent") or {}
        entries = told.get("scenarios")
        if answer.get("isError") or not isinstance(entries, list):
            raise EnvironmentFailure(f"{LIST} answered {answer.get('content')!r:.300}")
        catalogue = hud_of(answer)
        # Only what all scenarios offer is listed where no episode is open.
        listed = _definitions(catalogue.get("tools")) or listed
        others = [each for each in listed if each.name not in OWN]
        self.tools = {each.name: _HubTool(each) for each in others}
        self.offers = _names_of(catalogue.get("offers"))
        self.scenarios = self._read(entries)
        self.env_digest = told.get("digest")
        self._outdated = False

    def _leads_to_an_agent(self) -> str:
        here = self.endpoint.label.rstrip("/")
        there = f"{here}/env" if here.endswith("/mcp") else "its address of /mcp/env"
        return (
            f"{here} is for clients that talk to an agent (it has scenario_send), and "
            f"not for an environment to be used here; that is at {there}: set "
            f"HUDTRACE_HUB_URL to it"
        )

    def _read(self, entries: Iterable[Any]) -> dict[str, RemoteScenario]:
        environment, read = self._environment, {}
        for entry in entries:
            name = entry.get("short_name") if isinstance(entry, Mapping) else None
            if not isinstance(name, str):
                raise EnvironmentFailure(f"{LIST} has a scenario {entry!r:.80}")
            read[name] = RemoteScenario(environment, self, name, entry)
        return read


class _HubTool(Exclusive, RemoteTool):
    """A tool as it is listed: it can be called in an episode of the server's alone."""

    def __init__(self, definition: Any) -> None:
        super().__init__(definition, definition.name, _refuse)


async def _refuse(name: str, _: dict[str, Any]) -> ToolResult:
    raise ToolError(
        f"tool {name!r} belongs to the scenarios of a hub's environment, and can be "
        f"called only in an episode of one of them"
    )


def _definitions(told: Any) -> list[Any]:
    """Read definitions of tools; raises `EnvironmentFailure` for what are none."""
    from mcp.types import Tool
    from pydantic import ValidationError

    try:
        return [Tool.model_validate(each) for each in told or ()]
    except (TypeError, ValidationError) as error:
        raise EnvironmentFailure(
            f"{LIST} has tools that cannot be read: {error!s:.300}"
        ) from error


def _names_of(told: Any) -> dict[str, frozenset[str]]:
    if not isinstance(told, Mapping):
        return {}
    return {
        scenario: frozenset(name for name in names if isinstance(name, str))
        for scenario, names in told.items()
        if isinstance(names, list)
    }
