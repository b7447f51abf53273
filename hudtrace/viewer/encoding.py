"""Plain data as JSON that every browser reads: no NaN, no half characters."""

from __future__ import annotations

import json
import math
from typing import Any

_EXACT = 2**53  # larger integers are not what JavaScript takes them for


def encode(data: Any) -> bytes:
    """Return *data* as UTF-8 JSON."""
    try:
        text = json.dumps(
            data, ensure_ascii=False, separators=(",", ":"), allow_nan=False
        )
    except ValueError:
        text = json.dumps(_sayable(data), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def exact(value: Any) -> Any:
    """Return a value of an attribute so that a browser shows it as it is.

    Integers that JavaScript would round are texts, bytes are told by their length.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -_EXACT < value < _EXACT else str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bytes):
        return {"$bytes": len(value), "hex": value[:64].hex()}
    if isinstance(value, list):
        return [exact(item) for item in value]
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    return value


def _sayable(data: Any) -> Any:
    """Return *data* without numbers that JSON does not have."""
    if isinstance(data, float) and not math.isfinite(data):
        return None
    if isinstance(data, dict):
        return {key: _sayable(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_sayable(item) for item in data]
    return data
