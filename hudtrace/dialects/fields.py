"""Members of the SDK's objects and of plain dicts, read alike, without errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_ATOMS = (str, int, float, list, tuple, type(None))


def get(thing: Any, key: str) -> Any:
    """Return a member of an object or a dict, None if there is none."""
    if isinstance(thing, dict):
        return thing.get(key)
    if isinstance(thing, _ATOMS):
        return None
    try:
        fields = thing.__dict__  # of a model, without the detour of its attributes
        if key in fields:
            return fields[key]
        if isinstance(thing, Mapping):
            return thing.get(key)
        return getattr(thing, key, None)
    except Exception:  # a property of a stranger's object may do anything
        return thing.get(key) if isinstance(thing, Mapping) else None


def list_of(value: Any) -> list[Any]:
    """Return a list or tuple as a list, anything else as an empty one."""
    if isinstance(value, list):
        return value
    if isinstance(value, tuple):
        return list(value)
    return []


def text_or_none(value: Any) -> str | None:
    """Return *value* if it is text."""
    return value if isinstance(value, str) else None


def count(thing: Any, key: str) -> int:
    """Return a member that counts something, 0 if it is no count."""
    value = get(thing, key)
    return value if isinstance(value, int) and value >= 0 else 0


def plain(thing: Any) -> Any:
    """Return an object of the SDK as plain data."""
    dump = getattr(thing, "model_dump", None)
    if callable(dump):
        try:
            return dump(mode="json", exclude_unset=True)
        except Exception:
            return str(thing)
    return dict(thing) if isinstance(thing, Mapping) else thing


def as_text(value: Any) -> str:
    """Return text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def json_or_none(text: bytes) -> Any:
    """Return what *text* says as JSON, None if it is none."""
    from pydantic_core import from_json

    try:
        return from_json(text)
    except ValueError:
        pass  # or it is JSON that only Python reads, like a lone surrogate
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def read_arguments(raw: Any) -> tuple[dict[str, Any] | None, str | None]:
    """Return the arguments as an object, or None and the problem, for the model.

    Nothing, an empty text and a null are what models send for no arguments.
    """
    if raw is None or raw == "":
        return {}, None
    if isinstance(raw, Mapping):
        return dict(raw), None
    try:
        read = json.loads(raw)
    except (TypeError, ValueError, RecursionError) as error:
        return None, f"the arguments are not valid JSON ({error}); send a JSON object"
    if read is None:
        return {}, None
    if not isinstance(read, dict):
        return None, f"the arguments are {json_kind(read)}; send a JSON object"
    return read, None


def read_free_text(raw: Any) -> tuple[dict[str, Any] | None, str | None, str]:
    """Return the text of a custom call as arguments, if it is any, and as it is.

    It is arguments where it is a JSON object; else the problem says so.
    """
    text = raw if isinstance(raw, str) else as_text(raw)
    arguments, problem = read_arguments(text)
    if problem is not None:
        problem = "the tool takes a JSON object of arguments; send one as the input"
    return arguments, problem, text


def json_kind(value: Any) -> str:
    """Return what JSON calls *value*, with its article."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an object" if isinstance(value, Mapping) else "an array"
