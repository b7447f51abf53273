"""OTLP protobuf bytes of spans, written by hand.

Encoding is two thirds of what the SDK's pipeline costs. Here the bytes of an
attribute are kept for the next span that has the same one, and those of a
stamp are made once. Equal, message by message, to the standard encoder.
Source: opentelemetry-proto, `trace/v1/trace.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hudtrace.tracing.credentials import is_secret_name
from hudtrace.tracing.redaction import Redactor
from hudtrace.tracing.spans import Stamp

_M64 = (1 << 64) - 1
_MAX_CACHED_TEXT = 96
_MAX_CACHE = 8192

# Field tags of Span, with wire types; names as in trace.proto.
_TRACE_ID = struct.Struct(">2sQQ2sQ").pack  # trace_id (1) and span_id (2)
_PARENT = struct.Struct(">2sQ").pack
_TIMES = struct.Struct("<cQcQ").pack  # start (7) and end (8), fixed64
_DOUBLE = struct.Struct("<d").pack
_FIXED32 = struct.Struct("<I").pack
_FIXED64 = struct.Struct("<Q").pack
_FLAGS_LOCAL, _FLAGS_REMOTE = 0x100, 0x300


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_VARINTS = [_varint(number) for number in range(1 << 14)]


def _sized(data: bytes) -> bytes:
    size = len(data)
    return (_VARINTS[size] if size < 16384 else _varint(size)) + data


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")  # lone surrogates


def any_value(value: Any) -> bytes:
    """Return the body of an `AnyValue`."""
    kind = value.__class__
    if kind is str:
        return b"\x0a" + _sized(_utf8(value))
    if kind is bool:
        return b"\x10\x01" if value else b"\x10\x00"
    if kind is int:
        return b"\x18" + _integer(value)
    if kind is float:
        return b"\x21" + _DOUBLE(value)
    if value is None:
        return b""
    return _other_value(value)


def _integer(value: int) -> bytes:
    return _VARINTS[value] if 0 <= value < 16384 else _varint(value & _M64)


def _other_value(value: Any) -> bytes:
    if isinstance(value, bytes):
        return b"\x3a" + _sized(value)
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, str):
        return b"\x0a" + _sized(_utf8(str(value)))
    if isinstance(value, int):
        return b"\x18" + _integer(int(value))
    if isinstance(value, float):
        return b"\x21" + _DOUBLE(value)
    if isinstance(value, Mapping):
        return b"\x32" + _sized(_pairs(value, b"\x0a"))
    if isinstance(value, Sequence):
        return b"\x2a" + _sized(
            b"".join([b"\x0a" + _sized(any_value(v)) for v in value])
        )
    return b"\x0a" + _sized(_utf8(str(value)))


def _pairs(attributes: Mapping[str, Any], tag: bytes) -> bytes:
    return b"".join(
        [
            tag + _sized(_key(key) + b"\x12" + _sized(any_value(value)))
            for key, value in attributes.items()
        ]
    )


def _key(key: str) -> bytes:
    return b"\x0a" + _sized(_utf8(key))


def encode_resource(resource: Any) -> bytes:
    """Return a `Resource` message as field 1 of `ResourceSpans`."""
    return b"\x0a" + _sized(_pairs(resource.attributes, b"\x0a"))


def encode_scope(scope: Any) -> bytes:
    """Return an `InstrumentationScope` as field 1 of `ScopeSpans`."""
    if scope is None:
        return b"\x0a\x00"
    body = b""
    if scope.name:
        body += b"\x0a" + _sized(_utf8(scope.name))
    if scope.version:
        body += b"\x12" + _sized(_utf8(scope.version))
    if scope.attributes:
        body += _pairs(scope.attributes, b"\x1a")
    return b"\x0a" + _sized(body)


def encode_request(
    resource: bytes, scopes: Iterable[tuple[bytes, str | None, Sequence[bytes]]]
) -> bytes:
    """Return an `ExportTraceServiceRequest`.

    *resource* and each scope are as encoded here; with a scope come its
    schema URL and the bodies of its spans.
    """
    body = [resource]
    for scope, schema_url, spans in scopes:
        pieces = [scope]
        for span in spans:
            pieces += (b"\x12", _sized(span))
        if schema_url:
            pieces.append(b"\x1a" + _sized(_utf8(schema_url)))
        body.append(b"\x12" + _sized(b"".join(pieces)))
    return b"\x0a" + _sized(b"".join(body))


def string_attribute(key: str, text: bytes) -> bytes:
    """Return a text attribute to append to a span's body; *text* is UTF-8."""
    value = b"\x0a" + _sized(text)
    return b"\x4a" + _sized(_key(key) + b"\x12" + _sized(value))


def name_field(name: str) -> bytes:
    """Return a name to append to a span's body, in place of the one it has."""
    return b"\x2a" + _sized(_utf8(name))


class SpanEncoder:
    """Encodes spans for one writer, redacting their texts on the way.

    Keeps the bytes of attributes it has seen; a new redactor means a new
    encoder.
    """

    def __init__(self, redactor: Redactor | None = None) -> None:
        self._redactor = redactor
        self._texts: dict[tuple[str, str], bytes] = {}
        self._lists: dict[tuple[str, str], bytes] = {}
        self._numbers: dict[tuple[str, type, Any], bytes] = {}
        self._keys: dict[str, bytes] = {}
        self._heads: dict[tuple[str, int], bytes] = {}

    def span(self, span: Any, extra: Mapping[str, Any] | None = None) -> bytes:
        """Return the body of a `Span` message, *extra* attributes included."""
        ids, parent = span.context, span.parent
        trace_id = ids.trace_id
        out = [
            _TRACE_ID(
                b"\x0a\x10", trace_id >> 64, trace_id & _M64, b"\x12\x08", ids.span_id
            )
        ]
        if ids.trace_state:
            state = ",".join(f"{k}={v}" for k, v in ids.trace_state.items())
            out.append(b"\x1a" + _sized(_utf8(state)))
        if parent is not None:
            out.append(_PARENT(b"\x22\x08", parent.span_id))
        out.append(self._head(span))
        out.append(_TIMES(b"\x39", span.start_time, b"\x41", span.end_time))
        attributes = span.attributes
        if attributes:
            self._attributes(attributes, out)
        stamp = getattr(span, "stamp", None)
        if stamp is not None:
            out.append(self._stamp(stamp))
        if extra:
            self._attributes(extra, out)
        if span.dropped_attributes:
            out.append(b"\x50" + _varint(span.dropped_attributes))
        if span.events:
            out += [b"\x5a" + _sized(self._event(event)) for event in span.events]
        if span.dropped_events:
            out.append(b"\x60" + _varint(span.dropped_events))
        if span.links:
            out += [b"\x6a" + _sized(self._link(link)) for link in span.links]
        if span.dropped_links:
            out.append(b"\x70" + _varint(span.dropped_links))
        remote = parent is not None and parent.is_remote
        out.append(self._status(span.status))
        out.append(b"\x85\x01" + _FIXED32(_FLAGS_REMOTE if remote else _FLAGS_LOCAL))
        return b"".join(out)

    def attributes(self, attributes: Mapping[str, Any]) -> bytes:
        """Return *attributes* as repeated field 9 of a span."""
        out: list[bytes] = []
        self._attributes(attributes, out)
        return b"".join(out)

    def _head(self, span: Any) -> bytes:
        key = (span.name, span.kind.value)
        found = self._heads.get(key)
        if found is None:
            name = _utf8(self._clean(span.name))
            found = b"\x2a" + _sized(name) + b"\x30" + _VARINTS[span.kind.value + 1]
            if len(self._heads) < _MAX_CACHE:
                self._heads[key] = found
        return found

    def _stamp(self, stamp: Stamp) -> bytes:
        # A stamp's bytes are kept on it, but only trusted if this encoder made
        # them: another one may know fewer secrets.
        if stamp.encoded is None or stamp.encoder is not self:
            stamp.encoded = self.attributes(stamp.attributes)
            stamp.encoder = self
        return stamp.encoded

    def _attributes(self, attributes: Mapping[str, Any], out: list[bytes]) -> None:
        texts, numbers = self._texts, self._numbers
        for pair in attributes.items():
            key, value = pair
            kind = value.__class__
            if kind is str:
                found = texts.get(pair)
                if found is None:
                    found = self._attribute(key, self._clean(value, key))
                    if len(value) <= _MAX_CACHED_TEXT and len(texts) < _MAX_CACHE:
                        texts[pair] = found
            elif kind is int or kind is bool:
                # 1 == True == 1.0: the type is part of the key.
                number = (key, kind, value)
                found = numbers.get(number)
                if found is None:
                    found = self._attribute(key, self._clean_number(value, key))
                    if len(numbers) < _MAX_CACHE:
                        numbers[number] = found
            elif kind is float:
                found = self._attribute(key, self._clean_number(value, key))
            elif (kind is list or kind is tuple) and len(value) == 1:
                found = self._lone(key, value[0])
            else:
                found = self._other(key, value)
            out.append(found)

    def _lone(self, key: str, item: Any) -> bytes:
        """Encode a list of one item; the reason why an answer ended is in one."""
        if item.__class__ is not str:
            return self._other(key, [item])
        pair = (key, item)
        found = self._lists.get(pair)
        if found is None:
            found = self._other(key, [item])
            if len(item) <= _MAX_CACHED_TEXT and len(self._lists) < _MAX_CACHE:
                self._lists[pair] = found
        return found

    def _other(self, key: str, value: Any) -> bytes:
        if self._redactor is not None:
            value = self._redactor.value(value, key)
        return self._attribute(key, value)

    def _attribute(self, key: str, value: Any) -> bytes:
        encoded = self._keys.get(key)
        if encoded is None:
            encoded = _key(key) + b"\x12"
            if len(self._keys) < _MAX_CACHE:
                self._keys[key] = encoded
        return b"\x4a" + _sized(encoded + _sized(any_value(value)))

    def _clean(self, text: str, key: str = "") -> str:
        return text if self._redactor is None else self._redactor.value(text, key)

    def _clean_number(self, value: Any, key: str) -> Any:
        if self._redactor is None or not is_secret_name(key):
            return value
        return self._redactor.value(value, key)

    def _event(self, event: Any) -> bytes:
        body = b"\x09" + _FIXED64(event.timestamp)
        body += b"\x12" + _sized(_utf8(self._clean(event.name)))
        attributes = event.attributes
        if attributes:
            clean = attributes
            if self._redactor is not None:
                clean = {k: self._redactor.value(v, k) for k, v in attributes.items()}
            body += _pairs(clean, b"\x1a")
        if event.dropped_attributes:
            body += b"\x20" + _varint(event.dropped_attributes)
        return body

    def _link(self, link: Any) -> bytes:
        ids = link.context
        body = b"\x0a\x10" + ids.trace_id.to_bytes(16, "big")
        body += b"\x12\x08" + ids.span_id.to_bytes(8, "big")
        if ids.trace_state:
            state = ",".join(f"{k}={v}" for k, v in ids.trace_state.items())
            body += b"\x1a" + _sized(_utf8(state))
        if link.attributes:
            clean = link.attributes
            if self._redactor is not None:
                clean = {k: self._redactor.value(v, k) for k, v in clean.items()}
            body += _pairs(clean, b"\x22")
        dropped = getattr(link, "dropped_attributes", 0)
        if dropped:
            body += b"\x28" + _varint(dropped)
        flags = _FLAGS_REMOTE if ids.is_remote else _FLAGS_LOCAL
        return bytes(body + b"\x35" + _FIXED32(flags))

    def _status(self, status: Any) -> bytes:
        code = status.status_code.value
        if code == 0 and not status.description:
            return b"\x7a\x00"
        body = b""
        if status.description:
            body = b"\x12" + _sized(_utf8(self._clean(status.description)))
        if code:
            body += b"\x18" + _VARINTS[code]
        return b"\x7a" + _sized(body)
