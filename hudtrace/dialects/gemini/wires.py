"""Objects of either Gemini library and dicts of either spelling, as JSON has them."""

from __future__ import annotations

import base64
import functools
import re
import sys
from typing import Any

Json = dict[str, Any]
_ATOMS = (str, int, float, list, tuple, bytes, type(None))


def wire_of(thing: Any) -> Any:
    """Return *thing* with its keys in camelCase, an object of a library as a dict.

    Of a dict only its own keys are changed, not those of dicts inside it: they
    may be a tool's arguments.
    """
    if isinstance(thing, dict):
        if any("_" in key for key in thing if isinstance(key, str)):
            return {camel(key): value for key, value in thing.items()}
        return thing
    if isinstance(thing, _ATOMS):
        return thing
    try:
        return _dumped(thing)
    except Exception:  # a stranger's object may do anything
        return str(type(thing).__name__)


def dict_of(thing: Any) -> Json:
    """Return *thing* as `wire_of` does if that is a dict, else an empty one."""
    wire = wire_of(thing)
    return wire if isinstance(wire, dict) else {}


def base64_of(data: Any) -> Any:
    """Return bytes, or base64 of either alphabet, as standard base64.

    The libraries send the URL-safe alphabet, the API answers in the standard one.
    """
    if isinstance(data, bytes | bytearray):
        return base64.b64encode(data).decode("ascii")
    if isinstance(data, str) and ("-" in data or "_" in data):
        return data.replace("-", "+").replace("_", "/")
    return data


@functools.lru_cache(maxsize=512)
def camel(key: str) -> str:
    """Return a key in camelCase."""
    return re.sub(r"(?<=[a-zA-Z0-9])_([a-z0-9])", lambda m: m[1].upper(), key)


def _dumped(thing: Any) -> Any:
    dump = getattr(thing, "model_dump", None)
    if callable(dump):
        return dump(mode="json", by_alias=True, exclude_none=True)
    kind: Any = type(thing)
    if hasattr(kind, "pb"):  # proto-plus, around a message of protobuf
        thing = kind.pb(thing)
    if hasattr(thing, "DESCRIPTOR"):
        # Whoever made the message has loaded this.
        json_format: Any = sys.modules["google.protobuf.json_format"]
        return _whole(json_format.MessageToDict(thing))
    if hasattr(kind, "keys"):
        return wire_of(dict(thing))
    return str(thing)


def _whole(value: Any) -> Any:
    """Make integers of whole floats: protobuf's `Struct` has no other numbers."""
    if isinstance(value, dict):
        return {key: _whole(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_whole(child) for child in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
