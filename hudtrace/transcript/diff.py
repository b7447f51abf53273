"""Two episodes side by side: what is the same, and where they first part."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hudtrace.messages import named_numbers
from hudtrace.store import queries
from hudtrace.store.queries import Episode
from hudtrace.transcript import conversation
from hudtrace.transcript.alignment import gaps, matches
from hudtrace.transcript.conversation import Transcript
from hudtrace.transcript.facts import title
from hudtrace.transcript.parts import SHORT, Plain
from hudtrace.transcript.units import Unit, units

_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
_WORDS_BUDGET = 2_000_000  # characters that are compared by words
_PATHS = 200  # differences of arguments that are listed
_SHOWN, _SHOWN_SAME = 20_480, 2_000  # characters of a text
_MANY = 1_000  # rows from which what is the same is shown shorter
_FIGURES = (
    "reward",
    "turns",
    "tool_calls",
    "tool_errors",
    "input_tokens",
    "output_tokens",
    "cost",
    "seconds",
)


@dataclass(frozen=True, slots=True)
class Row:
    """What goes together in two episodes; one side is None where it is in one only."""

    a: Unit | None
    b: Unit | None

    @property
    def kind(self) -> str:
        """How they differ: same, changed, added or removed."""
        if self.a is None or self.b is None:
            return "added" if self.a is None else "removed"
        return "same" if self.a.key == self.b.key else "changed"


def compare(db: sqlite3.Connection, a: str, b: str) -> Plain:
    """Return how the episodes *a* and *b* differ, as plain data."""
    skeletons = conversation.read(db, a), conversation.read(db, b)
    episodes = queries.episode(db, a), queries.episode(db, b)
    listed = rows(units(db, skeletons[0]), units(db, skeletons[1]))
    differing = (index for index, row in enumerate(listed) if row.kind != "same")
    return {
        "a": _head(a, episodes[0], skeletons[0]),
        "b": _head(b, episodes[1], skeletons[1]),
        "figures": list(_figures(*episodes)),
        "rows": list(_plain(listed)),
        "first": next(differing, None),
    }


def rows(one: Sequence[Unit], other: Sequence[Unit]) -> list[Row]:
    """Align two episodes: by what is the same, and between that by what it is."""
    same = matches([unit.key for unit in one], [unit.key for unit in other])
    found: list[Row] = []
    for alike, (a, b, c, d) in gaps(same, one, other):
        if alike:
            found += map(Row, one[a:b], other[c:d])
        else:
            found += _paired(one[a:b], other[c:d])
    return found


def _paired(one: Sequence[Unit], other: Sequence[Unit]) -> Iterator[Row]:
    kinds = [unit.kind for unit in one], [unit.kind for unit in other]
    for alike, (a, b, c, d) in gaps(matches(*kinds), one, other):
        if alike:
            yield from map(Row, one[a:b], other[c:d])
        else:
            yield from (Row(unit, None) for unit in one[a:b])
            yield from (Row(None, unit) for unit in other[c:d])


def _plain(listed: Sequence[Row]) -> Iterator[Plain]:
    left = _WORDS_BUDGET
    shorter = 300 if len(listed) > _MANY else _SHOWN_SAME
    for row in listed:
        unit = row.a or row.b
        longest = shorter if row.kind == "same" else _SHOWN
        words = args = None
        if row.kind == "changed" and row.a and row.b:
            args = _paths(row.a, row.b)
            if args is None and left > 0:
                left -= len(row.a.text) + len(row.b.text)
                words = words_of(row.a.text, row.b.text)
        yield {
            "kind": row.kind,
            "what": unit.what if unit else None,
            "a": None if row.a is None else row.a.side(longest),
            "b": None if row.b is None else row.b.side(longest),
            "words": words,
            "args": args,
        }


def words_of(a: str, b: str) -> list[list[str]]:
    """Return both texts in one, piece by piece: `=` in both, `-` in a, `+` in b."""
    one, other = _TOKEN.findall(a), _TOKEN.findall(b)
    found: list[list[str]] = []
    for alike, (x, y, c, d) in gaps(matches(one, other), one, other):
        if alike:
            found.append(["=", "".join(one[x:y])])
            continue
        if y > x:
            found.append(["-", "".join(one[x:y])])
        if d > c:
            found.append(["+", "".join(other[c:d])])
    return found


def _paths(a: Unit, b: Unit) -> list[Plain] | None:
    """Return where the arguments of two tool calls differ, None where they are texts."""
    if not isinstance(a.arguments, dict | list) or type(a.arguments) is not type(
        b.arguments
    ):
        return None
    found: list[Plain] = []
    for each in _differences("", a.arguments, b.arguments):
        found.append(SHORT.data(each))
        if len(found) == _PATHS:
            break
    return found


def _differences(path: str, a: Any, b: Any) -> Iterator[Plain]:
    """Return the places that differ; a side that has nothing there is left out."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys([*a, *b]):
            below = f"{path}.{key}" if path else str(key)
            yield from _at(below, a, b, key, key in a, key in b)
    elif isinstance(a, list) and isinstance(b, list):
        for index in range(max(len(a), len(b))):
            here = index < len(a), index < len(b)
            yield from _at(f"{path}[{index}]", a, b, index, *here)
    elif a != b or type(a) is not type(b):
        yield {"path": path, "a": a, "b": b}


def _at(path: str, a: Any, b: Any, key: Any, in_a: bool, in_b: bool) -> Iterator[Plain]:
    if in_a and in_b:
        yield from _differences(path, a[key], b[key])
    elif in_a:
        yield {"path": path, "a": a[key]}
    else:
        yield {"path": path, "b": b[key]}


def _head(trace_id: str, episode: Episode | None, transcript: Transcript) -> Plain:
    return {
        "trace_id": trace_id,
        "url": f"/trace/{trace_id}",
        "label": title(episode, transcript),
        "episode": None if episode is None else named_numbers(episode.to_dict()),
    }


def _figures(a: Episode | None, b: Episode | None) -> Iterator[Plain]:
    for name in _FIGURES:
        one, other = (_finite(getattr(each, name, None)) for each in (a, b))
        delta = None if one is None or other is None else other - one
        yield {"name": name, "a": one, "b": other, "delta": delta}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
