"""The fields of a filter: what each takes, and how its values are read."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

SAME = (":", "=", "!=")
TEXT_OPERATORS = (*SAME, "~")
NUMBER_OPERATORS = (*SAME, "<", "<=", ">", ">=")
STATES = ("done", "running", "interrupted", "error")
NONE = "none"  # stands for a value that is not there

_NUMBER = re.compile(r"([+-]?\d{1,15}(?:\.\d{0,15})?|[+-]?\.\d{1,15})(k|m|g)?", re.I)
_LARGE = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|m|h|d|w)")
_UNITS = {
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86_400 * 10**9,
    "w": 7 * 86_400 * 10**9,
}
_LARGEST = 2**62  # that a column is compared with
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Field:
    """One field; `column` is that of the index, None for what is kept as facts."""

    name: str
    kind: str  # text | number | duration | time | state | trace | tag
    column: str | None
    means: str
    operators: tuple[str, ...]


def _texts(names: Mapping[str, tuple[str | None, str]]) -> list[Field]:
    return [
        Field(name, "text", column, means, TEXT_OPERATORS)
        for name, (column, means) in names.items()
    ]


def _numbers(names: Mapping[str, tuple[str, str]]) -> list[Field]:
    return [
        Field(name, "number", column, means, NUMBER_OPERATORS)
        for name, (column, means) in names.items()
    ]


_ALL = [
    *_numbers({"reward": ("reward", "the reward that counts")}),
    Field("status", "state", None, ", ".join(STATES), SAME),
    *_texts(
        {
            "outcome": ("outcome", "how it ended"),
            "failure": ("failure", "whose failure: none, agent, infra, cancelled"),
            "env": ("env", "name of the environment"),
            "scenario": ("scenario", "name of the scenario"),
            "task": ("task_id", "id of the task"),
            "model": ("model", "a model that was asked"),
            "agent": ("agent", "name of the agent"),
            "variant": ("variant", "name of the variant"),
            "job": ("job_id", "id of the job"),
            "group": ("group_id", "id of the group of repeats"),
            "tool": (None, "a tool that was called"),
            "failed": (None, "a tool that failed"),
            "error": (None, "type of an error"),
            "stopped": ("stopped_by", "the limit that stopped it"),
        }
    ),
    Field("tag", "tag", None, "key or key=value of metadata", TEXT_OPERATORS),
    Field("trace", "trace", None, "first digits of the trace id", SAME),
    Field("dur", "duration", "took", "how long, such as 30s or 2m", NUMBER_OPERATORS),
    *_numbers(
        {
            "tokens": ("tokens", "input and output, such as 5k"),
            "cost": ("cost", "US dollars"),
            "turns": ("turns", "how many turns"),
            "calls": ("tool_calls", "how many tool calls"),
            "errors": ("tool_errors", "how many failed tool calls"),
        }
    ),
    Field("started", "time", "start", "2h, 7d, 2026-11-24, today", NUMBER_OPERATORS),
    *_numbers({"attempt": ("attempt", "which repeat, from 1")}),
]
FIELDS: dict[str, Field] = {field.name: field for field in _ALL}


def read_value(field: Field, text: str, now: datetime) -> Any:
    """Return *text* as a value of *field*; None for `none` where that is a value.

    A day comes as its first moment and that of the next one; a moment as twice the same. Raises ValueError that says
    what the field takes.
    """
    if text == NONE and _may_be_unknown(field):
        return None
    return _READERS[field.kind](text, now)


def _may_be_unknown(field: Field) -> bool:
    if field.name == "failure":
        return False  # none is nobody's failure
    return field.column is not None and field.kind in ("text", "number", "duration")


def _number(text: str, _now: datetime) -> float:
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        raise ValueError("a number, such as 0.5, 5k or 1.2M")
    value = float(found[1]) * _LARGE[(found[2] or "").lower()]
    if abs(value) >= _LARGEST:
        raise ValueError("a number of at most 18 digits")
    return int(value) if value.is_integer() else value


def _duration(text: str, _now: datetime) -> int:
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError("a duration with its unit, such as 250ms, 30s, 2m or 1h")
    value = math.floor(float(found[1]) * _UNITS[found[2]])
    if value >= _LARGEST:
        raise ValueError("a duration of at most 100 years")
    return value


def _time(text: str, now: datetime) -> tuple[int, int]:
    clean = text.strip().lower()
    if _SPAN.fullmatch(clean):
        moment = _ns(now) - _duration(clean, now)
        return moment, moment
    days = {"today": now, "yesterday": now - _DAY}
    try:
        if clean in days:
            day = days[clean].replace(hour=0, minute=0, second=0, microsecond=0)
            return _ns(day), _ns(day + _DAY)
        moment_of = datetime.fromisoformat(text.strip())
        if len(clean) == len("2026-11-24"):
            return _ns(moment_of), _ns(moment_of + _DAY)
        return _ns(moment_of), _ns(moment_of + timedelta(minutes=1))
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            "how long ago (2h, 7d), today, yesterday, or a day such as 2026-11-24"
        ) from None


def _ns(moment: datetime) -> int:
    found = int(moment.timestamp() * 10**6) * 1000
    if not 0 <= found < 2**62:
        raise ValueError
    return found


def _state(text: str, _now: datetime) -> str:
    if text not in STATES:
        raise ValueError(f"one of {', '.join(STATES)}")
    return text


def _trace(text: str, _now: datetime) -> tuple[bytes, bytes]:
    clean = text.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{1,32}", clean):
        raise ValueError("the first digits of a trace id, in hex")
    return bytes.fromhex(clean.ljust(32, "0")), bytes.fromhex(clean.ljust(32, "f"))


def _text(text: str, _now: datetime) -> str:
    return text


_READERS = {
    "text": _text,
    "tag": _text,
    "number": _number,
    "duration": _duration,
    "time": _time,
    "state": _state,
    "trace": _trace,
}
