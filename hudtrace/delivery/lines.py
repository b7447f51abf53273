"""Lines to OTLP backends, over the standard exporters' own classes.

Endpoint, headers, certificates, compression, timeout and channel are theirs to
settle, with every `OTEL_EXPORTER_OTLP_*` variable. Only the sending is ours: bytes
that are encoded already, one attempt at a time, and what the answer says.
"""

from __future__ import annotations

import contextlib
import gzip
import time
import zlib
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from hudtrace.backends import (
    Misconfigured,
    Parcel,
    Receipt,
    Refused,
    TooLarge,
    TryLater,
)

_BUSY = {408, 429, 500, 502, 503, 504}
_CLOSED = {401, 403, 404, 405, 407}
_TOO_LARGE = "larger than max"  # in each implementation of gRPC
_DEFAULT_TIMEOUT = 10.0


class HttpLine:
    """A line to an OTLP/HTTP endpoint."""

    def __init__(
        self, endpoint: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
            OTLPSpanExporter,
        )

        self._session = _rehearsal()
        exporter = OTLPSpanExporter(
            endpoint, headers=dict(headers) if headers else None, session=self._session
        )
        with quietly():
            exporter.export([])
        if self._session.template is None:
            raise RuntimeError("the OTLP/HTTP exporter has prepared no request")

    def send(self, parcel: Parcel, timeout: float | None = None) -> Receipt:
        """POST *parcel* once."""
        import requests

        request = self._session.template.copy()
        encoding = request.headers.get("content-encoding", "").lower()
        request.prepare_body(_packed(parcel.request, encoding), None)
        options = dict(self._session.how)
        if timeout is not None:
            options["timeout"] = timeout
        try:
            with quietly():
                response = self._session.transmit(request, options)
        except requests.RequestException as error:
            raise TryLater(_cause(error)) from error
        return _read_response(response)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def _rehearsal() -> Any:
    """Make a session that keeps the first request instead of sending it."""
    import requests

    class Session(requests.Session):
        template: Any = None
        how: Mapping[str, Any] = {}

        def send(self, request: Any, **options: Any) -> Any:
            self.template, self.how = request, options
            response = requests.Response()
            response.status_code = 200
            response._content = b""
            response.request, response.url = request, request.url
            return response

        def transmit(self, request: Any, options: Mapping[str, Any]) -> Any:
            return super().send(request, **options)

    return Session()


def _cause(error: Exception) -> str:
    """Say what went wrong below: the rest of the message is about retries."""
    inner = error.args[0] if error.args else error
    reason = getattr(inner, "reason", None) or inner
    return _first_line(str(reason).rpartition("): ")[2] or type(error).__name__)


def _packed(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.compress(body, 5)
    return zlib.compress(body) if encoding == "deflate" else body


def _read_response(response: Any) -> Receipt:
    status = response.status_code
    if 200 <= status < 300:
        return _read_partial(response.content)
    reason = f"HTTP {status}: {_first_line(response.text) or response.reason}"
    if status == 413:
        raise TooLarge(reason)
    if status in _BUSY:
        raise TryLater(reason, _seconds(response.headers.get("retry-after")))
    if status in _CLOSED or 300 <= status < 400:
        raise Misconfigured(reason)
    raise Refused(reason)


def _read_partial(body: bytes) -> Receipt:
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceResponse,
    )

    try:
        partial = ExportTraceServiceResponse.FromString(body).partial_success
    except DecodeError:
        return Receipt()  # JSON, say: the status has said that it was taken
    return Receipt(int(partial.rejected_spans), partial.error_message)


def _seconds(header: str | None) -> float | None:
    """Read a Retry-After header: seconds, or a date."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


class GrpcLine:
    """A line to an OTLP/gRPC endpoint."""

    def __init__(
        self, endpoint: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
            OTLPSpanExporter,
        )

        self._exporter = OTLPSpanExporter(
            endpoint, headers=dict(headers) if headers else None
        )
        self._client: Any = self._exporter._client
        self._metadata = self._exporter._headers
        self._timeout = float(self._exporter._timeout or _DEFAULT_TIMEOUT)

    def send(self, parcel: Parcel, timeout: float | None = None) -> Receipt:
        """Call `Export` once."""
        import grpc
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        request = ExportTraceServiceRequest.FromString(parcel.request)
        try:
            with quietly():
                answer = self._client.Export(
                    request=request,
                    metadata=self._metadata,
                    timeout=timeout or self._timeout,
                )
        except grpc.RpcError as error:
            raise _of_status(error) from error
        partial = answer.partial_success
        return Receipt(int(partial.rejected_spans), partial.error_message)

    def close(self) -> None:
        """Close the channel."""
        self._exporter.shutdown()


def _of_status(error: Any) -> Exception:
    from grpc import StatusCode

    code, details = error.code(), error.details() or ""
    reason = f"gRPC {code.name}: {_first_line(details)}"
    if code is StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE in details:
        return TooLarge(reason)
    closed = (
        StatusCode.UNAUTHENTICATED,
        StatusCode.PERMISSION_DENIED,
        StatusCode.UNIMPLEMENTED,
    )
    if code in closed:
        return Misconfigured(reason)
    if code in (StatusCode.INVALID_ARGUMENT, StatusCode.FAILED_PRECONDITION):
        return Refused(reason)
    return TryLater(reason, _retry_info(error))


def _retry_info(error: Any) -> float | None:
    from google.rpc.error_details_pb2 import RetryInfo

    for key, value in error.trailing_metadata() or ():
        if key == "google.rpc.retryinfo-bin":
            delay = RetryInfo.FromString(value).retry_delay
            return float(delay.seconds + delay.nanos / 1e9)
    return None


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep the user's instrumentation of HTTP and gRPC from tracing our sending."""
    from opentelemetry import context as otel_context

    suppressed = otel_context.set_value("suppress_instrumentation", True)
    token = otel_context.attach(suppressed)
    try:
        yield
    finally:
        otel_context.detach(token)


def _first_line(text: object) -> str:
    return next(iter(str(text).strip().splitlines()), "")[:300]
