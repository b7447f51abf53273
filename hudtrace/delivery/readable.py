"""Our spans as the SDK's own, for the processors of the user's provider."""

from __future__ import annotations

from typing import Any

from hudtrace import semconv
from hudtrace.delivery.batch import Written, metadata_only
from hudtrace.tracing.redaction import Redactor


def as_readable(item: Written, redactor: Redactor, content: bool) -> Any:
    """Return a written span for the SDK: redacted, content inline."""
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.trace import Status

    span = item.span if content else metadata_only(item.span)
    stamp = getattr(span, "stamp", None)
    attributes = dict(span.attributes or {})
    if stamp is not None:
        attributes.update(stamp.attributes)
    if item.resolved is not None:
        attributes.update(item.resolved.attributes)
        if content:
            attributes.update(_messages(item))
    clean = {key: redactor.value(value, key) for key, value in attributes.items()}
    status = span.status
    return ReadableSpan(
        span.name,
        span.context,
        span.parent,
        span.resource,
        clean,
        [
            Event(e.name, redactor.value(dict(e.attributes or {})), e.timestamp)
            for e in span.events
        ],
        tuple(span.links),
        span.kind,
        status=Status(
            status.status_code,
            redactor.text(status.description) if status.description else None,
        ),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _messages(item: Written) -> dict[str, str]:
    resolved = item.resolved
    assert resolved is not None
    inline: dict[str, str] = {}
    if resolved.input:
        inline[semconv.INPUT_MESSAGES] = _array(resolved.input)
    if resolved.output:
        inline[semconv.OUTPUT_MESSAGES] = _array(resolved.output)
    if resolved.tools is not None:
        inline[semconv.TOOL_DEFINITIONS] = resolved.tools.body.decode(
            "utf-8", "replace"
        )
    return inline


def _array(messages: Any) -> str:
    joined = b",".join(message.body for message in messages)
    return f"[{joined.decode('utf-8', 'replace')}]"
