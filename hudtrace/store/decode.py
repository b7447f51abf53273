"""Stored OTLP bytes back to Python values, by the official protobuf classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class DecodedEvent:
    """An event of a span; `timestamp` in unix ns."""

    name: str
    timestamp: int
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DecodedLink:
    """A link of a span, ids in hex."""

    trace_id: str
    span_id: str
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the store keeps of a span only as bytes."""

    attributes: dict[str, Any]
    events: list[DecodedEvent]
    links: list[DecodedLink]
    status_message: str


def decode_span(body: bytes) -> Decoded:
    """Read the body of a stored span."""
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    span = Span.FromString(body)
    return Decoded(
        _pairs(span.attributes),
        [
            DecodedEvent(e.name, e.time_unix_nano, _pairs(e.attributes))
            for e in span.events
        ],
        [
            DecodedLink(
                link.trace_id.hex(), link.span_id.hex(), _pairs(link.attributes)
            )
            for link in span.links
        ],
        span.status.message,
    )


def decode_attributes(body: bytes) -> dict[str, Any]:
    """Read no more of the body of a stored span, or of a start record."""
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    return _pairs(Span.FromString(body).attributes)


def _pairs(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "string_value":  # most of them
        return value.string_value
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _pairs(value.kvlist_value.values)
    return getattr(value, kind)
