"""Places in lists, as text that says nothing to others."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any


def written(of: str, *values: Any) -> str:
    """Return the place behind a row with these values, in the list *of*."""
    text = json.dumps([of, *values])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read(cursor: str, of: str, count: int) -> list[Any]:
    """Return the values in *cursor*.

    Raises ValueError if no page of the list *of* gave it.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        found = json.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        found = None
    if not isinstance(found, list) or len(found) != count + 1:
        raise ValueError("the cursor is none that a page of this list gave")
    if found[0] != of:
        raise ValueError("the cursor is of another list, or of one in another order")
    if not all(map(_is_storable, found[1:])):
        raise ValueError("the cursor is none that a page of this list gave")
    return found[1:]


def _is_storable(value: Any) -> bool:
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if isinstance(value, str):
        return value.isascii() or value.encode(errors="ignore").decode() == value
    return value is None or isinstance(value, float)
