"""What columns hold of spans that came from elsewhere: what they are for, or nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from hudtrace import semconv
from hudtrace.store import fold
from hudtrace.store.rows import Row

_TRACE_HEX, _SPAN_HEX = re.compile("[0-9a-fA-F]{32}"), re.compile("[0-9a-fA-F]{16}")
_REALS = frozenset({"first_reward", "cost"})
_INTEGERS = frozenset(
    {
        "attempt",
        "input_tokens",
        "output_tokens",
        "turns",
        "tool_calls",
        "tool_errors",
        "span_count",
    }
)


def verdict(
    trace_id: bytes, span_id: bytes, end: int, facts: Mapping[str, Any]
) -> Row | None:
    """Return the `verdicts` row of a reward span, None for others."""
    if not isinstance(facts.get(semconv.EVALUATION_NAME), str):
        return None
    score = real(facts.get(semconv.EVALUATION_SCORE))
    judged = facts.get(semconv.EPISODE_TRACE_ID)
    if score is None or (judged and not _is_hex(judged, _TRACE_HEX)):
        return None
    facts = {**facts, semconv.EVALUATION_SCORE: score}
    if not _is_hex(facts.get(semconv.REWARD_SUPERSEDES), _SPAN_HEX):
        facts.pop(semconv.REWARD_SUPERSEDES, None)
    row = fold.verdict_of(trace_id, span_id, end, facts)
    if row is None:
        return None
    return (*row[:4], *map(text, row[4:8]), *row[8:])


def episode(*args: Any) -> dict[str, Any] | None:
    """Return what a span tells of its episode, as `fold.episode_of`."""
    row = fold.episode_of(*args)
    if row is None:
        return None
    return {column: _column(column, value) for column, value in row.items()}


def _column(column: str, value: Any) -> Any:
    if value is None or isinstance(value, bytes):
        return value
    if column in ("start", "end") or column in _INTEGERS:
        return integer(value)
    return real(value) if column in _REALS else text(value)


def text(value: Any) -> str | None:
    """Return a text, or a number as one."""
    if value is None or isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) else None


def integer(value: Any) -> int | None:
    """Return a whole number that a column can hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**63 else None
    return value


def real(value: Any) -> float | None:
    """Return a number, but for NaN."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return None if math.isnan(value) else float(value)


def _is_hex(value: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
