"""Spans as Jaeger's JSON traces, as its query API and its page write them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hudtrace import semconv
from hudtrace.interchange import clock_skew, jaeger_rest
from hudtrace.interchange import jaeger_model as names
from hudtrace.interchange.jaeger_import import MalformedJaeger, from_jaeger
from hudtrace.interchange.jaeger_model import Tag
from hudtrace.store.services import service_of

__all__ = ["MalformedJaeger", "from_jaeger", "to_jaeger", "traces"]

_NO_TRACE = "0" * 16
_RANK = {kind: rank for rank, kind in enumerate(names.TYPES)}


@dataclass(slots=True)
class _Shown:
    """A span in Jaeger's model; times in ns."""

    json: dict[str, Any]
    service: str
    tags: list[Tag]  # of the process
    start: int
    duration: int
    warnings: list[str] = field(default_factory=list)


def to_jaeger(request: Any) -> dict[str, Any]:
    """Return an `ExportTraceServiceRequest` as a file for Jaeger's page.

    Nothing is lost: what Jaeger has no place for is in tags that `from_jaeger` reads.
    """
    found = _by_trace(request, whole=True)
    return {"data": [_finish(spans) for spans in found.values()]}


def traces(request: Any, *, raw: bool = False) -> list[dict[str, Any]]:
    """Return an `ExportTraceServiceRequest` as the query API answers with its traces.

    *raw* ones are without what Jaeger puts in order in them.
    """
    found = _by_trace(request)
    for spans in found.values():
        if not raw:
            _adjust(spans)
    return [_finish(spans) for spans in found.values()]


def _by_trace(request: Any, *, whole: bool = False) -> dict[str, list[_Shown]]:
    """Convert spans one by one; *whole* adds the rest that the JSON cannot say."""
    found: dict[str, list[_Shown]] = {}
    for each in request.resource_spans:
        service = service_of(each.resource)
        tags = list(_process_tags(each, whole))
        for library in each.scope_spans:
            scope = list(_scope_tags(library.scope))
            for span in library.spans:
                shown = _convert(span, scope)
                shown.service, shown.tags = service, tags
                if whole:
                    rest = jaeger_rest.of_span(span, library.scope, library.schema_url)
                    shown.json["tags"].append(
                        names.binary_tag(names.REST_OF_SPAN, rest)
                    )
                found.setdefault(shown.json["traceID"], []).append(shown)
    for spans in found.values():
        spans.sort(key=lambda shown: (shown.start, shown.json["spanID"]))
    return found


def _process_tags(resource_spans: Any, whole: bool) -> Iterator[Tag]:
    for pair in resource_spans.resource.attributes:
        if pair.key != semconv.SERVICE_NAME:
            yield names.tag(pair.key, pair.value)
    if whole:
        rest = jaeger_rest.of_resource(
            resource_spans.resource, resource_spans.schema_url
        )
        if rest is not None:
            yield names.binary_tag(names.REST_OF_RESOURCE, rest)


def _scope_tags(scope: Any) -> Iterator[Tag]:
    if scope.name:
        yield names.text_tag(names.SCOPE_NAME, scope.name)
    if scope.version:
        yield names.text_tag(names.SCOPE_VERSION, scope.version)


# One span ---------------------------------------------------------------------


def _convert(span: Any, scope: list[Tag]) -> _Shown:
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    warnings = []
    tags = list(scope)
    for pair in span.attributes:
        known = pair.value.array_value.values
        if pair.key == names.WARNINGS and (known or end <= start):
            warnings += [each.string_value for each in known]
        else:
            tags.append(names.tag(pair.key, pair.value))
    if end <= start:
        warnings.append(names.negative_duration(start, end))
        end = start + 1
    trace_id = names.trace_id_text(span.trace_id)
    json = {
        "traceID": trace_id,
        "spanID": span.span_id.hex(),
        "operationName": span.name,
        "references": _references(span, trace_id),
        "startTime": start // 1000,
        "duration": (end - start) // 1000,
        "tags": tags + list(_derived_tags(span)),
        "logs": [_log(event) for event in span.events],
    }
    return _Shown(json, "", [], start, end - start, warnings)


def _derived_tags(span: Any) -> Iterator[Tag]:
    if 0 < span.kind < len(names.KINDS):
        yield names.text_tag(names.SPAN_KIND, names.KINDS[span.kind])
    if 0 < span.status.code < len(names.STATUSES):
        yield names.text_tag(names.STATUS_CODE, names.STATUSES[span.status.code])
    if span.status.code == 2:
        yield {"key": names.ERROR, "type": "bool", "value": True}
    if span.status.message:
        yield names.text_tag(names.STATUS_DESCRIPTION, span.status.message)
    if span.trace_state:
        yield names.text_tag(names.TRACE_STATE, span.trace_state)


def _references(span: Any, trace_id: str) -> list[dict[str, str]]:
    """Return the parent and the links; a link to the parent gives its type to it."""
    found: list[dict[str, str]] = []
    parent = span.parent_span_id.hex()
    if span.parent_span_id.strip(b"\0"):
        found.append(_reference(names.CHILD_OF, trace_id, parent))
    for link in span.links:
        kind = _reference_type(link)
        linked = names.trace_id_text(link.trace_id.rjust(16, b"\0"))
        target = link.span_id.rjust(8, b"\0").hex()
        if found and linked == trace_id and target == parent:
            found[0]["refType"] = kind
        else:
            found.append(_reference(kind, linked, target))
    return found


def _reference(kind: str, trace_id: str, span_id: str) -> dict[str, str]:
    return {"refType": kind, "traceID": trace_id, "spanID": span_id}


def _reference_type(link: Any) -> str:
    for pair in link.attributes:
        if pair.key == names.REFERENCE_TYPE:
            is_child = pair.value.string_value == "child_of"
            return names.CHILD_OF if is_child else names.FOLLOWS_FROM
    return names.FOLLOWS_FROM


def _log(event: Any) -> dict[str, Any]:
    fields = [names.tag(pair.key, pair.value) for pair in event.attributes]
    if event.name and all(each["key"] != names.EVENT for each in fields):
        fields.insert(0, names.text_tag(names.EVENT, event.name))
    return {"timestamp": event.time_unix_nano // 1000, "fields": fields}


# A trace, as Jaeger puts it in order --------------------------------------------


def _adjust(spans: list[_Shown]) -> None:
    for shown in spans:
        shown.json["tags"].sort(key=_order)
        for log in shown.json["logs"]:
            _sort_fields(log["fields"])
    _add_warnings(spans)
    processes: dict[int, list[Tag]] = {}
    for shown in spans:
        key = id(shown.tags)
        if key not in processes:
            processes[key] = sorted(map(_address, shown.tags), key=_order)
        shown.tags = processes[key]
        _adjust_tags(shown)
        _adjust_references(shown)


def _order(tag: Tag) -> tuple[str, int, str]:
    text = tag["value"] if tag["type"] == "string" else ""
    return tag["key"], _RANK[tag["type"]], text


def _sort_fields(fields: list[Tag]) -> None:
    """Put the name of an event first, and the rest in order."""

    def order(tag: Tag) -> tuple[bool, tuple[str, int, str]]:
        first = tag["key"] == names.EVENT and tag["type"] == "string"
        return not first, _order(tag)

    fields.sort(key=order)


def _add_warnings(spans: list[_Shown]) -> None:
    timed = [
        clock_skew.Timed(
            shown.json["spanID"],
            _parent(shown),
            _host(shown.tags),
            shown.start,
            shown.duration,
        )
        for shown in spans
    ]
    skews = clock_skew.find(timed)
    for position in skews.orphans:
        spans[position].warnings.append(
            f"invalid parent span IDs={timed[position].parent}; "
            f"skipping clock skew adjustment"
        )
    for position, delta in skews.deltas.items():
        spans[position].warnings.append(names.clock_skew(delta))


def _parent(shown: _Shown) -> str:
    """Return whom Jaeger takes for the parent, empty for nobody."""
    own = shown.json["traceID"]
    near = [each for each in shown.json["references"] if each["traceID"] == own]
    near.sort(key=lambda each: each["refType"] != names.CHILD_OF)
    found: str = near[0]["spanID"] if near else ""
    return found if found.strip("0") else ""


def _host(tags: list[Tag]) -> str:
    for tag in tags:
        if tag["key"] == "ip" and tag["type"] in ("string", "int64", "binary"):
            return str(tag["value"] or "")
    return ""


def _adjust_tags(shown: _Shown) -> None:
    moved = [tag for tag in shown.json["tags"] if tag["key"] in names.OF_LIBRARY]
    kept = [
        _address(tag)
        for tag in shown.json["tags"]
        if tag["key"] not in names.OF_LIBRARY
    ]
    shown.json["tags"] = kept
    shown.tags = sorted([*map(_address, shown.tags), *moved], key=_order)


def _address(tag: Tag) -> Tag:
    """Write the number of an IPv4 address as such."""
    if tag["key"] not in names.ADDRESSES or tag["type"] not in ("int64", "float64"):
        return tag
    read = int if tag["type"] == "int64" else float
    return names.text_tag(tag["key"], names.address(read(tag["value"])))


def _adjust_references(shown: _Shown) -> None:
    """Take out those to no trace, and put the parent first."""
    own, kept = shown.json["traceID"], []
    for each in shown.json["references"]:
        if each["traceID"] != _NO_TRACE:
            kept.append(each)
            continue
        shown.warnings.append(
            f"Invalid span reference removed {{TraceID:{each['traceID']} "
            f"SpanID:{each['spanID']} RefType:{each['refType']} "
            f"XXX_NoUnkeyedLiteral:{{}} XXX_unrecognized:[] XXX_sizecache:0}}"
        )
    near = [i for i, each in enumerate(kept) if each["traceID"] == own]
    near.sort(key=lambda i: kept[i]["refType"] != names.CHILD_OF)
    if near:
        kept[0], kept[near[0]] = kept[near[0]], kept[0]
    shown.json["references"] = kept


def _finish(spans: list[_Shown]) -> dict[str, Any]:
    """Put spans that are in order into one trace, their processes numbered."""
    by_object: dict[int, str] = {}  # most spans of a process share its list
    by_value: dict[str, str] = {}
    processes: dict[str, dict[str, Any]] = {}
    for shown in spans:
        name = by_object.get(id(shown.tags))
        if name is None:
            process = {"serviceName": shown.service, "tags": shown.tags}
            name = by_value.setdefault(repr(process), f"p{len(by_value) + 1}")
            processes.setdefault(name, process)
            by_object[id(shown.tags)] = name
        shown.json["processID"] = name
        shown.json["warnings"] = shown.warnings or None
    return {
        "traceID": spans[0].json["traceID"],
        "spans": [shown.json for shown in spans],
        "processes": processes,
        "warnings": None,
    }
