"""Plain OTLP export through OpenTelemetry's own exporter, beside the store.

It sends from memory: what could not be sent when the process ends is lost to
the backend, though never to the store.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import Any
from urllib.parse import urlsplit

from hudtrace import semconv
from hudtrace.delivery.batch import Written, metadata_only
from hudtrace.delivery.ledger import Ledger
from hudtrace.notices import internal_error, notify_once
from hudtrace.tracing.redaction import Redactor

BATCH_SPANS = 512
MAX_WAITING = 50_000  # spans
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class OtlpExport:
    """Sends spans to one OTLP endpoint, on a thread of its own.

    `content` False sends no prompts, answers, arguments or results.
    """

    def __init__(self, endpoint: str, protocol: str, *, content: bool) -> None:
        self.name = "otlp"
        self.endpoint = endpoint
        self.ledger: Ledger | None = None
        self._protocol = protocol
        self._content = content
        self._waiting: deque[Any] = deque()
        self._sending = 0
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def put(self, written: list[Written], redactor: Redactor) -> None:
        """Queue spans that have been stored; never waits."""
        spans = [as_readable(item, redactor, self._content) for item in written]
        room = MAX_WAITING - len(self._waiting)
        if len(spans) > room:
            self._count(spans[room:], 2)
            notify_once(
                "export-full",
                f"spans are not exported: {self.endpoint} does not keep up and "
                f"{MAX_WAITING} spans are waiting (they are in the store)",
            )
        self._waiting.extend(spans[:room])
        if self._thread is None and not self._closing:
            self._thread = threading.Thread(
                target=self._run, name="hudtrace-otlp", daemon=True
            )
            self._thread.start()
        self._wake.set()

    def flush(self, timeout: float) -> bool:
        """Wait until everything has been sent; False if some of it was not."""
        deadline = time.monotonic() + timeout
        while (self._waiting or self._sending) and time.monotonic() < deadline:
            self._wake.set()
            time.sleep(0.01)
        return not self._waiting and not self._sending and not self._lost()

    def close(self, timeout: float) -> None:
        """Send what is left, within *timeout* seconds."""
        self.flush(timeout)
        self._closing = True
        self._wake.set()

    def _run(self) -> None:
        try:
            exporter = self._make_exporter()
        except Exception as error:
            internal_error("setting up OTLP export", error)
            self._closing = True
            self._count(list(self._waiting), 2)
            self._waiting.clear()
            return
        while not self._closing:
            self._wake.wait()
            self._wake.clear()
            while self._waiting:
                self._send(exporter)
        exporter.shutdown()

    def _send(self, exporter: Any) -> None:
        count = min(BATCH_SPANS, len(self._waiting))
        self._sending = count
        spans = [self._waiting.popleft() for _ in range(count)]
        try:
            # The SDK's own instrumentation must not trace our export.
            sent = _quietly(exporter, spans)
        except Exception as error:
            internal_error("OTLP export", error)
            sent = False
        self._count(spans, 0 if sent else 1)
        self._sending = 0

    def _make_exporter(self) -> Any:
        if self._protocol == "grpc":
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
                OTLPSpanExporter as GrpcExporter,
            )

            return GrpcExporter()
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
            OTLPSpanExporter,
        )

        return OTLPSpanExporter()

    def _count(self, spans: list[Any], what: int) -> None:
        if self.ledger is not None and spans:
            traces = Counter(span.context.trace_id for span in spans)
            self.ledger.exported(self.name, traces, what)

    def _lost(self) -> bool:
        if self.ledger is None:
            return False
        count = self.ledger.report().exporters.get(self.name)
        return count is not None and count.rejected + count.dropped > 0


def is_loopback(endpoint: str) -> bool:
    """Say whether an endpoint is on this machine."""
    address = endpoint if "://" in endpoint else f"//{endpoint}"
    return (urlsplit(address).hostname or "") in _LOOPBACK


def as_readable(item: Written, redactor: Redactor, content: bool) -> Any:
    """Return a written span for the SDK's exporters: redacted, content inline."""
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


def _quietly(exporter: Any, spans: list[Any]) -> bool:
    from opentelemetry import context as otel_context
    from opentelemetry.sdk.trace.export import SpanExportResult

    suppressed = otel_context.set_value("suppress_instrumentation", True)
    token = otel_context.attach(suppressed)
    try:
        return bool(exporter.export(spans) is SpanExportResult.SUCCESS)
    finally:
        otel_context.detach(token)


def export_from_environment(
    endpoint: str, protocol: str, content: str | None
) -> OtlpExport:
    """Make the export that `OTEL_EXPORTER_OTLP_ENDPOINT` asks for.

    Content goes to loopback, and elsewhere only if `content` is `"full"`.
    """
    full = content == "full" or (content is None and is_loopback(endpoint))
    if not full and content is None:
        notify_once(
            "metadata-only",
            f"only metadata goes to {endpoint}, since it is not on this machine; set "
            f"HUDTRACE_CONTENT=full to send prompts, answers and tool results too",
        )
    return OtlpExport(endpoint, protocol, content=full)


__all__ = ["OtlpExport", "as_readable", "export_from_environment"]
