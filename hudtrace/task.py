"""A task: one scenario with its arguments, ready to be run anywhere."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hudtrace.errors import InvalidArguments, UnknownScenario
from hudtrace.tools import digest_of

if TYPE_CHECKING:
    from hudtrace.environment import Environment
    from hudtrace.scenario import Scenario


@dataclass(frozen=True)
class Task:
    """A scenario and its arguments: immutable, picklable, plain data as JSON.

    `id` is the same for the same environment, scenario and arguments, in any
    process. `reference` is `module:attr` of the environment, where that can be
    imported. Equal tasks have equal fields.
    """

    environment: str
    scenario: str
    args: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""
    reference: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    _environment: Any = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Copy the arguments as plain data and derive the id."""
        _check_kinds(self.environment, self.scenario, self.args)
        args = _plain_args(self.args, self.scenario)
        object.__setattr__(self, "args", args)
        object.__setattr__(self, "tags", tuple(self.tags))
        if not self.id:
            canonical = json.dumps(args, sort_keys=True, ensure_ascii=False)
            digest = digest_of(self.environment, self.scenario, canonical)
            name = f"{self.environment}:{self.scenario}:{digest[:12]}"
            object.__setattr__(self, "id", name)

    def replace(
        self,
        *,
        id: str | None = None,
        tags: tuple[str, ...] | list[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Task:
        """Return a copy with another id, other tags or other metadata."""
        changes: dict[str, Any] = {"id": id, "tags": tags, "metadata": metadata}
        given = {key: value for key, value in changes.items() if value is not None}
        return dataclasses.replace(self, **given)

    def validate(self) -> None:
        """Raise a `TaskError` if the task cannot be run as it is."""
        _, scenario = self.resolve()
        scenario.arguments(self.args)

    def resolve(self) -> tuple[Environment, Scenario[Any]]:
        """Find the environment and the scenario.

        Raises `UnknownEnvironment` saying where it looked, `UnknownScenario`
        with the names there are.
        """
        from hudtrace.environment import find_environment

        environment = self._environment
        if environment is None:
            environment = find_environment(self.environment, self.reference)
        environment = environment.resolve()
        scenario = environment.scenarios.get(self.scenario)
        if scenario is None:
            raise UnknownScenario(
                f"no scenario {self.scenario!r} in environment {environment.name!r} "
                f"(it has: {', '.join(environment.scenarios) or 'none'})"
            )
        return environment, scenario

    def to_dict(self) -> dict[str, Any]:
        """Return the task as plain data; `Task.from_dict` reads it back."""
        return {
            "environment": self.environment,
            "scenario": self.scenario,
            "args": dict(self.args),
            "id": self.id,
            "reference": self.reference,
            "tags": list(self.tags),
            "metadata": dict(self.metadata),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Task:
        """Make a task of what `to_dict` returned; raises TypeError for other keys."""
        return cls(**data)

    def __hash__(self) -> int:
        return hash((self.environment, self.scenario, self.id))

    def __getstate__(self) -> dict[str, Any]:
        """Leave the environment behind: the other process looks it up."""
        return {**self.__dict__, "_environment": None}


def _check_kinds(environment: object, scenario: object, args: object) -> None:
    if not isinstance(environment, str):
        raise TypeError(
            f"a task names its environment, but got {environment!r:.80}; call the "
            f"environment itself: env('initials', company='HUD')"
        )
    if not isinstance(scenario, str):
        name = getattr(scenario, "name", None)
        instead = (
            f"call the scenario itself: task = {name}(company='HUD'), or name it: "
            f"{name!r}"
            if isinstance(name, str)
            else "name it: env('initials', company='HUD')"
        )
        raise TypeError(
            f"scenario={scenario!r:.80}: a task has the scenario's name; {instead}"
        )
    if not isinstance(args, Mapping):
        raise TypeError(
            f"args={args!r:.80}: the arguments of scenario {scenario!r} are a mapping "
            f"by their names, for example {{'company': 'HUD'}}"
        )


def _plain_args(args: Mapping[str, Any], scenario: str) -> dict[str, Any]:
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        plain = to_jsonable_python(dict(args))
        json.dumps(plain, allow_nan=False)
    except (PydanticSerializationError, TypeError, ValueError) as error:
        raise InvalidArguments(
            f"the arguments of scenario {scenario!r} must be plain data (numbers, "
            f"text, lists, dicts, models): {error}"
        ) from error
    return dict(plain)
