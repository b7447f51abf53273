"""Puts requests together from stored bytes: spans, and the messages they refer to.

Nothing is decoded on the way: a field that is appended to a span adds an attribute,
or replaces a single one such as the name.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hudtrace import semconv
from hudtrace.backends import Adaptation, Backend, Parcel
from hudtrace.delivery import otlp
from hudtrace.store.decode import decode_attributes
from hudtrace.store.outbox import Outbox, Outgoing, Segment
from hudtrace.store.queries import message_chain

#: A request stays below the 4 MiB that gRPC servers take unless told otherwise.
MAX_BYTES = 3_500_000
MAX_SPANS = 2048


class Packed(NamedTuple):
    """A span, ready to be sent."""

    segment: Segment
    span: Outgoing
    body: bytes


class Packer:
    """Packs spans for one backend, by their content policy and its adaptations.

    It reads from the outbox's connection, whose guard is held meanwhile.
    """

    def __init__(self, outbox: Outbox, backend: Backend, *, content: bool) -> None:
        self._outbox = outbox
        self._backend = backend
        self._content = content
        self._sources: dict[int, tuple[bytes, bytes, str | None]] = {}

    def pack(self, waiting: Iterable[tuple[Segment, Outgoing]]) -> list[Packed]:
        """Return as many spans as fit into one request; one always does."""
        with self._outbox.guard:
            return self._pack(waiting)

    def _pack(self, waiting: Iterable[tuple[Segment, Outgoing]]) -> list[Packed]:
        packed: list[Packed] = []
        size = 0
        for segment, span in waiting:
            body = self._body(span)
            size += len(body) + 8
            if packed and (size > MAX_BYTES or len(packed) >= MAX_SPANS):
                break
            packed.append(Packed(segment, span, body))
        return packed

    def parcel(self, spans: Sequence[Packed]) -> Parcel:
        """Put *spans* into one request, spans of one process and library together."""
        by_source: dict[int, list[bytes]] = {}
        for each in spans:
            by_source.setdefault(each.span.source, []).append(each.body)
        requests = []
        for source, bodies in by_source.items():
            with self._outbox.guard:
                resource, scope, url = self._source(source)
            requests.append(otlp.encode_request(resource, [(scope, url, bodies)]))
        return Parcel(b"".join(requests), len(spans))

    def _body(self, span: Outgoing) -> bytes:
        adaptation = self._backend.adapt(_View(span))
        appended = b"" if adaptation is None else _fields(adaptation)
        if not self._content:
            return without_content(span.body) + appended
        pieces = [span.body]
        if span.node is not None:
            pieces += self._conversation(span.node, span.replies or 0)
        if span.tools is not None:
            pieces += self._tools(span.tools)
        pieces.append(appended)
        return b"".join(pieces)

    def _conversation(self, node: bytes, replies: int) -> list[bytes]:
        bodies = message_chain(self._outbox.connection, node)
        split = len(bodies) - replies
        return [
            otlp.string_attribute(key, b"[" + b",".join(some) + b"]")
            for key, some in (
                (semconv.INPUT_MESSAGES, bodies[:split]),
                (semconv.OUTPUT_MESSAGES, bodies[split:]),
            )
            if some
        ]

    def _tools(self, key: bytes) -> list[bytes]:
        row = self._outbox.connection.execute(
            "SELECT body FROM messages WHERE hash = ?", (key,)
        )
        found = row.fetchone()
        if found is None:
            return []
        return [otlp.string_attribute(semconv.TOOL_DEFINITIONS, found[0])]

    def _source(self, key: int) -> tuple[bytes, bytes, str | None]:
        found = self._sources.get(key)
        if found is None:
            found = self._outbox.connection.execute(
                "SELECT resource, scope, schema_url FROM sources WHERE id = ?",
                (key,),
            ).fetchone()
            self._sources[key] = found
        return found


class _View:
    """A stored span, for backends to look at."""

    def __init__(self, span: Outgoing) -> None:
        self._span = span
        self.name = span.name
        self.operation = span.operation
        self.is_root = span.parent_id is None

    @functools.cached_property
    def attributes(self) -> Mapping[str, Any]:
        return decode_attributes(self._span.body)


def _fields(adaptation: Adaptation) -> bytes:
    fields = b""
    if adaptation.name is not None:
        fields = otlp.name_field(adaptation.name)  # the last name counts
    if adaptation.attributes:
        fields += otlp.SpanEncoder().attributes(adaptation.attributes)
    return fields


def without_content(body: bytes) -> bytes:
    """Return an encoded span without prompts, answers, arguments and results."""
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    span = Span.FromString(body)
    _keep_metadata(span.attributes)
    for event in span.events:
        _keep_metadata(event.attributes)
    span.status.message = ""
    return bytes(span.SerializeToString())


def _keep_metadata(attributes: Any) -> None:
    kept = [pair for pair in attributes if pair.key not in semconv.CONTENT_KEYS]
    if len(kept) < len(attributes):
        copies = [type(pair).FromString(pair.SerializeToString()) for pair in kept]
        del attributes[:]
        attributes.extend(copies)
