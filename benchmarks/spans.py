"""The cost of a span, and bursts of them, beside OpenTelemetry's SDK.

The base is the SDK with its batch processor and OTLP/HTTP exporter, sending to
a receiver on loopback. Spans have ten attributes; ours have six stamped more.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.rounds import Figures, middle, print_rows, race, ratio, serve

SPANS = 20_000
ATTRIBUTES: dict[str, Any] = {
    "a": "text",
    "b": "some more text",
    "c": 17,
    "d": 2.5,
    "e": True,
    "f": "x" * 40,
    "g": 123456,
    "h": "short",
    "i": False,
    "j": 0.125,
}
STAMPS = {f"hud.stamp{n}": f"value-{n}" for n in range(6)}


class Sink(BaseHTTPRequestHandler):
    """Takes OTLP requests and throws them away."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None: ...


def measure(make: Callable[[], None], flush: Callable[[], object]) -> Figures:
    """Make spans and flush; CPU seconds of the caller and of the process, a span."""
    process, thread = time.process_time(), time.thread_time()
    make()
    caller = time.thread_time() - thread
    flush()
    total = time.process_time() - process
    return {"caller": caller / SPANS * 1e6, "total": total / SPANS * 1e6}


def sdk() -> Callable[[], Figures]:
    """The SDK: batch processor, OTLP/HTTP; its queue made large enough not to lose."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    endpoint = os.environ["BENCH_SINK"]
    provider = TracerProvider(shutdown_on_exit=False)
    processor = BatchSpanProcessor(
        OTLPSpanExporter(endpoint), max_queue_size=200_000, max_export_batch_size=512
    )
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("bench")

    def make() -> None:
        for _ in range(SPANS):
            tracer.start_span("span", attributes=ATTRIBUTES).end()

    return lambda: measure(make, processor.force_flush)


def exported() -> Callable[[], Figures]:
    """hudtrace, with its durable store and OTLP/HTTP."""
    return ours(os.environ["BENCH_SINK"])


def ours(endpoint: str | None = None) -> Callable[[], Figures]:
    """hudtrace, with its durable store."""
    from hudtrace_exporters.otlp import Otlp
    from opentelemetry.context import Context

    import hudtrace
    from hudtrace.runtime import get_runtime
    from hudtrace.tracing.spans import STAMP, Stamp, with_span

    exporters = [] if endpoint is None else [Otlp(endpoint)]
    hudtrace.configure(
        store=_store(), exporters=exporters, instrument=False, quiet=True
    )
    tracer = get_runtime().tracer
    stamped = Context({STAMP: Stamp(STAMPS)})

    def make() -> None:
        root = tracer.start("root", stamped)
        below = with_span(stamped, root)
        for _ in range(SPANS):
            tracer.start("span", below, ATTRIBUTES).end()
        root.end()

    return lambda: measure(make, lambda: hudtrace.flush(60))


def _store() -> Path:
    return Path(tempfile.mkdtemp(prefix="hudtrace-bench-")) / "traces.db"


def burst(inside_a_loop: bool, count: int, per_second: int = 0) -> str:
    """Make *count* spans with default settings, and say how many were lost."""
    from opentelemetry.context import Context

    import hudtrace
    from hudtrace.runtime import get_runtime

    hudtrace.configure(store=_store(), instrument=False, quiet=True)
    runtime = get_runtime()

    def make() -> None:
        began = time.monotonic()
        for number in range(count):
            runtime.tracer.start("span", Context(), ATTRIBUTES).end()
            if per_second and number % 200 == 0:
                time.sleep(max(0.0, began + number / per_second - time.monotonic()))

    async def in_loop() -> None:
        make()

    asyncio.run(in_loop()) if inside_a_loop else make()
    hudtrace.flush(60)
    report = runtime.pipeline.report()
    return f"{count - report.stored} of {count} lost"


def main(rounds: int = 12) -> None:
    """Print the table."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["BENCH_SINK"] = f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
    got = race("benchmarks.spans", ["sdk", "ours", "exported"], rounds)
    print_rows(
        "Spans (CPU; base: SDK + BatchSpanProcessor + OTLP/HTTP, without stamps)",
        [
            (
                "caller, a span",
                f"{ratio(got['ours'], got['sdk'], 'caller')}; "
                f"{middle(got['ours'], 'caller'):.1f} to "
                f"{middle(got['sdk'], 'caller'):.1f} µs",
                "<= 1.30",
            ),
            (
                "total with durable store, a span",
                f"{ratio(got['ours'], got['sdk'], 'total')}; "
                f"{middle(got['ours'], 'total'):.1f} to "
                f"{middle(got['sdk'], 'total'):.1f} µs",
                "<= 0.70",
            ),
            (
                "total with durable store and OTLP, a span",
                f"{ratio(got['exported'], got['sdk'], 'total')}; "
                f"{middle(got['exported'], 'total'):.1f} to "
                f"{middle(got['sdk'], 'total'):.1f} µs",
                "<= 0.70",
            ),
            ("burst of 100,000 in a thread", burst(False, 100_000), "0 lost"),
            ("burst of 100,000 inside a loop", burst(True, 100_000), "0 lost"),
            ("burst of 300,000 inside a loop", burst(True, 300_000), "0 lost"),
            ("100,000 at 20,000 a second", burst(False, 100_000, 20_000), "0 lost"),
        ],
    )
    server.shutdown()


if __name__ == "__main__":
    if sys.argv[1:2] == ["contender"]:
        serve({"sdk": sdk, "ours": ours, "exported": exported})
    else:
        main()
