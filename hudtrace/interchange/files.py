"""Files with traces of others, recognised by what is in them.

OTLP as JSON (one request, or one in each line, as the collector writes them), OTLP as
protobuf (bare, or with lengths between), Jaeger's JSON; each may be gzip.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from hudtrace.errors import HudtraceError
from hudtrace.interchange import otlp_json
from hudtrace.interchange.jaeger import MalformedJaeger, from_jaeger

EXPECTED = (
    'expected OTLP JSON ({"resourceSpans": …}, whole or a line for each request), '
    'OTLP protobuf (ExportTraceServiceRequest), or Jaeger JSON ({"data": [{"traceID": …}]})'
)
_GZIP = b"\x1f\x8b"
_MARKS = b"\xef\xbb\xbf \t\r\n"
_OTLP = ("resourceSpans", "batches")  # the second is how Tempo calls them
_WRAPPED = ("result", "trace")  # Jaeger's and Tempo's newer query APIs


class UnknownFile(HudtraceError):
    """A file that is none of those that can be read, or is damaged."""


def requests(path: Path, told: Callable[[int], None] = lambda _: None) -> Iterator[Any]:
    """Yield what is in a file as `ExportTraceServiceRequest`s, a line at a time if so.

    *told* hears how many bytes of it have been read. Raises `UnknownFile`, which says what was expected and what is wrong, and `OSError`.
    """
    name = str(path)
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        with contextlib.ExitStack() as stack:
            file: Any = stack.enter_context(gzip.open(raw)) if packed else raw
            try:
                for request in _read(file, name):
                    told(raw.tell())
                    yield request
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise UnknownFile(f"{name} is damaged gzip: {error}") from None


def _read(file: IO[bytes], name: str) -> Iterator[Any]:
    first = file.readline()
    data = _loaded(first) if _looks_like_json(first) else None
    if data is None:
        yield from _whole(first + file.read(), name)
        return
    yield from _known(data, name)
    for number, line in enumerate(file, 2):
        if line.strip():
            data = _loaded(line)
            if data is None:
                raise UnknownFile(f"{name}: line {number} is cut off, or no JSON")
            yield from _known(data, f"{name}, line {number}")


def _whole(data: bytes, name: str) -> Iterator[Any]:
    if not data.strip(_MARKS):
        raise UnknownFile(f"{name} is empty; {EXPECTED}")
    if not _looks_like_json(data):
        yield from _protobuf(data, name)
        return
    try:
        text = json.loads(data.lstrip(_MARKS))
    except (ValueError, RecursionError) as error:
        # Protobuf begins with what is a line break in text, and then a length.
        if not data.startswith(b"\n"):
            raise UnknownFile(f"{name} is no JSON: {error}; {EXPECTED}") from None
        yield from _protobuf(data, name)
    else:
        yield from _known(text, name)


def _looks_like_json(data: bytes) -> bool:
    return data.lstrip(_MARKS)[:1] in (b"{", b"[")


def _loaded(line: bytes) -> Any:
    """Return a line of JSON as data, None if it is none."""
    try:
        return json.loads(line.lstrip(_MARKS))
    except (ValueError, RecursionError):
        return None


def _known(data: Any, name: str) -> Iterator[Any]:
    """Yield the requests in JSON, by what its keys say that it is."""
    items = data if isinstance(data, list) else [data]
    if not all(isinstance(item, dict) for item in items):
        raise UnknownFile(f"{name} has JSON without spans; {EXPECTED}")
    if items and all("spans" in item and "traceID" in item for item in items):
        items = [{"data": items}]
    for item in items:
        yield _one(item, name)


def _one(item: dict[str, Any], name: str) -> Any:
    for key in _WRAPPED:
        if isinstance(item.get(key), dict):
            item = item[key]
    try:
        for key in _OTLP:
            if key in item:
                return otlp_json.request_from({"resourceSpans": item[key]})
        if "data" in item:
            return from_jaeger(item)
    except (ValueError, MalformedJaeger) as error:
        raise UnknownFile(f"{name}: {error}") from None
    keys = ", ".join(map(repr, list(item)[:5])) or "none"
    raise UnknownFile(f"{name} is JSON with the keys {keys}; {EXPECTED}")


def _protobuf(data: bytes, name: str) -> Iterator[Any]:
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
    )

    pieces = _pieces(data) or [data]
    for piece in pieces:
        try:
            request = ExportTraceServiceRequest.FromString(piece)
        except DecodeError as error:
            raise UnknownFile(
                f"{name} is neither JSON nor protobuf ({error}); {EXPECTED}"
            ) from None
        if not request.resource_spans:
            raise UnknownFile(f"{name} is protobuf without spans; {EXPECTED}")
        yield request


def _pieces(data: bytes) -> list[bytes] | None:
    """Split what has four bytes of length before each request; None if it has not."""
    pieces, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        at += 4
        if not 0 < size <= len(data) - at:
            return None
        pieces.append(data[at : at + size])
        at += size
    return pieces
