"""Reads JSON of Jaeger's, and says where in it something is wrong."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from hudtrace.errors import HudtraceError
from hudtrace.interchange.jaeger_model import TYPES

_INT64 = range(-(2**63), 2**63)
_UINT64 = range(2**64)
_SHOWN = 60
_NAMES = {dict: "an object", list: "a list", str: "a text", bool: "a bool"}


class MalformedJaeger(HudtraceError, ValueError):
    """A text is not a trace in Jaeger's JSON; the message names the place."""


class At:
    """A value of the JSON, and where it is."""

    __slots__ = ("_above", "_step", "value")

    def __init__(self, value: Any, above: At | None = None, step: object = "") -> None:
        self.value = value
        self._above = above
        self._step = step

    def __str__(self) -> str:
        if self._above is None:
            return ""
        if isinstance(self._step, int):
            return f"{self._above}[{self._step}]"
        return f"{self._above}.{self._step}".removeprefix(".")

    def wrong(self, what: str) -> MalformedJaeger:
        """Return the error that the value here *what*."""
        return MalformedJaeger(f"{str(self) or 'the JSON'} {what}")

    def object(self) -> dict[str, Any]:
        """Return the value, an object."""
        found: dict[str, Any] = self._of(dict)
        return found

    def text(self) -> str:
        """Return the value, a text that can be encoded."""
        found: str = self._of(str)
        if not found.isascii():
            try:
                found.encode()
            except UnicodeEncodeError:
                raise self.wrong("has half of a surrogate pair") from None
        return found

    def items(self) -> Iterator[At]:
        """Yield the values of the list here; none of null."""
        if self.value is not None:
            for position, value in enumerate(self._of(list)):
                yield At(value, self, position)

    def get(self, name: str) -> At | None:
        """Return a field of the object here; None where it is null or not there."""
        value = self.object().get(name)
        return None if value is None else At(value, self, name)

    def field(self, name: str) -> At:
        """Return a field that must be there."""
        found = self.get(name)
        if found is None:
            raise self.wrong(f"has no {name!r}")
        return found

    def integer(self, allowed: range = _INT64) -> int:
        """Return the value, a whole number; as a text, if JavaScript cannot count so far."""
        value = self.value
        if isinstance(value, str) and value.removeprefix("-").isdecimal():
            value = int(value) if len(value) <= 20 else allowed.stop
        elif isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._is("a whole number")
        if value not in allowed:
            raise self.wrong(f"is out of range: {self._shown()}")
        return value

    def time(self) -> int:
        """Return the value, µs since 1970 or a duration in µs, as ns."""
        return self.integer(range(2**64 // 1000)) * 1000

    def id(self, size: int) -> bytes:
        """Return the value, an id of *size* bytes in hex; it may be shorter."""
        text = self.text()
        try:
            if not 0 < len(text) <= size * 2 or not text.isalnum():
                raise ValueError
            return bytes.fromhex(text.rjust(size * 2, "0"))
        except ValueError:
            raise self._is(f"an id of up to {size * 2} hex digits") from None

    def _of(self, kind: type) -> Any:
        if not isinstance(self.value, kind):
            raise self._is(_NAMES[kind])
        return self.value

    def _is(self, wanted: str) -> MalformedJaeger:
        return self.wrong(f"is not {wanted}: {self._shown()}")

    def _shown(self) -> str:
        text = repr(self.value)
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


class TagAt:
    """A typed key and value of the JSON."""

    __slots__ = ("_at", "key", "type", "value")

    def __init__(self, at: At) -> None:
        self._at = at
        self.key = at.field("key").text()
        kind = at.get("type")
        self.type = "string" if kind is None else kind.text().lower()
        if self.type not in TYPES:
            raise at.wrong(
                f"has a type that is none of {', '.join(TYPES)}: {self.type!r}"
            )
        self.value = self._read(At(at.object().get("value"), at, "value"))

    def _read(self, at: At) -> Any:
        if self.type == "string":
            return at.text()
        if self.type == "binary":
            return _bytes(at)
        if self.type == "int64":
            return at.integer()
        if self.type == "float64":
            return _float(at)
        if not isinstance(at.value, bool):
            raise at.wrong(f"is not a bool: {at.value!r:.60}")
        return at.value

    def write(self, value: Any) -> None:
        """Set an `AnyValue` to the value."""
        field = {"int64": "int", "float64": "double", "binary": "bytes"}
        setattr(value, f"{field.get(self.type, self.type)}_value", self.value)

    def parse(self, message: Any) -> None:
        """Read the value into a protobuf message."""
        from google.protobuf.message import DecodeError

        try:
            if self.type != "binary":
                raise DecodeError
            message.ParseFromString(self.value)
        except DecodeError:
            kind = type(message).__name__
            raise self._at.wrong(f"is no {kind} message of OTLP in base64") from None

    def wrong(self, what: str) -> MalformedJaeger:
        """Return the error that the tag *what*."""
        return self._at.wrong(what)


def tags(at: At | None) -> list[TagAt]:
    """Return the tags or fields of a list; null has none."""
    return [] if at is None else [TagAt(each) for each in at.items()]


def last(found: list[TagAt], key: str) -> TagAt | None:
    """Return the last tag of that key."""
    return next((tag for tag in reversed(found) if tag.key == key), None)


def _bytes(at: At) -> bytes:
    if at.value is None:
        return b""
    try:
        return base64.b64decode(at.text(), validate=True)
    except (binascii.Error, ValueError):
        raise at.wrong("is not base64") from None


def _float(at: At) -> float:
    if isinstance(at.value, bool) or not isinstance(at.value, int | float | str):
        raise at.wrong(f"is not a number: {at.value!r:.60}")
    try:
        return float(at.value)
    except (ValueError, OverflowError):
        raise at.wrong(f"is not a number: {at.value!r:.60}") from None
