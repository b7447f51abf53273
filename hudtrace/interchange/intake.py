"""Spans of any OpenTelemetry program, as rows of the store.

An episode that was received is as good as one that ran here: the same columns, the
same fold, the same verdicts, and its conversations stored once. The body of a span
stays what came, unknown fields included, but for secrets.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hudtrace import semconv
from hudtrace.delivery.parcels import without_content
from hudtrace.interchange import columns
from hudtrace.interchange.inline import Inline, take_out
from hudtrace.interchange.redacting import (
    names_secrets,
    plain,
    redact_attributes,
    redact_span,
)
from hudtrace.notices import internal_error
from hudtrace.store import fold
from hudtrace.store.rows import Batch, Source
from hudtrace.tracing.content import Encoded, content_hash
from hudtrace.tracing.redaction import Redactor

_PREFIXES = ("hud.", "gen_ai.")
_OWN = "hud."
_LATEST = 2**63 - 1  # what a column holds
_SMALLEST_SPAN = 30  # bytes, with its ids
_MANY = 10_000
_NO_PARENT = (b"", bytes(8))


@dataclass(slots=True)
class Taken:
    """What became of the spans of one request; `reasons` counts the refusals.

    `size` is that of the request, in bytes.
    """

    size: int
    accepted: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def rejected(self) -> int:
        """How many spans were refused."""
        return self.reasons.total()

    @property
    def message(self) -> str:
        """Why spans were refused, in words; empty if none was."""
        return "; ".join(
            f"{count} {'span' if count == 1 else 'spans'} refused: {why}"
            for why, count in self.reasons.items()
        )


class Intake:
    """Turns OTLP requests into rows, for one writer.

    `content` False leaves out every prompt, answer, argument and result.
    """

    def __init__(self, redactor: Redactor, *, content: bool = True) -> None:
        self._redactor = redactor
        self._content = content

    def add(self, batch: Batch, request: Any) -> Taken:
        """Add an `ExportTraceServiceRequest` to *batch*; it is used up by that.

        Never raises for what it holds: a span that cannot be stored is refused.
        """
        taken = Taken(request.ByteSize())
        count = _count(request)
        if count > _MANY and count * _SMALLEST_SPAN > taken.size:
            taken.reasons["most spans of the request have no ids"] += count
            return taken  # a few bytes each, they would take minutes, and gigabytes
        folded: dict[Any, dict[str, Any]] = {}
        for resource_spans in request.resource_spans:
            scopes = list(resource_spans.scope_spans)
            resource_spans.ClearField("scope_spans")
            resource = self._frame(resource_spans, resource_spans.resource)
            for scope_spans in scopes:
                spans = list(scope_spans.spans)
                url, scope = scope_spans.schema_url, scope_spans
                scope.ClearField("spans")
                scope.ClearField("schema_url")
                source = _source(resource, self._frame(scope, scope.scope), url)
                if spans:
                    batch.sources[source.key] = source
                for span in spans:
                    self._add_guarded(batch, span, source.key, folded, taken)
        for row in folded.values():
            known = batch.episodes.get(row["trace_id"])
            batch.episodes[row["trace_id"]] = (
                row if known is None else fold.merge(known, row)
            )
        return taken

    def _frame(self, message: Any, described: Any) -> bytes:
        """Return a message that has lost its spans, redacted, as bytes."""
        body = bytes(message.SerializeToString())
        if names_secrets(described.attributes) or not self._is_clean(body):
            redact_attributes(described.attributes, self._redactor)
            body = bytes(message.SerializeToString())
        return body

    def _add_guarded(
        self,
        batch: Batch,
        span: Any,
        source: bytes,
        folded: dict[Any, dict[str, Any]],
        taken: Taken,
    ) -> None:
        why = _what_is_wrong(span)
        if why is None:
            try:
                self._add(batch, span, source, folded)
            except Exception as error:
                internal_error("reading a span that was received", error)
                why = "it cannot be read"
        if why is None:
            taken.accepted += 1
        else:
            taken.reasons[why] += 1

    def _add(
        self, batch: Batch, span: Any, source: bytes, folded: dict[Any, dict[str, Any]]
    ) -> None:
        inline = take_out(span, self._redactor)
        body = self._body(span)
        if not self._content:
            body = without_content(body)
            span.ParseFromString(body)
            inline = None
        facts = _facts(span)
        trace_id, span_id = bytes(span.trace_id), bytes(span.span_id)
        given = bytes(span.parent_span_id)
        parent_id = None if given in _NO_PARENT else given
        start = min(span.start_time_unix_nano, _LATEST)
        end = max(start, min(span.end_time_unix_nano, _LATEST))
        node, replies, tools = _chain(batch, inline)
        status = span.status.code
        batch.spans.append(
            (
                trace_id,
                span_id,
                parent_id,
                span.name,
                start,
                end,
                status if status in (1, 2) else 0,
                columns.text(facts.get(semconv.OPERATION)),
                columns.text(facts.get(semconv.REQUEST_MODEL)),
                columns.text(facts.get(semconv.PHASE)),
                columns.integer(facts.get(semconv.TURN_INDEX)),
                node,
                replies,
                tools,
                source,
                body,
            )
        )
        verdict = columns.verdict(trace_id, span_id, end, facts)
        if verdict is not None:
            batch.verdicts.append(verdict)
        if any(key.startswith(_OWN) for key in facts):
            batch.closed.append(span_id)
            _fold(folded, (trace_id, span_id, parent_id, span.name, start, end, facts))

    def _body(self, span: Any) -> bytes:
        body = bytes(span.SerializeToString())
        if self._is_clean(body) and not (
            names_secrets(span.attributes)
            or any(names_secrets(event.attributes) for event in span.events)
            or any(names_secrets(link.attributes) for link in span.links)
        ):
            return body
        redact_span(span, self._redactor)
        return bytes(span.SerializeToString())

    def _is_clean(self, body: bytes) -> bool:
        """Say whether no text in encoded bytes has a secret in it, in one scan."""
        return self._redactor.keeps(body.decode("utf-8", "replace"))


def _count(request: Any) -> int:
    return sum(
        len(scope_spans.spans)
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
    )


def _what_is_wrong(span: Any) -> str | None:
    if len(span.trace_id) != 16 or not any(span.trace_id):
        return "trace_id is not 16 bytes that are not all 0"
    if len(span.span_id) != 8 or not any(span.span_id):
        return "span_id is not 8 bytes that are not all 0"
    if span.parent_span_id and len(span.parent_span_id) != 8:
        return "parent_span_id is not 8 bytes"
    return None


def _source(resource: bytes, scope: bytes, url: str) -> Source:
    key = content_hash(resource, scope, url.encode())
    return Source(key, resource, scope, url or None)


def _facts(span: Any) -> dict[str, Any]:
    """Return the attributes that the columns are made of."""
    return {
        pair.key: plain(pair.value)
        for pair in span.attributes
        if pair.key.startswith(_PREFIXES)
    }


def _chain(
    batch: Batch, inline: Inline | None
) -> tuple[bytes | None, int | None, bytes | None]:
    """Add a conversation; return its last node, how many are replies, the tools."""
    if inline is None:
        return None, None, None
    node: bytes | None = None
    for message in (*inline.input, *inline.output):
        link = (node, _message(batch, message))
        node = content_hash(node or b"", message.digest)
        batch.nodes[node] = link
    tools = None if inline.tools is None else _message(batch, inline.tools)
    return node, len(inline.output), tools


def _message(batch: Batch, message: Encoded) -> bytes:
    batch.messages[message.digest] = message.body
    return message.digest


def _fold(folded: dict[Any, dict[str, Any]], args: tuple[Any, ...]) -> None:
    """Fold a span into the row of its episode."""
    row = columns.episode(*args)
    if row is not None:
        key = row["trace_id"]
        known = folded.get(key)
        folded[key] = row if known is None else fold.merge(known, row)
