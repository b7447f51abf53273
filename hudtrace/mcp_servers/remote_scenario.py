"""A scenario that another process runs, as it was listed by its server."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hudtrace.errors import InvalidArguments
from hudtrace.mcp_servers.hub_session import HubSession
from hudtrace.nulls import without_stray_nulls
from hudtrace.scenario import Scenario
from hudtrace.scenario_run import ScenarioRun
from hudtrace.schema import Parameters
from hudtrace.tools import Tool, digest_of

if TYPE_CHECKING:
    from hudtrace.environment import Environment
    from hudtrace.mcp_servers.hub_server import HubServer
    from hudtrace.task import Task

Json = dict[str, Any]


class RemoteScenario(Scenario[Any]):
    """A scenario of a hub's environment; each run has an MCP session of its own.

    `grader_digest` is what the server says, else a hash of what it lists.
    """

    def __init__(
        self,
        environment: Environment,
        server: HubServer,
        name: str,
        listed: Mapping[str, Any],
    ) -> None:
        from pydantic import BaseModel

        async def function(**_: Any) -> Any:
            yield  # it is run elsewhere

        function.__name__ = name
        super().__init__(
            environment,
            function,
            name,
            description=str(listed.get("description") or ""),
            reward_range=_range_of(listed.get("reward_range")),
        )
        schema = listed.get("input_schema")
        schema = dict(schema) if isinstance(schema, Mapping) else {}
        if not isinstance(schema.get("properties"), Mapping):
            schema["properties"] = {}
        schema.setdefault("type", "object")
        self._parameters = Parameters(schema, BaseModel, {}, True)
        self._server = server
        # Overrides the hash of a source that is not here.
        digest = listed.get("digest")
        self.grader_digest = (
            digest
            if isinstance(digest, str)
            else digest_of(json.dumps(listed, sort_keys=True))
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Task:
        """Make a task of this scenario; raises `InvalidArguments`."""
        names = list(self.parameters["properties"])
        if len(names) < len(args):
            raise TypeError(
                f"scenario {self.name!r} takes {len(names)} arguments, but got "
                f"{len(args)}"
            )
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        return self._environment.task(self.name, given)

    def arguments(self, given: Mapping[str, Any]) -> Json:
        """Check *given* by the listed schema; raises `InvalidArguments`."""
        pruned: Json = without_stray_nulls(dict(given), self.parameters)
        problems = _problems(pruned, self.parameters)
        if problems:
            raise InvalidArguments(
                f"invalid arguments for scenario '{self.name}':\n" + "\n".join(problems)
            )
        return pruned

    def tools(self, tools: Mapping[str, Tool]) -> dict[str, Tool]:
        """Return the tools that the server offers in it, all where it does not say."""
        offered = self._server.offers.get(self.name)
        return {
            name: tool
            for name, tool in self._server.tools.items()
            if offered is None or name in offered
        }

    def open(self, arguments: Mapping[str, Any]) -> ScenarioRun:
        """Return a run of the scenario, there, with validated *arguments*."""
        session = HubSession(self._server, self.name)
        start = functools.partial(session.play, dict(arguments))
        return ScenarioRun(self.name, start, is_async=True, elsewhere=session.elsewhere)


def _problems(given: Json, schema: Json) -> list[str]:
    """Say what is wrong with *given*; where the schema itself is, the server will."""
    try:
        return [*_unnamed(given, schema), *_mismatches(given, schema)]
    except Exception:  # anything can be in it, references to elsewhere too
        return []


def _unnamed(given: Json, schema: Json) -> Iterator[str]:
    """Say which arguments there are not, and which are missing."""
    properties = schema["properties"]
    if schema.get("additionalProperties") is False:
        there = f"it takes: {', '.join(properties)}" if properties else "it takes none"
        for name in given:
            if name not in properties:
                yield f"- {name}: no such argument ({there})"
    for name in schema.get("required") or ():
        if name not in given:
            yield f"- {name}: missing, but required"


def _mismatches(given: Json, schema: Json) -> list[str]:
    known = {name: given[name] for name in given if name in schema["properties"]}
    schema = {**schema, "additionalProperties": True, "required": []}
    validators: Any = import_module("jsonschema")  # the package `mcp` needs it
    registry = import_module("referencing").Registry()  # it fetches nothing
    kind = validators.validators.validator_for(
        schema, default=validators.Draft202012Validator
    )
    return [
        f"- {'.'.join(map(str, error.absolute_path)) or 'arguments'}: "
        f"{error.message:.200}"
        for error in kind(schema, registry=registry).iter_errors(known)
    ]


def _range_of(listed: Any) -> tuple[float, float] | None:
    try:
        low, high = listed
        return (float(low), float(high)) if low < high else None
    except (TypeError, ValueError):
        return None
