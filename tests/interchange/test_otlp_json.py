"""OTLP as JSON, as the specification writes it, and as others write it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from foreign_spans import odd_spans, random_spans, value_of
from google.protobuf import json_format
from receiver_kit import some_spans, spans_of

from hudtrace.interchange import otlp_json


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_lost_both_ways(seed: int) -> None:
    """Every field of a request is the same after JSON."""
    request = random_spans(seed)
    assert otlp_json.read_request(otlp_json.write(request)) == request


def test_it_is_as_the_specification_says() -> None:
    """Ids in hex, enumerations as numbers, 64 bits as texts, lowerCamelCase."""
    request = some_spans(1)
    span = spans_of(request)[0]
    span.kind, span.status.code = 3, 2
    span.trace_id, span.span_id = bytes(range(16)), bytes(range(8))
    span.links.add(trace_id=b"\xab" * 16, span_id=b"\xcd" * 8)
    for value in (-(2**63), 0.5, float("nan"), float("-inf"), b"\xff\xfe", [True], {}):
        span.attributes.add(key="v").value.CopyFrom(value_of(value))
    data = json.loads(otlp_json.write(request))
    (found,) = data["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert found == {
        "traceId": "000102030405060708090a0b0c0d0e0f",
        "spanId": "0001020304050607",
        "name": "some",
        "kind": 3,
        "startTimeUnixNano": "1000000000000000000",
        "endTimeUnixNano": "1000000000000001000",
        "attributes": [
            {"key": "n", "value": {"intValue": "0"}},
            {"key": "v", "value": {"intValue": "-9223372036854775808"}},
            {"key": "v", "value": {"doubleValue": 0.5}},
            {"key": "v", "value": {"doubleValue": "NaN"}},
            {"key": "v", "value": {"doubleValue": "-Infinity"}},
            {"key": "v", "value": {"bytesValue": "//4="}},
            {"key": "v", "value": {"arrayValue": {"values": [{"boolValue": True}]}}},
            {"key": "v", "value": {"kvlistValue": {}}},
        ],
        "links": [{"traceId": "ab" * 16, "spanId": "cd" * 8}],
        "status": {"code": 2},
    }


def test_protobufs_own_mapping_is_read() -> None:
    """But for ids, which are base64 there, it is what protobuf's library writes."""
    request = odd_spans(10**18)
    for options in (
        {},
        {"use_integers_for_enums": True},
        {"always_print_fields_with_no_presence": True},
    ):
        text = json_format.MessageToJson(request, **options)
        assert otlp_json.read_request(text) == request


@pytest.mark.parametrize(
    ("value", "same"),
    [
        ({"intValue": 7}, 7),
        ({"intValue": "7"}, 7),
        ({"intValue": 7.0}, 7),
        ({"doubleValue": 7}, 7.0),
        ({"doubleValue": "Infinity"}, float("inf")),
        ({"doubleValue": "1.5"}, 1.5),
        ({"bytesValue": "_-8"}, b"\xff\xef"),
        ({"bytesValue": ""}, b""),
        ({"stringValue": "a\ud83d\ude00"}, "a😀"),
        ({"stringValue": "a\ud83dz"}, "a�z"),
        ({"arrayValue": {}}, []),
        ({"arrayValue": {"values": [{"intValue": "1"}, {}]}}, [1, None]),
        ({"stringValue": None}, None),
        ({}, None),
        (None, None),
        ({"newKindOfValue": 1}, None),
    ],
)
def test_values_as_senders_write_them(value: Any, same: Any) -> None:
    """Numbers as texts and texts as numbers, nulls, unknown kinds."""
    attribute = {"key": "v", "value": value, "unknown": [{}]}
    span = {"attributes": [attribute], "traceId": None, "future": 1}
    data = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}], "x": None}
    (found,) = spans_of(otlp_json.read_request(json.dumps(data)))
    assert found.attributes[0].value == value_of(same)


@pytest.mark.parametrize(
    ("span", "says"),
    [
        ({"name": 5}, "spans[0].name is a number: a text is expected"),
        ({"kind": "CLIENT"}, "spans[0].kind is a text"),
        ({"kind": 2**40}, "out of range"),
        ({"startTimeUnixNano": "-1"}, "out of range"),
        ({"startTimeUnixNano": "1_000"}, "a whole number is expected"),
        ({"startTimeUnixNano": 1.5}, "a whole number is expected"),
        ({"startTimeUnixNano": True}, "a whole number is expected"),
        ({"startTimeUnixNano": "9" * 30}, "a whole number is expected"),
        ({"traceId": 5}, "spans[0].traceId is a number: an id in hex is expected"),
        ({"attributes": {}}, "spans[0].attributes is an object, not a list"),
        ({"attributes": ["a"]}, "attributes[0] is a text, not an object"),
        ({"events": [[]]}, "events[0] is a list, not an object"),
        ({"status": 2}, "spans[0].status is a number, not an object"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(span: Any, says: str) -> None:
    """An error leads to the value that is meant."""
    data = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    with pytest.raises(ValueError) as caught:
        otlp_json.read_request(json.dumps(data))
    assert says in str(caught.value)


def test_values_nested_too_deeply_are_refused() -> None:
    """What protobuf could not read again is not taken."""
    value: Any = {"intValue": 1}
    for _ in range(30):
        value = {"arrayValue": {"values": [value]}}
    span = {"attributes": [{"key": "v", "value": value}]}
    data = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    request = otlp_json.request_from(data)
    assert type(request).FromString(request.SerializeToString()) == request
    for _ in range(30):
        value = {"arrayValue": {"values": [value]}}
    span["attributes"] = [{"key": "v", "value": value}]
    with pytest.raises(ValueError, match="nested too deeply"):
        otlp_json.request_from(data)


def test_anything_else_is_a_value_error() -> None:
    """Whatever JSON comes: a request, or a ValueError."""
    dice = random.Random(3)
    keys = ["resourceSpans", "scopeSpans", "spans", "attributes", "value", "events"]
    keys += ["traceId", "kind", "status", "arrayValue", "values", "kvlistValue", "key"]
    read = 0

    def made(depth: int) -> Any:
        choice = dice.randrange(3 if depth > 8 else 12)
        if choice < 3:
            leaves = [None, 1, -1, 2**70, 0.5, "x", "", True, float("nan"), [], {}]
            return dice.choice(leaves)
        if choice < 6:
            return [made(depth + 1) for _ in range(dice.randrange(3))]
        return {dice.choice(keys): made(depth + 1) for _ in range(dice.randrange(4))}

    for _ in range(3000):
        try:
            otlp_json.read_request(json.dumps({"resourceSpans": [made(0)]}))
            read += 1
        except ValueError:
            pass
    assert 0 < read < 3000
