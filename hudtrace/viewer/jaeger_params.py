"""Parameters of Jaeger's query API, read and refused as Jaeger does it."""

from __future__ import annotations

import datetime
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.datastructures import QueryParams

from hudtrace.interchange import go_text

LOOKBACK_NS = 2 * 86_400 * 10**9
MOST_TRACES = 10_000
_LATEST = 2**63 - 1
_TRUE = {"1", "t", "T", "TRUE", "true", "True"}
_FALSE = {"0", "f", "F", "FALSE", "false", "False"}
_KINDS = {list: "array", int: "number", float: "number", bool: "bool", str: "string"}
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)", re.ASCII
)
_LAYOUT = "2006-01-02T15:04:05.999999999Z07:00"
_YEAR = re.compile(r"\d{4}", re.ASCII)


class Unreadable(ValueError):
    """A parameter that cannot be read, in Jaeger's words."""


@dataclass(frozen=True)
class Search:
    """What traces are searched for; times in ns, a duration of 0 is none."""

    service: str
    operation: str
    start: int
    end: int
    min_duration: int
    max_duration: int
    limit: int
    tags: dict[str, str] = field(default_factory=dict)


def search(query: QueryParams) -> Search:
    """Read a search of version 2: times in µs, durations such as `1.2s`."""
    now = time.time_ns()
    start = _time(query, "start", 1000, now - LOOKBACK_NS)
    end = _time(query, "end", 1000, now)
    tags = _tags(query)
    limit = _first(query, "limit")
    found = Search(
        service=_first(query, "service"),
        operation=_first(query, "operation"),
        start=start,
        end=end,
        limit=integer(limit, bits=32) if limit else 100,
        min_duration=_duration(query, "minDuration"),
        max_duration=_duration(query, "maxDuration"),
        tags=tags,
    )
    flag(query, "raw")
    if not found.service and "traceID" not in query:
        raise Unreadable("parameter 'service' is required")
    if 0 != found.max_duration < found.min_duration != 0:
        raise Unreadable("'maxDuration' should be greater than 'minDuration'")
    return found


def search_v3(query: QueryParams) -> Search:
    """Read a search of version 3: times of RFC 3339; names in either style."""
    start, end = _v3(query, "start_time_min"), _v3(query, "start_time_max")
    if not (start and end):
        raise Unreadable("query.start_time_min and query.start_time_max are required")
    start_ns = _named("query.start_time_min", moment, start)
    end_ns = _named("query.start_time_max", moment, end)
    limit = _v3(query, "num_traces") or _v3(query, "search_depth")
    shortest, longest = _v3(query, "duration_min"), _v3(query, "duration_max")
    return Search(
        service=_v3(query, "service_name"),
        operation=_v3(query, "operation_name"),
        start=start_ns,
        end=end_ns,
        limit=_named("query.num_traces", _atoi, limit) if limit else 0,
        min_duration=_named("query.duration_min", _go_duration, shortest),
        max_duration=_named("query.duration_max", _go_duration, longest),
        tags=_attributes(_v3(query, "attributes")),
    )


def trace_id(text: str) -> str:
    """Read a trace id, which may be short, as 32 digits."""
    if len(text) > 32:
        raise Unreadable(f"TraceID cannot be longer than 32 hex characters: {text}")
    halves = [text[:-16], text[-16:]] if len(text) > 16 else [text]
    for half in halves:
        if not re.fullmatch(r"[0-9a-fA-F]+", half):
            raise _syntax("ParseUint", half)
    return text.lower().rjust(32, "0")


def check_times(query: QueryParams) -> None:
    """Refuse times of a trace that are no numbers; any others say nothing to us."""
    for name in ("start", "end"):
        _time(query, name, 1000, 0)


def flag(query: QueryParams, name: str) -> bool:
    """Read a parameter that is true or false."""
    text = _first(query, name)
    if text and text not in _TRUE | _FALSE:
        raise _param(name, _syntax("ParseBool", text))
    return text in _TRUE


def period(query: QueryParams) -> tuple[int, int]:
    """Read the period of dependencies, given in ms: its start and end in ns."""
    end = _time(query, "endTs", 10**6, time.time_ns())
    lookback = _first(query, "lookback")
    if not lookback:
        return end - 86_400 * 10**9, end
    try:
        return _stored(end - integer(lookback) * 10**6), end
    except Unreadable as error:
        raise _param("lookback", error) from None


def moment(text: str) -> int:
    """Read a time of RFC 3339 as ns."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise _moment_error(text, text)
    second, fraction, zone = found.groups()
    try:
        at = datetime.datetime.fromisoformat(second + zone.replace("Z", "+00:00"))
    except ValueError:
        raise Unreadable(f'parsing time "{text}": out of range') from None
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    seconds = (at - epoch) // datetime.timedelta(seconds=1)
    return _stored(seconds * 10**9 + int((fraction or "0")[:9].ljust(9, "0")))


def v3_flag(query: QueryParams, name: str) -> bool:
    """Read a parameter of version 3 that is true or false."""
    text = _first(query, name)
    if text and text not in _TRUE | _FALSE:
        raise Unreadable(f"malformed parameter {name}: {_syntax('ParseBool', text)}")
    return text in _TRUE


def v3_moment(query: QueryParams, name: str) -> int | None:
    """Read a time of version 3; None without one."""
    text = _first(query, name)
    return _named(name, moment, text) if text else None


def integer(text: str, bits: int = 64, function: str = "ParseInt") -> int:
    """Read a whole number of so many bits."""
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise _syntax(function, text)
    number = int(text) if len(text) < 30 else 1 << 99
    if not -(1 << bits - 1) <= number < 1 << bits - 1:
        raise Unreadable(
            f"strconv.{function}: parsing {go_text.quoted(text)}: value out of range"
        )
    return number


def _stored(time_ns: int) -> int:
    """Return the time that a column can be compared with."""
    return max(-_LATEST, min(_LATEST, time_ns))


def _atoi(text: str) -> int:
    return integer(text, function="Atoi")


def _go_duration(text: str) -> int:
    try:
        return go_text.parse_duration(text) if text else 0
    except ValueError as error:
        raise Unreadable(str(error)) from None


def _time(query: QueryParams, name: str, unit: int, default: int) -> int:
    text = _first(query, name)
    if not text:
        return default
    try:
        return _stored(integer(text) * unit)
    except Unreadable as error:
        raise _param(name, error) from None


def _duration(query: QueryParams, name: str) -> int:
    try:
        return _go_duration(_first(query, name))
    except Unreadable as error:
        raise _param(name, error) from None


def _tags(query: QueryParams) -> dict[str, str]:
    """Read tags: `tag=key:value`, and `tags=` with a JSON object of texts."""
    found = {}
    for each in query.getlist("tag"):
        key, colon, value = each.partition(":")
        if not colon:
            raise Unreadable(
                f"malformed 'tag' parameter, expecting key:value, received: {each}"
            )
        found[key] = value
    for each in query.getlist("tags"):
        found |= _attributes(
            each, "malformed 'tags' parameter, cannot unmarshal JSON: "
        )
    return found


def _attributes(
    text: str, context: str = "malformed parameter query.attributes: "
) -> dict[str, str]:
    """Read a JSON object of texts."""
    if not text:
        return {}
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        start = text.lstrip()[:1]
        raise Unreadable(
            f"{context}invalid character {start!r} looking for beginning of value"
            if start not in ("{", "[", '"')
            else f"{context}it is no JSON"
        ) from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise Unreadable(f"{context}{_unmarshal(data)} map[string]string")
    for key, value in data.items():
        if value is None:
            data[key] = ""
        elif not isinstance(value, str):
            raise Unreadable(f"{context}{_unmarshal(value)} string")
    return data


def _unmarshal(value: object) -> str:
    kind = _KINDS.get(type(value), "object")
    return f"json: cannot unmarshal {kind} into Go value of type"


def _v3(query: QueryParams, name: str) -> str:
    """Return a parameter that is in snake case, or in camel case of newer pages."""
    head, *rest = name.split("_")
    camel = head + "".join(word.capitalize() for word in rest)
    return _first(query, f"query.{name}") or _first(query, f"query.{camel}")


def _first(query: QueryParams, name: str) -> str:
    return next(iter(query.getlist(name)), "")


def _named(name: str, read: Callable[[str], int], text: str) -> int:
    try:
        return read(text)
    except Unreadable as error:
        raise Unreadable(f"malformed parameter {name}: {error}") from None


def _param(name: str, error: Unreadable) -> Unreadable:
    return Unreadable(f"unable to parse param '{name}': {error}")


def _syntax(function: str, text: str) -> Unreadable:
    return Unreadable(
        f"strconv.{function}: parsing {go_text.quoted(text)}: invalid syntax"
    )


def _moment_error(text: str, rest: str) -> Unreadable:
    wanted = "2006" if _YEAR.match(text) is None else "-"
    return Unreadable(
        f'parsing time {go_text.quoted(text)} as "{_LAYOUT}": cannot parse '
        f'{go_text.quoted(rest)} as "{wanted}"'
    )
