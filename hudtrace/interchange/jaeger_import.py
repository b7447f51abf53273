"""Jaeger's JSON traces as OTLP, to be imported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from typing import Any

from hudtrace import semconv
from hudtrace.interchange import jaeger_model as names
from hudtrace.interchange.jaeger_reading import At, MalformedJaeger, TagAt, last, tags
from hudtrace.store.services import INVENTED

__all__ = ["MalformedJaeger", "from_jaeger"]

#: Warnings that are made anew whenever a trace is shown.
_OF_THE_VIEW = (
    "clock skew adjustment disabled",
    "invalid parent span IDs=",
    "Invalid span reference removed",
    "Negative duration detected",
)


def from_jaeger(data: Any) -> Any:
    """Return Jaeger's JSON as an `ExportTraceServiceRequest`.

    *data* is what its page downloads and its query API answers with, a trace, or a list
    of traces. Raises `MalformedJaeger`, which names the place that is wrong.
    """
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
    )

    request = ExportTraceServiceRequest()
    for trace in _traces(At(data)):
        _add_trace(request, trace)
    return request


def _traces(data: At) -> Iterator[At]:
    if isinstance(data.value, list):
        yield from data.items()
    elif "spans" in data.object():
        yield data
    elif "data" in data.object():
        found = data.field("data")
        yield from [found] if isinstance(found.value, dict) else found.items()
    else:
        raise data.wrong('has neither "data" nor "spans": it is no trace of Jaeger')


def _add_trace(request: Any, trace: At) -> None:
    """Add the spans of one trace, by process and library."""
    resources: dict[str, Any] = {}
    libraries: dict[tuple[str, bytes], Any] = {}
    for span in trace.field("spans").items():
        process, key = _process(span, trace)
        if key not in resources:
            resources[key] = request.resource_spans.add()
            if process is not None:
                _read_process(resources[key], process)
        found = tags(span.get("tags"))
        rest, library = _library(found)
        if (key, library) not in libraries:
            scope_spans = resources[key].scope_spans.add()
            scope_spans.MergeFromString(library)
            libraries[key, library] = scope_spans
        into = libraries[key, library].spans.add()
        if rest is None:
            _read_span(into, span, found)
        else:
            into.CopyFrom(rest)
            _complete_span(into, span, found)


def _process(span: At, trace: At) -> tuple[At | None, str]:
    """Return the process of a span and a key of it; it may be in the span itself."""
    embedded = span.get("process")
    if embedded is not None:
        return embedded, str(embedded)
    name = span.get("processID")
    if name is None:
        return None, ""
    processes = trace.get("processes")
    known = None if processes is None else processes.get(name.text())
    if known is None:
        raise name.wrong(f"is {name.value!r}, and there is no such process")
    return known, name.text()


def _read_process(into: Any, process: At) -> None:
    service = process.field("serviceName").text()
    found = tags(process.get("tags"))
    rest = last(found, names.REST_OF_RESOURCE)
    if rest is not None:
        rest.parse(into)
    known = {pair.key for pair in into.resource.attributes}
    invented = rest is not None and service in INVENTED
    if not invented and semconv.SERVICE_NAME not in known:
        pair = into.resource.attributes.add(key=semconv.SERVICE_NAME)
        pair.value.string_value = service
    _add(into.resource.attributes, found, known | {names.REST_OF_RESOURCE})


def _library(found: list[TagAt]) -> tuple[Any, bytes]:
    """Return the rest of a span, if it has one, and its library as `ScopeSpans`."""
    from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

    library = ScopeSpans()
    tag = last(found, names.REST_OF_SPAN)
    if tag is None:
        library.scope.name = _text(found, names.SCOPE_NAME)
        library.scope.version = _text(found, names.SCOPE_VERSION)
        return None, bytes(library.SerializeToString())
    tag.parse(library)
    if len(library.spans) != 1:
        raise tag.wrong(f"has {len(library.spans)} spans, but belongs to one")
    rest = type(library.spans[0])()
    rest.CopyFrom(library.spans[0])
    del library.spans[:]
    return rest, bytes(library.SerializeToString())


# A span of a file of ours -------------------------------------------------------


def _complete_span(into: Any, span: At, found: list[TagAt]) -> None:
    """Add to the rest of a span what its JSON says; that counts where they differ."""
    _read_identity(into, span)
    start, duration = span.field("startTime").time(), span.field("duration").time()
    exact = into.end_time_unix_nano - into.start_time_unix_nano
    same = into.start_time_unix_nano // 1000 * 1000 == start
    if not same or max(exact, 0) // 1000 * 1000 != duration:
        _set_times(into, start, duration)
    if not into.links:
        into.parent_span_id = _parent(_references(span), into.trace_id) or b""
    known = {pair.key for pair in into.attributes} | names.DERIVED
    _add(into.attributes, found, known)
    logs = _logs(span)
    if len(logs) != len(into.events):
        del into.events[:]
        _read_events(into, logs)
        return
    for event, log in zip(into.events, logs, strict=True):
        _complete_event(event, log)


def _complete_event(event: Any, log: At) -> None:
    fields, time = tags(log.get("fields")), log.field("timestamp").time()
    if event.time_unix_nano // 1000 * 1000 != time:
        event.time_unix_nano = time
    known = {pair.key for pair in event.attributes}
    if names.EVENT not in known:
        event.name = _text(fields, names.EVENT)
    _add(event.attributes, fields, known | {names.EVENT})


# A span of anyone's -------------------------------------------------------------


def _read_span(into: Any, span: At, found: list[TagAt]) -> None:
    _read_identity(into, span)
    start = span.field("startTime").time()
    _set_times(into, start, span.field("duration").time())
    references = _references(span)
    into.parent_span_id = _parent(references, into.trace_id) or b""
    for kind, trace_id, span_id in references:
        is_parent = trace_id == into.trace_id and span_id == into.parent_span_id
        if kind == names.CHILD_OF and is_parent:
            continue
        link = into.links.add(trace_id=trace_id, span_id=span_id)
        if kind == names.CHILD_OF:
            pair = link.attributes.add(key=names.REFERENCE_TYPE)
            pair.value.string_value = "child_of"
    _read_kind_and_status(into, found)
    _read_warnings(into, span)
    _read_events(into, _logs(span))


def _read_kind_and_status(into: Any, found: list[TagAt]) -> None:
    taken = {names.SCOPE_NAME, names.SCOPE_VERSION, names.TRACE_STATE}
    into.trace_state = _text(found, names.TRACE_STATE)
    kind = _text(found, names.SPAN_KIND)
    if kind in names.KINDS[1:]:
        into.kind = names.KINDS.index(kind)
        taken.add(names.SPAN_KIND)
    error, code = last(found, names.ERROR), _text(found, names.STATUS_CODE).upper()
    if code in names.STATUSES[1:]:
        into.status.code = names.STATUSES.index(code)
        taken.add(names.STATUS_CODE)
    if error is not None and error.value is True:
        into.status.code = 2
        taken.add(names.ERROR)
    into.status.message = _text(found, names.STATUS_DESCRIPTION)
    taken.add(names.STATUS_DESCRIPTION)
    for tag in found:
        if tag.key not in taken or not (isinstance(tag.value, str) or tag is error):
            tag.write(into.attributes.add(key=tag.key).value)


def _read_warnings(into: Any, span: At) -> None:
    warnings = span.get("warnings")
    said = [] if warnings is None else [each.text() for each in warnings.items()]
    kept = [each for each in said if not each.startswith(_OF_THE_VIEW)]
    if kept:
        pair = into.attributes.add(key=names.WARNINGS)
        for each in kept:
            pair.value.array_value.values.add().string_value = each


def _read_events(into: Any, logs: Iterable[At]) -> None:
    for log in logs:
        fields = tags(log.get("fields"))
        event = into.events.add(
            time_unix_nano=log.field("timestamp").time(),
            name=_text(fields, names.EVENT),
        )
        is_name = isinstance(getattr(last(fields, names.EVENT), "value", None), str)
        _add(event.attributes, fields, {names.EVENT} if is_name else set())


# Parts of both ------------------------------------------------------------------


def _read_identity(into: Any, span: At) -> None:
    into.trace_id = span.field("traceID").id(16)
    into.span_id = span.field("spanID").id(8)
    into.name = span.field("operationName").text()
    for name, found in (("traceID", into.trace_id), ("spanID", into.span_id)):
        if not any(found):
            raise span.field(name).wrong("is zero, which is no id")


def _set_times(into: Any, start: int, duration: int) -> None:
    into.start_time_unix_nano = start
    into.end_time_unix_nano = min(start + duration, 2**64 - 1)


def _references(span: At) -> list[tuple[str, bytes, bytes]]:
    found = []
    for each in _list(span, "references"):
        kind = each.field("refType").text()
        if kind not in (names.CHILD_OF, names.FOLLOWS_FROM):
            raise each.wrong(f"is neither CHILD_OF nor FOLLOWS_FROM: {kind!r}")
        found.append((kind, each.field("traceID").id(16), each.field("spanID").id(8)))
    parent = span.get("parentSpanID")  # of old versions
    if parent is not None and not found and parent.id(8).strip(b"\0"):
        found.append((names.CHILD_OF, span.field("traceID").id(16), parent.id(8)))
    return found


def _parent(
    references: list[tuple[str, bytes, bytes]], trace_id: bytes
) -> bytes | None:
    """Return the parent: the first reference within the trace, best a CHILD_OF."""
    for wanted in (names.CHILD_OF, names.FOLLOWS_FROM):
        for kind, trace, span_id in references:
            if kind == wanted and trace == trace_id and any(span_id):
                return span_id
    return None


def _logs(span: At) -> list[At]:
    return list(_list(span, "logs"))


def _list(at: At, name: str) -> Iterator[At]:
    found = at.get(name)
    return iter(()) if found is None else found.items()


def _text(found: list[TagAt], key: str) -> str:
    """Return the text of the first tag of that key; empty without one."""
    for tag in found:
        if tag.key == key and isinstance(tag.value, str):
            return tag.value
    return ""


def _add(attributes: Any, found: list[TagAt], left_out: Set[str]) -> None:
    """Add tags as attributes."""
    for tag in found:
        if tag.key not in left_out:
            tag.write(attributes.add(key=tag.key).value)
