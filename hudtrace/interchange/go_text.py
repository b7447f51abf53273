"""Texts as Go's standard library writes and reads them, for answers like Jaeger's."""

from __future__ import annotations

import base64
import datetime
import json
import math
import re
from decimal import Decimal
from typing import Any

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)")
_ESCAPED = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028"}
    | {"\u2029": "\\u2029"}
)


def duration_text(ns: int) -> str:
    """Write a duration: `1h0m2.5s`, `899.999222ms`, `0s`."""
    sign, ns = ("-" if ns < 0 else ""), abs(ns)
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if 0 < ns < size * 1000:
            return f"{sign}{_decimal(ns, size)}{unit}"
    minutes, rest = divmod(ns, 60 * 10**9)
    text = f"{_decimal(rest, 10**9)}s"
    if minutes:
        text = f"{minutes % 60}m{text}"
    if minutes >= 60:
        text = f"{minutes // 60}h{text}"
    return sign + text


def parse_duration(text: str) -> int:
    """Read a duration as ns; the message of the `ValueError` is as Go's."""
    sign, rest = (-1 if text[:1] == "-" else 1), text.lstrip("+-")
    if len(text) - len(rest) > 1 or not rest:
        raise ValueError(f"time: invalid duration {quoted(text)}")
    if rest == "0":
        return 0
    total, position = Decimal(0), 0
    while position < len(rest):
        found = _PART.match(rest, position)
        if found is None:
            raise ValueError(f"time: invalid duration {quoted(text)}")
        number, unit = found.groups()
        if not unit:
            raise ValueError(f"time: missing unit in duration {quoted(text)}")
        if unit not in _UNITS:
            raise ValueError(
                f"time: unknown unit {quoted(unit)} in duration {quoted(text)}"
            )
        total += Decimal(number) * _UNITS[unit]
        position = found.end()
    if total >= 2**63:
        raise ValueError(f"time: invalid duration {quoted(text)}")
    return sign * int(total)


def time_text(ns: int) -> str:
    """Write a time in UTC: `2026-11-25 17:57:47.37 +0000 UTC`."""
    seconds, rest = divmod(ns, 10**9)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"


def quoted(text: str) -> str:
    """Write a text in quotes, with escapes."""
    return json.dumps(text, ensure_ascii=False)


def json_text(value: Any) -> str:
    """Write an `AnyValue` as JSON: keys sorted, `<` escaped, bytes in base64."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return f"[{','.join(map(json_text, value.array_value.values))}]"
    if kind == "kvlist_value":
        pairs = {pair.key: pair.value for pair in value.kvlist_value.values}
        items = (f"{_string(key)}:{json_text(pairs[key])}" for key in sorted(pairs))
        return f"{{{','.join(items)}}}"
    if kind is None:
        return "null"
    found = getattr(value, kind)
    if kind == "double_value":
        return float_text(found) if math.isfinite(found) else f'"{nonfinite(found)}"'
    if kind == "bytes_value":
        return f'"{base64.b64encode(found).decode()}"'
    return _string(found) if kind == "string_value" else json.dumps(found)


def float_text(number: float) -> str:
    """Write a number as JavaScript does: `1`, `0.00001`, `1e-7`, `1e+21`."""
    if number == 0:
        return "-0" if math.copysign(1, number) < 0 else "0"
    if 1e-6 <= abs(number) < 1e21:
        plain = format(Decimal(repr(number)), "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    mantissa, _, exponent = repr(number).partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+d}"


def nonfinite(number: float) -> str:
    """Write what JSON has no number for, as OTLP's JSON does."""
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).translate(_ESCAPED)


def _decimal(number: int, size: int) -> str:
    whole, rest = divmod(number, size)
    digits = len(str(size)) - 1
    return f"{whole}.{rest:0{digits}d}".rstrip("0") if rest else str(whole)
