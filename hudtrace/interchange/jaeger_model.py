"""Names that Jaeger's JSON model and OTLP have for the same things."""

from __future__ import annotations

import base64
import math
from typing import Any, Final

from hudtrace.interchange import go_text

Tag = dict[str, Any]

SPAN_KIND: Final = "span.kind"
STATUS_CODE: Final = "otel.status_code"
STATUS_DESCRIPTION: Final = "otel.status_description"
ERROR: Final = "error"
SCOPE_NAME: Final = "otel.scope.name"
SCOPE_VERSION: Final = "otel.scope.version"
TRACE_STATE: Final = "w3c.tracestate"
EVENT: Final = "event"
REFERENCE_TYPE: Final = "opentracing.ref_type"  # attribute of a link
WARNINGS: Final = "@jaeger@warnings"  # attribute of a span
CHILD_OF: Final = "CHILD_OF"
FOLLOWS_FROM: Final = "FOLLOWS_FROM"

#: What Jaeger's JSON has no place for, as OTLP bytes; only in files.
REST_OF_SPAN: Final = "hudtrace.otlp.span"  # ScopeSpans with one span
REST_OF_RESOURCE: Final = "hudtrace.otlp.resource"  # ResourceSpans

KINDS: Final = ("", "internal", "server", "client", "producer", "consumer")
STATUSES: Final = ("", "OK", "ERROR")

#: Tags of a span that are not attributes, but made of its other fields.
DERIVED: Final = frozenset(
    {
        SPAN_KIND,
        STATUS_CODE,
        STATUS_DESCRIPTION,
        ERROR,
        SCOPE_NAME,
        SCOPE_VERSION,
        TRACE_STATE,
        WARNINGS,
        REST_OF_SPAN,
    }
)

#: Attributes of a span that say what its process says.
OF_LIBRARY: Final = frozenset(
    {
        "telemetry.sdk.language",
        "telemetry.sdk.name",
        "telemetry.sdk.version",
        "telemetry.distro.name",
        "telemetry.distro.version",
    }
)
ADDRESSES: Final = frozenset({"ip", "peer.ipv4"})

TYPES: Final = ("string", "bool", "int64", "float64", "binary")
_SAFE = 2**53 - 1  # the largest integer that JavaScript counts to


def tag(key: str, value: Any) -> Tag:
    """Return an attribute as a tag; *value* is an `AnyValue`."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return text_tag(key, value.string_value)
    if kind == "bool_value":
        return {"key": key, "type": "bool", "value": value.bool_value}
    if kind == "int_value":
        number = value.int_value
        shown: Any = number if -_SAFE <= number <= _SAFE else str(number)
        return {"key": key, "type": "int64", "value": shown}
    if kind == "double_value":
        number = value.double_value
        shown = number if math.isfinite(number) else go_text.nonfinite(number)
        return {"key": key, "type": "float64", "value": shown}
    if kind == "bytes_value":
        return binary_tag(key, value.bytes_value)
    return text_tag(key, "" if kind is None else go_text.json_text(value))


def text_tag(key: str, text: str) -> Tag:
    """Return a tag with a text."""
    return {"key": key, "type": "string", "value": text}


def binary_tag(key: str, data: bytes) -> Tag:
    """Return a tag with bytes; none at all are null, as Jaeger writes them."""
    shown = base64.b64encode(data).decode() if data else None
    return {"key": key, "type": "binary", "value": shown}


def trace_id_text(trace_id: bytes) -> str:
    """Return a trace id as Jaeger writes it: 16 digits, where no more are needed."""
    text = trace_id.hex()
    return text[16:] if text.startswith("0" * 16) else text


def address(number: float) -> str:
    """Return the number of an IPv4 address as such."""
    whole = int(number) if -(2**63) <= number < 2**63 else 0
    return ".".join(map(str, (whole & 0xFFFFFFFF).to_bytes(4, "big")))


def negative_duration(start: int, end: int) -> str:
    """Return the warning of a span that ends no later than it begins."""
    return (
        f"Negative duration detected, sanitizing end timestamp. Original end timestamp: "
        f"{go_text.time_text(end)}, adjusted to: {go_text.time_text(start + 1)}"
    )


def clock_skew(delta: int) -> str:
    """Return the warning of a clock that is off by *delta* ns."""
    return (
        f"clock skew adjustment disabled; not applying calculated delta of "
        f"{go_text.duration_text(delta)}"
    )
