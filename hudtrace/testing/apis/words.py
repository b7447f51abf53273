"""How the scripted model cuts a text for a stream."""

from __future__ import annotations

import re
from collections.abc import Iterator


def words(text: str) -> Iterator[str]:
    """Return the words of *text*, each with the space before it."""
    yield from re.findall(r"\s*\S+\s*$|\s*\S+", text) or ([text] if text else [])
