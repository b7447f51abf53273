"""What an endpoint of the API is: its path, what it takes, and what answers it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.datastructures import QueryParams

from hudtrace.viewer.problems import Problem

if TYPE_CHECKING:
    from hudtrace.viewer.desk import Desk

ROOT = "/api/hud/v1"
Json = dict[str, Any]
_DIGITS = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_MOST = 2**63 - 1


@dataclass(frozen=True)
class Text:
    """A parameter of free text, or one of `choices`."""

    name: str
    says: str
    default: str | None = None
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    longest: int = 2000

    def read(self, given: str) -> str:
        """Return what was given; raises `Problem` if it cannot be."""
        if len(given) > self.longest:
            raise _bad(self.name, given, f"at most {self.longest} characters")
        if self.choices and given not in self.choices:
            raise _bad(self.name, given, f"one of {', '.join(self.choices)}")
        if self.pattern and not re.fullmatch(self.pattern, given, re.ASCII):
            raise _bad(self.name, given, self.says)
        return given

    @property
    def schema(self) -> Json:
        """The parameter's type for OpenAPI."""
        schema: Json = {"type": "string", "maxLength": self.longest}
        if self.choices:
            schema["enum"] = list(self.choices)
        if self.pattern:
            schema["pattern"] = f"^(?:{self.pattern})$"
        return schema


@dataclass(frozen=True)
class Number:
    """A parameter that is a whole number within bounds."""

    name: str
    says: str
    default: int | None = None
    least: int = 0
    most: int = _MOST

    def read(self, given: str) -> int:
        """Return the number; raises `Problem` if it is none, or out of bounds."""
        if _DIGITS.fullmatch(given) and self.least <= int(given) <= self.most:
            return int(given)
        bounds = f"{self.least} or more"
        if self.most < _MOST:
            bounds = f"from {self.least} to {self.most}"
        raise _bad(self.name, given, f"a whole number, {bounds}")

    @property
    def schema(self) -> Json:
        """The parameter's type for OpenAPI."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Flag:
    """A parameter that is there or not: 1, true, 0, false."""

    name: str
    says: str
    default: bool = False

    def read(self, given: str) -> bool:
        """Return whether it is set."""
        values = {"1": True, "true": True, "": True, "0": False, "false": False}
        if given.lower() in values:
            return values[given.lower()]
        raise _bad(self.name, given, "1 or 0")

    @property
    def schema(self) -> Json:
        """The parameter's type for OpenAPI."""
        return {"type": "string", "enum": ["1", "0", "true", "false"]}


Parameter = Text | Number | Flag
TRACE_ID = Text("trace_id", "the 32 hex digits of a trace", pattern="[0-9a-f]{32}")
SPAN_ID = Text("span_id", "the 16 hex digits of a span", pattern="[0-9a-f]{16}")
CURSOR = Text("cursor", "where the last page ended, as it was given")


@dataclass(frozen=True)
class Endpoint:
    """One address of the API, answered in a thread that reads the store.

    `answer` gets the desk, what is in the path, and the parameters by name; it
    returns plain data, or a response of its own.
    """

    path: str
    answer: Callable[..., Any]
    places: tuple[Text, ...] = ()  # in the path
    parameters: tuple[Parameter, ...] = ()
    #: Answers of this address never change.
    immutable: bool = False
    media: str = "application/json"
    root: str = ROOT

    def read(self, places: Mapping[str, str], query: QueryParams) -> Json:
        """Return all arguments; raises `Problem` for one that is unknown or wrong."""
        found: Json = {}
        for place in self.places:
            found[place.name] = place.read(places[place.name])
        known = {parameter.name: parameter for parameter in self.parameters}
        for name, given in query.multi_items():
            if name not in known:
                there = ", ".join(known) or "none"
                raise Problem(
                    400, f"there is no parameter {name[:80]!r} here (there is: {there})"
                )
            if name in found:
                raise Problem(400, f"the parameter {name!r} is given twice")
            found[name] = known[name].read(given)
        return {**{name: p.default for name, p in known.items()}, **found}

    def ask(self, desk: Desk, arguments: Json) -> Any:
        """Return the answer."""
        return self.answer(desk, **arguments)


def _bad(name: str, given: str, wanted: str) -> Problem:
    return Problem(400, f"{name} is {given[:80]!r}; it must be {wanted}")
