"""Bodies of OTLP over HTTP: what comes in is unpacked and read, what goes out written."""

from __future__ import annotations

import json
import zlib
from typing import Any, NamedTuple

from hudtrace.interchange import otlp_json

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
#: Of a body, also when it is unpacked.
MAX_BYTES = 20 << 20
RETRY_SECONDS = 1

#: google.rpc.Code for what we refuse.
_CODES = {400: 3, 405: 12, 408: 4, 413: 8, 415: 3, 429: 8, 503: 14}


class Body(NamedTuple):
    """A request as it came."""

    data: bytes
    media: str = PROTOBUF
    encoding: str = "identity"


class Refusal(Exception):
    """Why a request is not taken; *status* is that of HTTP.

    `retry_after` in seconds if it may be sent again. Exporters of Python before 1.45
    give up at 429: it is for senders of far too many requests at once.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = RETRY_SECONDS if status in (429, 503) else None

    @property
    def code(self) -> int:
        """The number of the google.rpc.Code that means the same."""
        return _CODES[self.status]


def read(body: Body, limit: int = MAX_BYTES) -> Any:
    """Return the `ExportTraceServiceRequest` in *body*; raises `Refusal`."""
    data = _unpacked(body, limit)
    if body.media == JSON:
        try:
            return otlp_json.read_request(data or b"{}")
        except ValueError as error:
            raise Refusal(400, f"the body is no OTLP JSON: {error}") from None
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
    )

    try:
        return ExportTraceServiceRequest.FromString(data)
    except DecodeError as error:
        raise Refusal(
            400, f"the body is no ExportTraceServiceRequest: {error}"
        ) from None


def too_large(limit: int) -> Refusal:
    """Return the refusal of a body of more than *limit* bytes."""
    return Refusal(413, f"the body has more than {limit} bytes; send fewer spans")


def partial(rejected: int, message: str) -> Any:
    """Return an `ExportTraceServiceResponse`; empty if nothing was refused."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceResponse,
    )

    response = ExportTraceServiceResponse()
    if rejected:
        response.partial_success.rejected_spans = rejected
        response.partial_success.error_message = message
    return response


def written(response: Any, media: str) -> bytes:
    """Return a response as the client wants it."""
    if media == JSON:
        return otlp_json.write(response)
    return bytes(response.SerializeToString())


def status(refusal: Refusal, media: str) -> bytes:
    """Return the google.rpc.Status that says why a request is not taken."""
    if media == JSON:
        return json.dumps({"code": refusal.code, "message": refusal.message}).encode()
    from google.rpc.status_pb2 import Status

    found = Status(code=refusal.code, message=refusal.message)
    return bytes(found.SerializeToString())


def _unpacked(body: Body, limit: int) -> bytes:
    if body.encoding in ("", "identity"):
        return body.data
    if body.encoding != "gzip":
        raise Refusal(
            415, f"the encoding {body.encoding[:100]!r} is not known; send gzip or none"
        )
    rest, pieces, size = body.data, list[bytes](), 0
    while rest:  # a gzip file may have several members
        unpacker = zlib.decompressobj(wbits=31)
        try:
            piece = unpacker.decompress(rest, limit - size + 1)
        except zlib.error as error:
            raise Refusal(400, f"the body is no gzip: {error}") from None
        size += len(piece)
        if size > limit:
            raise too_large(limit)
        if not unpacker.eof:
            raise Refusal(400, "the body is gzip that ends too early")
        pieces.append(piece)
        rest = unpacker.unused_data
    return b"".join(pieces)
