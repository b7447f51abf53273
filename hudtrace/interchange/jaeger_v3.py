"""Spans as version 3 of Jaeger's query API answers with them: OTLP, put in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hudtrace import semconv
from hudtrace.interchange import clock_skew
from hudtrace.interchange import jaeger_model as names
from hudtrace.interchange.otlp_json import data_of
from hudtrace.store.services import INVENTED, service_of

_HOSTS = ("host.id", "host.ip", "host.name")


def resource_spans(request: Any, *, raw: bool = False) -> list[dict[str, Any]]:
    """Return an `ExportTraceServiceRequest` as JSON of OTLP; it is used up by that.

    *raw* spans are without what Jaeger puts in order in them.
    """
    for each in request.resource_spans:
        each.resource.SetInParent()
        _name_service(each.resource)
        for scope_spans in each.scope_spans:
            scope_spans.scope.SetInParent()
            for span in scope_spans.spans:
                span.status.SetInParent()
                _lengthen(span)
                _leave_out_zeros(span)
    if not raw:
        _adjust(request)
    found: list[dict[str, Any]] = data_of(request).get("resourceSpans", [])
    return found


def _name_service(resource: Any) -> None:
    service = service_of(resource)
    if service in INVENTED:
        _set_text(resource.attributes, semconv.SERVICE_NAME, service)


def _lengthen(span: Any) -> None:
    """Have a span end after it begins."""
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    if end <= start:
        span.end_time_unix_nano = start + 1
        _warn(span, names.negative_duration(start, end))


def _leave_out_zeros(span: Any) -> None:
    """Have ids that are none be none."""
    if not any(span.parent_span_id):
        span.parent_span_id = b""
    for link in span.links:
        link.trace_id = link.trace_id if any(link.trace_id) else b""
        link.span_id = link.span_id if any(link.span_id) else b""


def _adjust(request: Any) -> None:
    _warn_of_clocks(request)
    for each in request.resource_spans:
        _write_addresses(each.resource.attributes)
        for scope_spans in each.scope_spans:
            _sort(scope_spans.scope.attributes, _key)
            for span in scope_spans.spans:
                _write_addresses(span.attributes)
                _move_library(span, each.resource)
                _remove_links(span)
                _sort_span(span)
        _sort(each.resource.attributes, _key)


def _warn_of_clocks(request: Any) -> None:
    by_trace: dict[bytes, list[tuple[Any, clock_skew.Timed]]] = {}
    for each in request.resource_spans:
        host = _host(each.resource)
        for span in _spans(each):
            parent = span.parent_span_id.hex() if any(span.parent_span_id) else ""
            start = span.start_time_unix_nano
            timed = clock_skew.Timed(
                span.span_id.hex(), parent, host, start, span.end_time_unix_nano - start
            )
            by_trace.setdefault(span.trace_id, []).append((span, timed))
    for placed in by_trace.values():
        skews = clock_skew.find([timed for _, timed in placed])
        for position in skews.orphans:
            span, timed = placed[position]
            _warn(
                span,
                f"parent span ID={timed.parent} is not in the trace; "
                f"skipping clock skew adjustment",
            )
        for position, delta in skews.deltas.items():
            _warn(placed[position][0], names.clock_skew(delta))


def _spans(resource_spans: Any) -> Iterator[Any]:
    for scope_spans in resource_spans.scope_spans:
        yield from scope_spans.spans


def _host(resource: Any) -> str:
    """Return what tells a host from others, empty if nothing does."""
    for key in _HOSTS:
        value = _find(resource.attributes, key)
        if value is None:
            continue
        if key == "host.ip" and value.array_value.values:
            value = value.array_value.values[0]
        elif key == "host.ip" and value.WhichOneof("value") != "string_value":
            continue
        return str(value.string_value)
    return ""


def _write_addresses(attributes: Any) -> None:
    for pair in attributes:
        kind = pair.value.WhichOneof("value")
        if pair.key in names.ADDRESSES and kind in ("int_value", "double_value"):
            pair.value.string_value = names.address(getattr(pair.value, kind))


def _move_library(span: Any, resource: Any) -> None:
    """Move what a span says of the library it was made with to its resource."""
    for index in reversed(range(len(span.attributes))):
        pair = span.attributes[index]
        if pair.key not in names.OF_LIBRARY:
            continue
        known = _find(resource.attributes, pair.key)
        if known is not None and known != pair.value:
            _warn(
                span,
                f"conflicting values between Span and Resource for attribute {pair.key}",
            )
            continue
        if known is None:
            resource.attributes.add().CopyFrom(pair)
        del span.attributes[index]


def _remove_links(span: Any) -> None:
    """Remove those to no trace."""
    for index in reversed(range(len(span.links))):
        if not any(span.links[index].trace_id):
            del span.links[index]
            _warn(span, "Invalid span link removed")


def _sort_span(span: Any) -> None:
    _sort(span.attributes, _key)
    _sort(span.events, lambda event: event.name)
    for event in span.events:
        _sort(event.attributes, _key)
    for link in span.links:
        _sort(link.attributes, _key)


def _key(pair: Any) -> Any:
    return pair.key


def _sort(messages: Any, key: Callable[[Any], Any]) -> None:
    if len(messages) > 1:
        messages.sort(key=key)


def _warn(span: Any, warning: str) -> None:
    value = _find(span.attributes, names.WARNINGS)
    if value is None:
        value = span.attributes.add(key=names.WARNINGS).value
    value.array_value.values.add().string_value = warning


def _find(attributes: Any, key: str) -> Any:
    return next((pair.value for pair in attributes if pair.key == key), None)


def _set_text(attributes: Any, key: str, text: str) -> None:
    value = _find(attributes, key)
    if value is None:
        value = attributes.add(key=key).value
    value.string_value = text
