"""The OTLP encoder writes what the standard encoder writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from hudtrace.delivery.otlp import (
    SpanEncoder,
    encode_request,
    encode_resource,
    encode_scope,
    string_attribute,
)
from hudtrace.store.decode import decode_span
from hudtrace.tracing.redaction import Redactor
from hudtrace.tracing.spans import STAMP, Stamp, Tracer, with_span

VALUES: list[Any] = [
    "",
    "a",
    "é✓" * 100,
    "x" * 20_000,
    *(0, 1, -1, 127, 128, 16_383, 16_384, 2**63 - 1, -(2**63)),
    *(True, False, 0.0, -1.5, 1e308, float("inf")),
    b"",
    b"\x00\xff",
    ["a", "b"],
    [1, 2],
    [True],
    [1.5],
    [],
    ("t",),
    {"k": "v", "n": {"m": [1, {"z": None}]}},
    [["x"], [1]],
    None,
]


class Collector(SpanProcessor):
    """Keeps ended spans."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def on_end(self, span: Any) -> None:
        self.spans.append(span)


@pytest.fixture
def sdk_spans() -> Iterator[list[Any]]:
    """Spans of the SDK with everything that a span can have."""
    kept = Collector()
    limits = SpanLimits(
        max_span_attributes=40,
        max_events=3,
        max_links=2,
        max_event_attributes=2,
        max_link_attributes=1,
    )
    resource = Resource.create({"service.name": "é", "n": 3, "l": ["a", "b"]})
    provider = TracerProvider(
        resource=resource, span_limits=limits, sampler=ALWAYS_ON, shutdown_on_exit=False
    )
    provider.add_span_processor(kept)
    tracer = provider.get_tracer(
        "kit", "1.2", schema_url="http://schema", attributes={"x": 1}
    )
    other = provider.get_tracer("other")
    _make(tracer, other)
    yield kept.spans
    provider.shutdown()


def _make(tracer: Any, other: Any) -> None:
    for number, kind in enumerate(SpanKind):
        attributes = {f"k{i}": value for i, value in enumerate(VALUES)}
        with tracer.start_as_current_span(
            "root é", kind=kind, attributes=attributes
        ) as span:
            span.add_event("event", {"a": 1, "b": [1, 2], "c": "dropped"})
            for extra in range(number):
                span.add_event(f"event {extra}")
                ids = SpanContext(extra + 1, extra + 2, extra == 2, TraceFlags(1))
                span.add_link(ids, {"q": extra, "w": 2})
            with other.start_as_current_span("child") as child:
                child.set_status(Status(StatusCode.ERROR, "böse"))
                child.set_attributes({f"z{i}": i for i in range(20)})
    with tracer.start_as_current_span("ok") as span:
        span.set_status(StatusCode.OK)
    state = TraceState([("a", "b"), ("c", "d")])
    remote = NonRecordingSpan(SpanContext(5, 6, True, TraceFlags(1), state))
    context = trace.set_span_in_context(remote)
    tracer.start_span("remote", context=context).end()
    failed = tracer.start_span("remote failed", context=context)
    failed.set_status(Status(StatusCode.ERROR))
    failed.end()
    for value in (1, True, 1.0, "1", 0, False, 0.0):
        tracer.start_span("equal", attributes={"same": value}).end()


def request_of(encoder: SpanEncoder, span: Any) -> ExportTraceServiceRequest:
    """Encode one span as a whole request, and read it back."""
    scope = span.instrumentation_scope
    body = encode_request(
        encode_resource(span.resource),
        [(encode_scope(scope), scope.schema_url, [encoder.span(span)])],
    )
    return ExportTraceServiceRequest.FromString(body)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("redactor", [None, Redactor(["not-there-1"])])
def test_equal_to_the_standard_encoder(
    sdk_spans: list[Any], redactor: Redactor | None
) -> None:
    """Message-equal for every value type, event, link, status; cold and warm."""
    encoder = SpanEncoder(redactor)
    for _ in range(2):
        for span in sdk_spans:
            assert request_of(encoder, span) == encode_spans([span]), span.name


class Sink:
    """Takes spans and keeps none."""

    def started(self, span: Any) -> None: ...
    def ended(self, span: Any) -> None: ...


def test_our_spans_equal_their_readable_form() -> None:
    """A span of ours, stamp and events included, is encoded like its SDK form."""
    tracer = Tracer(Sink(), Resource.create({}))
    context = Context({STAMP: Stamp({"stamp": "s", "n": 1})})
    root = tracer.start("root", context, {"a": [1, 2], "b": True})
    child = tracer.start("child", with_span(context, root), kind=SpanKind.CLIENT)
    try:
        raise ValueError("wrong")
    except ValueError as error:
        child.fail(error)
    child.add_link(root.context, {"why": "test"})
    child.end()
    root.end()
    encoder = SpanEncoder()
    for span in (root, child):
        ours = encoder.span(span)
        standard = encode_spans([span.readable()])
        expected = standard.resource_spans[0].scope_spans[0].spans[0]
        got = type(expected).FromString(ours)
        for message in (got, expected):
            pairs = sorted(message.attributes, key=lambda pair: pair.key)
            del message.attributes[:]
            message.attributes.extend(pairs)
        assert got == expected


def test_appended_attribute() -> None:
    """An attribute appended to ready bytes is part of the span."""
    tracer = Tracer(Sink(), Resource.create({}))
    span = tracer.start("x", Context())
    span.end()
    body = SpanEncoder().span(span) + string_attribute("late", "é".encode())
    assert decode_span(body).attributes == {"late": "é"}


def test_lone_surrogates_are_kept_readable() -> None:
    """Text that is no Unicode is written with replacements, never refused."""
    tracer = Tracer(Sink(), Resource.create({}))
    span = tracer.start("\ud800", Context(), {"a": "x\udfff"})
    span.end()
    assert decode_span(SpanEncoder(Redactor()).span(span)).attributes == {"a": "x?"}
