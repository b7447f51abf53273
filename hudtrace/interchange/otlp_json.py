"""OTLP as JSON: protobuf's mapping, but for ids in hex and enumerations as numbers.

Both ways follow the descriptors of the protobuf classes, so that a field of a newer
protocol needs nothing here. Source: the OTLP specification, "JSON Protobuf Encoding".
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import math
import re
from collections.abc import Callable
from typing import Any

_IDS = frozenset({"trace_id", "span_id", "parent_span_id"})
_NO_ID = b"\xff"  # for text that is none: it has the length of no id
_whole = re.compile(r"-?\d{1,20}")
_DEEPEST = 90  # messages in one another; protobuf reads no more than 100

Reader = Callable[[Any], Any]


def read_request(text: str | bytes) -> Any:
    """Return JSON as an `ExportTraceServiceRequest`; unknown fields are ignored.

    Raises `ValueError`, which names the place, for what is no such request.
    """
    try:
        data = json.loads(text)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    return request_from(data)


def request_from(data: Any) -> Any:
    """Return what JSON says as an `ExportTraceServiceRequest`; as `read_request`."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
    )

    fields = _message(ExportTraceServiceRequest.DESCRIPTOR, data, "", 0)
    try:
        return ExportTraceServiceRequest(**fields)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"no OTLP request: {error}") from None


def data_of(message: Any) -> dict[str, Any]:
    """Return a message of OTLP as plain data, to be written as JSON."""
    return {
        field.json_name: _written(field, value) for field, value in message.ListFields()
    }


def write(message: Any) -> bytes:
    """Return a message of OTLP as JSON, UTF-8."""
    text = json.dumps(data_of(message), ensure_ascii=False, separators=(",", ":"))
    return text.encode()


# Reading --------------------------------------------------------------------------


def _message(descriptor: Any, data: Any, place: str, depth: int) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError(f"{place or 'the request'} is {_kind(data)}, not an object")
    if depth > _DEEPEST:
        raise ValueError(f"{place[:80]}… is nested too deeply")
    known = _readers(descriptor)
    found: dict[str, Any] = {}
    for key, value in data.items():
        field = known.get(key)
        if field is None or value is None:
            continue
        name, repeated, inner, read = field
        here = f"{place}.{key}" if place else key
        if not repeated:
            found[name] = _value(inner, read, value, here, depth)
        elif isinstance(value, list):
            found[name] = [
                _value(inner, read, item, f"{here}[{index}]", depth)
                for index, item in enumerate(value)
            ]
        else:
            raise ValueError(f"{here} is {_kind(value)}, not a list")
    return found


def _value(inner: Any, read: Reader, value: Any, place: str, depth: int) -> Any:
    if inner is not None:
        return _message(inner, value, place, depth + 1)
    try:
        return read(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{place} is {_kind(value)}: {error}") from None


@functools.cache
def _readers(descriptor: Any) -> dict[str, tuple[str, bool, Any, Reader]]:
    return {
        field.json_name: (
            field.name,
            _is_repeated(field),
            field.message_type,
            _reader(field),
        )
        for field in descriptor.fields
    }


def _is_repeated(field: Any) -> bool:
    # Newer protobuf warns about `label`, older ones have nothing else.
    found = getattr(field, "is_repeated", None)
    return bool(field.label == field.LABEL_REPEATED if found is None else found)


def _reader(field: Any) -> Reader:
    if field.enum_type is not None:
        names = {value.name: value.number for value in field.enum_type.values}
        return lambda value: names[value] if str(value) in names else _int(value)
    if field.type == field.TYPE_BYTES:
        return _id if field.name in _IDS else _base64
    kinds: dict[Any, Reader] = {
        field.CPPTYPE_STRING: _text,
        field.CPPTYPE_BOOL: _bool,
        field.CPPTYPE_DOUBLE: _float,
        field.CPPTYPE_FLOAT: _float,
    }
    return kinds.get(field.cpp_type, _int)


def _int(value: Any) -> int:
    if isinstance(value, str) and _whole.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("a whole number is expected")
    return value


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("a number is expected")
    return float(value)


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false is expected")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is expected")
    if value.isascii():
        return value
    # Half of a pair of surrogates is no character that protobuf could hold.
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _id(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError("an id in hex is expected")
    try:
        # Some write ids as they write bytes; hex of that length would be odd.
        return _base64(value) if len(value) in (12, 24) else bytes.fromhex(value)
    except ValueError:
        return _NO_ID  # one span is refused for it, not all of them


def _base64(value: Any) -> bytes:
    try:
        standard = _text(value).replace("-", "+").replace("_", "/").rstrip("=")
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except binascii.Error:
        raise ValueError("base64 is expected") from None


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "a truth value"}
    return kinds.get(type(value), "a number")


# Writing --------------------------------------------------------------------------


def _written(field: Any, value: Any) -> Any:
    if _is_repeated(field):
        return [_written_one(field, item) for item in value]
    return _written_one(field, value)


def _written_one(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return data_of(value)
    if field.type == field.TYPE_BYTES:
        if field.name in _IDS:
            return value.hex()
        return base64.b64encode(value).decode()
    if field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64):
        return str(value)  # JavaScript's numbers do not hold them
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
    return value
