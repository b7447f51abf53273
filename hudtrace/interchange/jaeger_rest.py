"""What of a span Jaeger's JSON has no place for, so that a file loses nothing.

It is OTLP itself, in two binary tags: of the span a `ScopeSpans` message, of its
process a `ResourceSpans` message, both without the names, ids, parents, and attributes
of a type that Jaeger has: these are in the JSON alone. In the rest are the library,
nanoseconds, kind, status, flags, links, trace state and counts of what was dropped,
attributes that are lists or maps, and those with a name that Jaeger uses itself.
"""

from __future__ import annotations

import math
from collections.abc import Set
from typing import Any

from hudtrace import semconv
from hudtrace.interchange import jaeger_model as names
from hudtrace.store.services import INVENTED, service_of

_PLAIN = {"string_value", "bool_value", "int_value", "double_value", "bytes_value"}


def of_span(span: Any, scope: Any, schema_url: str) -> bytes:
    """Return the rest of a span, a `ScopeSpans` message."""
    from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

    rest = ScopeSpans(schema_url=schema_url)
    rest.scope.CopyFrom(scope)
    kept = rest.spans.add()
    kept.CopyFrom(span)
    kept.name = ""
    kept.trace_id = kept.span_id = b""
    if not span.links:
        kept.parent_span_id = b""
    _keep(kept.attributes, names.DERIVED)
    for event in kept.events:
        event.name = "" if _no_field(event) else event.name
        _keep(event.attributes, {names.EVENT})
    return bytes(rest.SerializeToString())


def of_resource(resource: Any, schema_url: str) -> bytes | None:
    """Return the rest of a resource, a `ResourceSpans` message; None for nothing."""
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

    rest = ResourceSpans(schema_url=schema_url)
    rest.resource.CopyFrom(resource)
    kept = {names.REST_OF_RESOURCE}
    service = service_of(resource)
    if service in INVENTED:
        kept.add(semconv.SERVICE_NAME)
    _keep(rest.resource.attributes, kept)
    if service in INVENTED or rest.resource.ByteSize() or schema_url:
        return bytes(rest.SerializeToString())
    return None


def _no_field(event: Any) -> bool:
    """Say whether the name of an event is in its field `event`, and nothing else."""
    return all(pair.key != names.EVENT for pair in event.attributes)


def _keep(attributes: Any, reserved: Set[str]) -> None:
    """Leave only those that tags do not carry."""
    keys = {pair.key for pair in attributes if not _is_carried(pair, reserved)}
    if len(keys) == len(attributes):
        return
    kept = [
        type(pair).FromString(pair.SerializeToString())
        for pair in attributes
        if pair.key in keys
    ]
    del attributes[:]
    attributes.extend(kept)


def _is_carried(pair: Any, reserved: Set[str]) -> bool:
    kind = pair.value.WhichOneof("value")
    if kind == "double_value" and math.isnan(pair.value.double_value):
        return False
    return kind in _PLAIN and pair.key not in reserved
