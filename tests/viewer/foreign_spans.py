"""Spans of other programs, as OTLP: some with everything odd, some made at random."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

SHOP = "0af7651916cd43dd8448eb211c80319c"
SHORT = "00000000000000000101010101010101"
TEXTS = [
    "",
    "text",
    "Grüße 😀",
    "<b>&amp;</b>\u2028\u2029",
    'a\x00\x07\x08\x0c\n"\\/',
    "я" * 300,
]
EVERY_TYPE: dict[str, Any] = {
    **{f"text.{number}": text for number, text in enumerate(TEXTS)},
    "ключ 🔑": "unicode key",
    "": "empty key",
    "yes": True,
    "no": False,
    "int": 7,
    "int.negative": -3,
    "int.safe": 2**53 - 1,
    "int.unsafe": 2**53,
    "int.largest": 2**63 - 1,
    "int.smallest": -(2**63),
    "float": 0.5,
    "float.whole": 1.0,
    "float.large": 1e21,
    "float.small": 1e-7,
    "float.many": 123456789.123456789,
    "float.minus": -0.0,
    "float.tiniest": 5e-324,
    "bytes": b"\x00\xff\x10",
    "bytes.none": b"",
    "list": ["a", "b"],
    "list.mixed": [1, 2.5, True, None, 'x"y<&>\u2028', b"\x01", 1e-5, 1e16, 1e-7],
    "list.empty": [],
    "map": {"z": 1, "a": {"b": [b"\x01", {"c": None}]}, "": -0.0},
    "map.empty": {},
    "null": None,
}


def value_of(value: Any) -> AnyValue:
    """Return an OTLP value."""
    found = AnyValue()
    if isinstance(value, bool):
        found.bool_value = value
    elif isinstance(value, int):
        found.int_value = value
    elif isinstance(value, float):
        found.double_value = value
    elif isinstance(value, bytes):
        found.bytes_value = value
    elif isinstance(value, str):
        found.string_value = value
    elif isinstance(value, list):
        found.array_value.SetInParent()
        found.array_value.values.extend(map(value_of, value))
    elif isinstance(value, Mapping):
        found.kvlist_value.SetInParent()
        put(found.kvlist_value.values, value)
    return found


def put(pairs: Any, attributes: Mapping[str, Any]) -> None:
    """Add attributes."""
    for key, value in attributes.items():
        pairs.add(key=key).value.CopyFrom(value_of(value))


def library(
    request: Any,
    resource: Mapping[str, Any],
    name: str = "lib",
    version: str = "1.0",
    **attributes: Any,
) -> Any:
    """Add the spans of a library in a process; they are to be added to it."""
    process = request.resource_spans.add()
    put(process.resource.attributes, resource)
    scope_spans = process.scope_spans.add()
    scope_spans.scope.name, scope_spans.scope.version = name, version
    put(scope_spans.scope.attributes, attributes)
    return scope_spans


def span(
    into: Any,
    number: int,
    parent: int,
    name: str,
    start: int,
    duration: int,
    kind: int = 1,
    attributes: Mapping[str, Any] | None = None,
    trace_id: str = SHOP,
    **fields: Any,
) -> Any:
    """Add a span; ids are numbers, and 0 is no parent."""
    made = into.spans.add(
        trace_id=bytes.fromhex(trace_id),
        span_id=number.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=name,
        kind=kind,
        start_time_unix_nano=start,
        end_time_unix_nano=start + duration,
        **fields,
    )
    put(made.attributes, attributes or {})
    return made


def odd_spans(now: int) -> Any:
    """Return traces with what a translation could get wrong."""
    request = ExportTraceServiceRequest()
    _shop(request, now)
    _database(request, now)
    _odd_services(request, now)
    low = library(request, {"service.name": "short"})
    span(low, 12, 0, "low trace", now, 2, trace_id=SHORT)
    return request


def _shop(request: Any, now: int) -> None:
    resource = {"service.name": "shop", "telemetry.sdk.name": "own", "host.name": "h"}
    resource |= {"list": [1, 2], "null": None, "service.version": "2"}
    shop = library(request, resource, team="carts")
    root = span(shop, 1, 0, "GET /cart", now, 1_500_000_123, 2, EVERY_TYPE)
    root.trace_state, root.flags, root.dropped_attributes_count = "a=1,b=2", 0x101, 3
    span(shop, 13, 1, "GET /cart", now + 1000, 7_000_000, 2)
    other = library(request, {"service.name": "shop", "host.name": "h2"}, "lib2", "")
    span(other, 7, 1, "in", now + 10_000, 20_000)
    span(other, 8, 7, "ends before it begins", now + 15_000, -10)
    span(other, 14, 7, "takes no time", now + 20_000, 0)
    span(other, 4, 99, "orphan", now - 1_000_000, 5_000_000, 5)
    span(other, 5, 1, "before its parent", now - 500_000_000, 100_000_000, 0)
    span(other, 6, 1, "after its parent", now + 1_400_000_000, 1_000_000_000, 0)
    span(other, 15, 6, "in one that is late", now + 1_500_000_000, 5_000_000, 4)


def _database(request: Any, now: int) -> None:
    database = library(request, {"service.name": "db", "ip": 16909060}, "", "")
    attributes = {"peer.ipv4": 16909060, "telemetry.sdk.language": "go", "db.rows": 5}
    query = span(database, 2, 1, "query", now + 100_000_777, 400_000_001, 3, attributes)
    query.status.code, query.status.message = 2, "boom"
    span(database, 16, 2, "same host", now + 700_000_000, 5_000_000, 3)
    event = query.events.add(time_unix_nano=now + 200_000_999, name="exception")
    put(
        event.attributes,
        {"exception.type": "E", "exception.message": "boom", **EVERY_TYPE},
    )
    event = query.events.add(time_unix_nano=now + 200_001_999, name="b")
    put(event.attributes, {"event": "another name", "a": 1})
    event = query.events.add(time_unix_nano=now + 100_001_999, name="")
    put(event.attributes, {"z": 1, "a": 2})
    query.links.add(trace_id=bytes.fromhex(SHOP), span_id=(1).to_bytes(8, "big"))
    link = query.links.add(trace_id=b"\1" * 16, span_id=b"\2" * 8, flags=0x100)
    link.trace_state = "q=1"
    put(link.attributes, {"k": "v", "n": 1, "l": [1]})
    query.links.add(trace_id=bytes(16), span_id=b"\2" * 8)
    child = query.links.add(
        trace_id=bytes.fromhex(SHOP), span_id=(3).to_bytes(8, "big")
    )
    put(child.attributes, {"opentracing.ref_type": "child_of"})


def _odd_services(request: Any, now: int) -> None:
    nobody = library(request, {})
    named_as_ours = {
        "span.kind": "client",
        "error": "maybe",
        "otel.status_code": "X",
        "w3c.tracestate": "z=1",
        "otel.scope.name": "mine",
    }
    one = span(nobody, 3, 1, "no service", now + 2_000, 900_000_000, 4, named_as_ours)
    one.status.code = 1
    for number, resource in enumerate(
        ({"service.name": ""}, {"x": "y"}, {"service.name": 7})
    ):
        span(
            library(request, resource),
            9 + number,
            1,
            "odd service",
            now + 100_000,
            2_000,
        )


def random_spans(seed: int) -> Any:
    """Return a request with every field set to something, or not."""
    dice = random.Random(seed)
    request = ExportTraceServiceRequest()
    for _ in range(dice.randint(1, 3)):
        process = request.resource_spans.add(schema_url=dice.choice(["", "https://r"]))
        put(process.resource.attributes, _attributes(dice))
        if dice.random() < 0.8:
            name = dice.choice(["a", "b", "", 7, "missing-service-name"])
            put(process.resource.attributes, {"service.name": name})
        process.resource.dropped_attributes_count = dice.choice([0, 2])
        for _ in range(dice.randint(1, 2)):
            scope_spans = process.scope_spans.add(
                schema_url=dice.choice(["", "https://s"])
            )
            scope_spans.scope.name = dice.choice(["", "lib"])
            scope_spans.scope.version = dice.choice(["", "1"])
            put(scope_spans.scope.attributes, _attributes(dice))
            for _ in range(dice.randint(1, 4)):
                _random_span(dice, scope_spans.spans.add())
    return request


def _random_span(dice: random.Random, made: Any) -> None:
    made.trace_id = dice.choice([b"\1" * 16, b"\0" * 8 + b"\2" * 8])
    made.span_id = dice.randbytes(7) + b"\1"
    made.parent_span_id = dice.choice([b"", dice.randbytes(7) + b"\2"])
    made.name = dice.choice(TEXTS)
    made.kind, made.flags = dice.randint(0, 5), dice.choice([0, 0x101, 2**32 - 1])
    made.start_time_unix_nano = dice.choice([0, dice.randrange(2**63)])
    length = dice.choice([0, 1, dice.randrange(10**12), -5, -(2**62)])
    made.end_time_unix_nano = max(made.start_time_unix_nano + length, 0)
    made.trace_state = dice.choice(["", "a=1"])
    put(made.attributes, _attributes(dice))
    made.status.code = dice.randint(0, 2)
    made.status.message = dice.choice(["", "why"])
    made.dropped_attributes_count = dice.choice([0, 1])
    made.dropped_events_count = dice.choice([0, 1])
    made.dropped_links_count = dice.choice([0, 1])
    for _ in range(dice.randint(0, 2)):
        event = made.events.add(
            name=dice.choice(TEXTS), time_unix_nano=dice.randrange(2**63)
        )
        put(event.attributes, _attributes(dice))
        event.dropped_attributes_count = dice.choice([0, 1])
    for _ in range(dice.randint(0, 2)):
        link = made.links.add(trace_id=dice.randbytes(16), span_id=dice.randbytes(8))
        if dice.random() < 0.5:
            link.trace_id, link.span_id = made.trace_id, made.parent_span_id
        put(link.attributes, _attributes(dice))
        link.trace_state, link.flags = dice.choice(["", "l=1"]), dice.choice([0, 0x100])


def _attributes(dice: random.Random) -> dict[str, Any]:
    """Return some attributes, those with names of Jaeger's own among them."""
    taken = [
        "span.kind",
        "error",
        "otel.status_code",
        "otel.status_description",
        "event",
    ]
    taken += ["otel.scope.name", "otel.scope.version", "w3c.tracestate", "ip"]
    taken += ["@jaeger@warnings", "hudtrace.otlp.span", "hudtrace.otlp.resource"]
    taken += ["telemetry.sdk.name", "opentracing.ref_type", "http.status_code"]
    values = list(EVERY_TYPE.values())
    keys = dice.sample([*EVERY_TYPE, *taken], dice.randint(0, 8))
    return {
        key: dice.choice([*values, "child_of", ["w"], float("inf")]) for key in keys
    }
