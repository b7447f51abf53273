"""Jaeger's JSON, both ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from foreign_spans import EVERY_TYPE, library, odd_spans, put, random_spans, span
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from receiver_kit import sort

from hudtrace.interchange.jaeger import MalformedJaeger, from_jaeger, to_jaeger

NOW = 1_795_629_467_370_556_417


def spans_of(request: Any) -> list[bytes]:
    """Return every span with its process and library, whatever their order."""
    found = []
    for process in request.resource_spans:
        sort(process.resource.attributes)
        for scope_spans in process.scope_spans:
            for each in scope_spans.spans:
                sort(each.attributes)
                for event in each.events:
                    sort(event.attributes)
                alone = ExportTraceServiceRequest()
                one = alone.resource_spans.add(schema_url=process.schema_url)
                one.resource.CopyFrom(process.resource)
                two = one.scope_spans.add(schema_url=scope_spans.schema_url)
                two.scope.CopyFrom(scope_spans.scope)
                two.spans.add().CopyFrom(each)
                found.append(alone.SerializeToString(deterministic=True))
    return sorted(found)


def through_file(request: Any) -> Any:
    """Write a request as a file of Jaeger's, and read that."""
    text = json.dumps(to_jaeger(request), allow_nan=False)
    return from_jaeger(json.loads(text))


@pytest.mark.parametrize("seed", range(150))
def test_a_file_loses_nothing(seed: int) -> None:
    """Every field of every span comes back to the bit, whatever it is."""
    request = random_spans(seed)
    assert spans_of(through_file(request)) == spans_of(request)


def test_a_file_of_odd_spans_loses_nothing() -> None:
    """Lists, links with attributes, missing services and nanoseconds come back."""
    request = odd_spans(NOW)
    assert spans_of(through_file(request)) == spans_of(request)


def test_a_number_that_json_has_not_comes_back() -> None:
    """NaN and the infinities are texts in the JSON, and numbers again after it."""
    request = ExportTraceServiceRequest()
    made = span(library(request, {"service.name": "s"}), 1, 0, "n", NOW, 5)
    put(
        made.attributes,
        {"nan": float("nan"), "inf": float("-inf"), "l": [float("nan")]},
    )
    (trace,) = to_jaeger(request)["data"]
    tags = {tag["key"]: tag["value"] for tag in trace["spans"][0]["tags"]}
    assert (tags["nan"], tags["inf"], tags["l"]) == ("NaN", "-Infinity", '["NaN"]')
    assert spans_of(through_file(request)) == spans_of(request)


def test_a_file_is_what_jaeger_shows() -> None:
    """Spans have typed tags, references, logs, and a process by its number."""
    request = ExportTraceServiceRequest()
    for number in (1, 2):
        made = span(
            library(request, {"service.name": "s"}),
            number,
            number - 1,
            "n",
            NOW,
            5000,
            3,
        )
        put(made.attributes, {"i": 2**53, "l": [1.0, "<"], "b": b"\1"})
    made.status.code = 2
    made.links.add(trace_id=b"\1" * 16, span_id=b"\2" * 8)
    put(made.events.add(name="e", time_unix_nano=NOW).attributes, {"a": 1})
    (trace,) = to_jaeger(request)["data"]
    assert trace["processes"] == {"p1": {"serviceName": "s", "tags": []}}
    shown = trace["spans"][1]
    assert shown["startTime"] == NOW // 1000
    assert shown["duration"] == 5
    assert shown["processID"] == "p1"
    assert [(r["refType"], r["spanID"]) for r in shown["references"]] == [
        ("CHILD_OF", "0000000000000001"),
        ("FOLLOWS_FROM", "0202020202020202"),
    ]
    tags = {tag["key"]: (tag["type"], tag["value"]) for tag in shown["tags"]}
    rest = tags.pop("hudtrace.otlp.span")
    assert rest[0] == "binary"
    assert tags == {
        "otel.scope.name": ("string", "lib"),
        "otel.scope.version": ("string", "1.0"),
        "i": ("int64", str(2**53)),
        "l": ("string", '[1,"\\u003c"]'),
        "b": ("binary", "AQ=="),
        "span.kind": ("string", "client"),
        "otel.status_code": ("string", "ERROR"),
        "error": ("bool", True),
    }
    (log,) = shown["logs"]
    assert [field["value"] for field in log["fields"]] == ["e", 1]


def test_what_was_edited_in_a_file_counts() -> None:
    """Names, times and tags that were changed by hand are as they are then."""
    request = ExportTraceServiceRequest()
    made = span(library(request, {"service.name": "s"}), 1, 0, "n", NOW, 5000)
    put(made.attributes, {"a": 1, "b": 2})
    data = to_jaeger(request)
    (shown,) = data["data"][0]["spans"]
    shown["operationName"], shown["startTime"] = "other", 7
    shown["tags"] = [tag for tag in shown["tags"] if tag["key"] != "a"]
    data["data"][0]["processes"]["p1"]["serviceName"] = "renamed"
    read = from_jaeger(data).resource_spans[0]
    again = read.scope_spans[0].spans[0]
    assert (again.name, again.start_time_unix_nano, again.end_time_unix_nano) == (
        "other",
        7000,
        12000,
    )
    assert [pair.key for pair in again.attributes] == ["b"]
    assert read.resource.attributes[0].value.string_value == "renamed"


def test_a_trace_of_jaeger_itself_is_read() -> None:
    """Kind, status, library, trace state, links and warnings are found in its tags."""
    reference = {"traceID": "1", "spanID": "1"}
    trace = {
        "traceID": "1",
        "processes": {
            "p1": {
                "serviceName": "s",
                "tags": [{"key": "v", "type": "int64", "value": 1}],
            }
        },
        "spans": [
            {
                "traceID": "1",
                "spanID": "2",
                "operationName": "op",
                "processID": "p1",
                "startTime": 1000,
                "duration": 5,
                "references": [
                    {"refType": "CHILD_OF", **reference},
                    {"refType": "CHILD_OF", "traceID": "9", "spanID": "8"},
                    {"refType": "FOLLOWS_FROM", "traceID": "9", "spanID": "7"},
                ],
                "tags": [
                    {"key": "span.kind", "type": "string", "value": "server"},
                    {"key": "error", "type": "bool", "value": True},
                    {"key": "otel.status_code", "type": "string", "value": "ERROR"},
                    {
                        "key": "otel.status_description",
                        "type": "string",
                        "value": "why",
                    },
                    {"key": "otel.scope.name", "type": "string", "value": "lib"},
                    {"key": "w3c.tracestate", "type": "string", "value": "a=1"},
                    {"key": "n", "type": "int64", "value": "9223372036854775807"},
                    {"key": "untyped", "value": "x"},
                ],
                "logs": [
                    {
                        "timestamp": 1001,
                        "fields": [{"key": "event", "type": "string", "value": "e"}],
                    }
                ],
                "warnings": ["odd", "clock skew adjustment disabled; not applying …"],
            }
        ],
    }
    for data in (trace, [trace], {"data": [trace]}, {"data": trace}):
        (process,) = from_jaeger(data).resource_spans
        assert [pair.key for pair in process.resource.attributes] == [
            "service.name",
            "v",
        ]
        (scope_spans,) = process.scope_spans
        assert scope_spans.scope.name == "lib"
        (read,) = scope_spans.spans
        assert read.trace_id.hex() == "1".rjust(32, "0")
        assert read.parent_span_id.hex() == "1".rjust(16, "0")
        assert (read.kind, read.status.code, read.status.message) == (2, 2, "why")
        assert read.trace_state == "a=1"
        assert (read.start_time_unix_nano, read.end_time_unix_nano) == (
            10**6,
            1_005_000,
        )
        assert [link.span_id[-1] for link in read.links] == [8, 7]
        assert [len(link.attributes) for link in read.links] == [1, 0]
        assert [event.name for event in read.events] == ["e"]
        attributes = {pair.key: pair.value for pair in read.attributes}
        assert attributes.keys() == {"n", "untyped", "@jaeger@warnings"}
        assert attributes["n"].int_value == 2**63 - 1
        (warning,) = attributes["@jaeger@warnings"].array_value.values
        assert warning.string_value == "odd"


def tag(**fields: Any) -> Callable[[dict[str, Any]], None]:
    """Return a change that gives the first span such a tag."""

    def change(trace: dict[str, Any]) -> None:
        trace["spans"][0]["tags"].insert(0, fields)

    return change


def put_in(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Return a change of a field of the first span."""
    return lambda trace: trace["spans"][0].__setitem__(name, value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda trace: trace.__delitem__("spans"), "data[0] has no 'spans'"),
        (lambda trace: trace.__setitem__("spans", 5), "data[0].spans is not a list: 5"),
        (lambda trace: trace["spans"].append(None), "data[0].spans[2] is not an object"),
        (lambda trace: trace.pop("processes"), "processID is 'p1', and there is no such process"),
        (lambda trace: trace["processes"]["p1"].pop("serviceName"), "processes.p1 has no 'serviceName'"),
        (put_in("traceID", "xyz"), "data[0].spans[0].traceID is not an id of up to 32 hex digits: 'xyz'"),
        (put_in("traceID", "+1"), "traceID is not an id"),
        (put_in("traceID", "0"), "traceID is zero"),
        (put_in("spanID", 5), "spanID is not a text: 5"),
        (put_in("spanID", "1" * 17), "spanID is not an id of up to 16"),
        (put_in("startTime", -1), "startTime is out of range: -1"),
        (put_in("startTime", "soon"), "startTime is not a whole number: 'soon'"),
        (put_in("startTime", True), "startTime is not a whole number: True"),
        (put_in("duration", 1.5), "duration is not a whole number"),
        (put_in("duration", 10**30), "duration is out of range"),
        (put_in("operationName", None), "has no 'operationName'"),
        (put_in("operationName", "\ud800"), "operationName has half of a surrogate pair"),
        (put_in("references", [{"refType": "X", "traceID": "1", "spanID": "1"}]), "references[0] is neither CHILD_OF nor FOLLOWS_FROM"),
        (put_in("logs", [{"timestamp": 1, "fields": [{}]}]), "logs[0].fields[0] has no 'key'"),
        (put_in("logs", {}), "logs is not a list: {}"),
        (put_in("warnings", [1]), "warnings[0] is not a text: 1"),
        (tag(key="k", type="float", value=1), "tags[0] has a type that is none of"),
        (tag(key="k", type="int64", value="1x"), "tags[0].value is not a whole number: '1x'"),
        (tag(key="k", type="int64", value=2**63), "tags[0].value is out of range"),
        (tag(key="k", type="int64", value="9" * 5000), "tags[0].value is out of range"),
        (tag(key="k", type="float64", value="x"), "tags[0].value is not a number"),
        (tag(key="k", type="float64", value=[]), "tags[0].value is not a number"),
        (tag(key="k", type="bool", value="true"), "tags[0].value is not a bool"),
        (tag(key="k", type="binary", value="%"), "tags[0].value is not base64"),
        (tag(key="k", type="string", value={}), "tags[0].value is not a text"),
        (tag(key=1, type="string", value=""), "tags[0].key is not a text: 1"),
        (lambda trace: trace["spans"][0]["tags"].append({"key": "hudtrace.otlp.span", "type": "binary", "value": "AAAA"}), "is no ScopeSpans message of OTLP"),
        (lambda trace: trace["spans"][0]["tags"].append({"key": "hudtrace.otlp.span", "type": "binary", "value": None}), "has 0 spans, but belongs to one"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(
    change: Callable[[dict[str, Any]], None], said: str
) -> None:
    """An error names the place in the JSON, and what is there."""
    request = ExportTraceServiceRequest()
    scope_spans = library(request, {"service.name": "s"})
    for number in (1, 2):
        span(scope_spans, number, number - 1, "n", NOW, 5, attributes=EVERY_TYPE)
    data = to_jaeger(request)
    for shown in data["data"][0]["spans"]:
        shown["tags"] = [
            t for t in shown["tags"] if not t["key"].startswith("hudtrace")
        ]
    change(data["data"][0])
    with pytest.raises(MalformedJaeger) as caught:
        from_jaeger(data)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "the JSON is not an object: None"),
        ("x", "the JSON is not an object: 'x'"),
        ({}, 'the JSON has neither "data" nor "spans"'),
        ({"resourceSpans": []}, "it is no trace of Jaeger"),
        ([1], "[0] is not an object: 1"),
        ({"data": "x"}, "data is not a list: 'x'"),
    ],
)
def test_what_is_no_trace_of_jaeger_is_refused(data: Any, said: str) -> None:
    """Other JSON is told from a trace of Jaeger."""
    with pytest.raises(MalformedJaeger) as caught:
        from_jaeger(data)
    assert said in str(caught.value)
