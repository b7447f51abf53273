"""Turns ended spans into the rows of one commit, in the writer thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hudtrace import semconv
from hudtrace.delivery import otlp
from hudtrace.notices import internal_error
from hudtrace.store import fold
from hudtrace.store.rows import Batch, Source
from hudtrace.tracing.content import ContentEncoder, Encoded, Resolved, content_hash
from hudtrace.tracing.redaction import Redactor
from hudtrace.tracing.spans import Span

_PLAIN = (float, bytes)
_KNOWN = 200_000  # hashes remembered as stored, so as not to send them again


class Written:
    """A span as it was written, for exporters that send it on."""

    __slots__ = ("resolved", "span")

    def __init__(self, span: Any, resolved: Resolved | None) -> None:
        self.span = span
        self.resolved = resolved


class BatchWriter:
    """Encodes spans for the store; belongs to one thread.

    `content` False leaves out every prompt, answer, argument and result.
    """

    def __init__(self, redactor: Redactor, *, content: bool) -> None:
        self._content = content
        self._encoder = otlp.SpanEncoder(redactor)
        self._messages = ContentEncoder(redactor)
        self._sources: dict[tuple[int, int], tuple[Any, Source]] = {}
        self._texts: dict[str, str] = {}
        self._known: set[bytes] = set()
        self._nodes: dict[tuple[bytes | None, bytes], bytes] = {}

    def use(self, redactor: Redactor) -> None:
        """Redact with *redactor* from now on."""
        self._encoder = otlp.SpanEncoder(redactor)
        self._messages.use(redactor)
        self._texts.clear()

    def add(self, batch: Batch, span: Any) -> Written:
        """Add an ended span to *batch*."""
        span = span if self._content else _Metadata(span)
        resolved = self._resolve(span)
        extra = resolved.attributes if resolved else None
        attributes = _merged(span, extra)
        ids, parent = span.context, span.parent
        trace_id = ids.trace_id.to_bytes(16, "big")
        span_id = ids.span_id.to_bytes(8, "big")
        parent_id = None if parent is None else parent.span_id.to_bytes(8, "big")
        node, replies = self._chain(batch, resolved)
        source = self._source(batch, span)
        tools = resolved.tools if resolved and self._content else None
        batch.spans.append(
            (
                trace_id,
                span_id,
                parent_id,
                self._column(span.name),
                span.start_time,
                span.end_time,
                span.status.status_code.value,
                self._column(attributes.get(semconv.OPERATION)),
                self._column(attributes.get(semconv.REQUEST_MODEL)),
                self._column(attributes.get(semconv.PHASE)),
                self._column(attributes.get(semconv.TURN_INDEX)),
                node,
                replies,
                self._message(batch, tools) if tools else None,
                source,
                self._encoder.span(span, extra),
            )
        )
        verdict = fold.verdict_of(trace_id, span_id, span.end_time, attributes)
        if verdict is not None:
            batch.verdicts.append(tuple(map(self._column, verdict)))
        self._fold(batch, span, trace_id, span_id, parent_id, attributes)
        return Written(span, resolved)

    def open(self, batch: Batch, span: Any, writer: str) -> None:
        """Add a start record of a span that is still open."""
        shown = span if self._content else _Metadata(span)
        attributes = _merged(shown, None)
        ids, parent = span.context, span.parent
        trace_id = ids.trace_id.to_bytes(16, "big")
        span_id = ids.span_id.to_bytes(8, "big")
        parent_id = None if parent is None else parent.span_id.to_bytes(8, "big")
        body = self._encoder.attributes(attributes)
        name = self._column(span.name)
        row = (trace_id, parent_id, name, span.start_time, writer, body)
        batch.opened.append((span_id, *row))
        self._fold(batch, span, trace_id, span_id, parent_id, attributes)

    def committed(self, batch: Batch) -> None:
        """Remember what *batch* has stored."""
        if len(self._known) > _KNOWN:
            self._known.clear()
            self._nodes.clear()
        self._known.update(batch.messages)
        self._known.update(batch.nodes)

    def _resolve(self, span: Any) -> Resolved | None:
        deferred = getattr(span, "deferred", None)
        if deferred is None:
            return None
        if isinstance(span, Span):
            span.deferred = None  # whoever keeps the span need not keep its content
        try:
            resolved = deferred.resolve(self._messages)
        except Exception as error:
            internal_error("reading a model call", error)
            return Resolved({semconv.CONTENT_DROPPED: "unreadable"})
        if not self._content:
            return Resolved(resolved.attributes)
        return resolved  # type: ignore[no-any-return]

    def _chain(
        self, batch: Batch, resolved: Resolved | None
    ) -> tuple[bytes | None, int | None]:
        if resolved is None or not (resolved.input or resolved.output):
            return None, None
        node: bytes | None = None
        for message in (*resolved.input, *resolved.output):
            self._message(batch, message)
            link = (node, message.digest)
            found = self._nodes.get(link)
            if found is None:
                found = self._nodes[link] = content_hash(node or b"", message.digest)
            if found not in self._known:
                batch.nodes[found] = link
            node = found
        return node, len(resolved.output)

    def _message(self, batch: Batch, message: Encoded) -> bytes:
        if message.digest not in self._known:
            batch.messages[message.digest] = message.body
        return message.digest

    def _column(self, value: Any) -> Any:
        """Return *value* as a column can hold it: redacted, valid text, plain."""
        if value.__class__ is str:
            text = value
        elif (
            value is None
            or isinstance(value, _PLAIN)
            or (isinstance(value, int) and -(2**63) <= value < 2**63)
        ):
            return value
        else:
            text = str(value)
        found = self._texts.get(text)
        if found is None:
            found = self._messages.redactor.text(text)
            if not found.isascii():
                found = found.encode("utf-8", "replace").decode("utf-8")
            if len(text) < 200 and len(self._texts) < 8192:
                self._texts[text] = found
        return found

    def _source(self, batch: Batch, span: Any) -> bytes:
        scope, resource = span.instrumentation_scope, span.resource
        found = self._sources.get((id(scope), id(resource)))
        if found is None:
            encoded = otlp.encode_resource(resource), otlp.encode_scope(scope)
            url = getattr(scope, "schema_url", None) or None
            key = content_hash(*encoded, (url or "").encode())
            # The objects are kept, so that their ids stay theirs.
            found = ((scope, resource), Source(key, *encoded, url))
            self._sources[id(scope), id(resource)] = found
        source = found[1]
        batch.sources[source.key] = source
        return source.key

    def _fold(
        self,
        batch: Batch,
        span: Any,
        trace_id: bytes,
        span_id: bytes,
        parent_id: bytes | None,
        attributes: Mapping[str, Any],
    ) -> None:
        args = (
            trace_id,
            span_id,
            parent_id,
            span.name,
            span.start_time,
            span.end_time,
            attributes,
        )
        if parent_id is None:
            self._fold_one(batch, args)
        else:
            # Spans of one stamp tell the same of their episode, and nothing
            # that the root does not know: they wait for the end of the batch.
            stamp = getattr(span, "stamp", None)
            batch.stamped.setdefault((trace_id, id(stamp)), args)

    def finish(self, batch: Batch) -> None:
        """Fold the spans whose root has not come with them."""
        for (trace_id, _), args in batch.stamped.items():
            known = batch.episodes.get(trace_id)
            if known is None or fold.rank(known) < 2:
                self._fold_one(batch, args)

    def _fold_one(self, batch: Batch, args: Any) -> None:
        row = fold.episode_of(*args)
        if row is not None:
            trace_id = row["trace_id"]
            row = {
                column: None if value is None else self._column(value)
                for column, value in row.items()
            }
            known = batch.episodes.get(trace_id)
            batch.episodes[trace_id] = row if known is None else fold.merge(known, row)


class _Metadata:
    """A span as a metadata-only policy sees it: no content, no messages of errors."""

    def __init__(self, span: Any) -> None:
        from opentelemetry.trace import Status

        self._span = span
        self.attributes = _without_content(span.attributes or {})
        self.status = Status(span.status.status_code)
        self.events = [
            type(event)(
                event.name, _without_content(event.attributes or {}), event.timestamp
            )
            for event in span.events
        ]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._span, name)


def metadata_only(span: Any) -> Any:
    """Return a view of *span* without content."""
    return _Metadata(span)


def _without_content(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in attributes.items() if k not in semconv.CONTENT_KEYS}


def _merged(span: Any, extra: Mapping[str, Any] | None) -> Mapping[str, Any]:
    own: Mapping[str, Any] = span.attributes or {}
    stamp = getattr(span, "stamp", None)
    if stamp is None and not extra:
        return own
    return {**own, **(stamp.attributes if stamp else {}), **(extra or {})}
