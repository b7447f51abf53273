"""Takes secrets out of spans that came from elsewhere, in place.

The same rules as for our own spans, on the messages of OTLP: what holds no secret
is not touched, so that nothing of it changes its kind or is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hudtrace.delivery.otlp import any_value
from hudtrace.tracing.credentials import is_secret_header, is_secret_name
from hudtrace.tracing.redaction import Redactor

_NESTED = ("kvlist_value", "array_value")


def redact_span(span: Any, redactor: Redactor) -> None:
    """Redact the texts of an OTLP `Span`."""
    for field in ("name", "trace_state"):
        _redact_text(span, field, redactor)
    _redact_text(span.status, "message", redactor)
    redact_attributes(span.attributes, redactor)
    for event in span.events:
        _redact_text(event, "name", redactor)
        redact_attributes(event.attributes, redactor)
    for link in span.links:
        redact_attributes(link.attributes, redactor)


def redact_attributes(attributes: Iterable[Any], redactor: Redactor) -> None:
    """Redact the `KeyValue`s of a span, an event, a resource."""
    for pair in attributes:
        name = pair.key
        value = plain(pair.value)
        clean = redactor.value(value, name)
        if clean != value:
            pair.value.ParseFromString(any_value(clean))
        _redact_text(pair, "key", redactor)


def names_secrets(attributes: Iterable[Any]) -> bool:
    """Say whether any attribute, or a key inside of one, is called like a secret."""
    for pair in attributes:
        if is_secret_name(pair.key):
            return True
        kind = pair.value.WhichOneof("value")
        if kind in _NESTED and _holds_names(pair.value, kind):
            return True
    return False


def plain(value: Any) -> Any:
    """Return an `AnyValue` as a Python value."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, kind)


def _holds_names(value: Any, kind: str) -> bool:
    if kind == "kvlist_value":
        return names_secrets(value.kvlist_value.values)
    items = value.array_value.values
    if len(items) == 2:  # it may be a name and its value
        first = items[0].string_value
        if is_secret_name(first) or is_secret_header(first):
            return True
    kinds = ((item, item.WhichOneof("value")) for item in items)
    return any(kind in _NESTED and _holds_names(item, kind) for item, kind in kinds)


def _redact_text(message: Any, field: str, redactor: Redactor) -> None:
    text = getattr(message, field)
    if text:
        clean = redactor.text(text)
        if clean != text:
            setattr(message, field, clean)
