"""Real OTLP receivers on loopback that go wrong when they are told to."""

from __future__ import annotations

import gzip
import os
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from hudtrace import runtime
from hudtrace.store.store import read_only

Answer = Callable[[ExportTraceServiceRequest, bytes], Any]


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def spans_in(request: ExportTraceServiceRequest) -> list[Any]:
    """Return the spans of a request."""
    return [
        span
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


class Receiver:
    """Takes OTLP/HTTP and keeps the spans it has accepted.

    `script` is what to do with the next requests: a status, (status, Retry-After),
    "reset" after reading, "silence", ("late", seconds), ("partial", rejected);
    `judge` may decide by the request, and wins.
    """

    def __init__(self, port: int = 0) -> None:
        self.script: list[Any] = []
        self.judge: Answer | None = None
        self.requests = 0
        self.accepted: Counter[bytes] = Counter()
        self.names: Counter[str] = Counter()
        self.raw: list[bytes] = []
        self.encodings: set[str | None] = set()
        self._hold = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                encoding = self.headers.get("content-encoding")
                receiver.encodings.add(encoding)
                if encoding == "gzip":
                    body = gzip.decompress(body)
                receiver.handle(self, body)

            def log_message(self, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def handle(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        """Answer one request as the script says."""
        self.requests += 1
        request = ExportTraceServiceRequest.FromString(body)
        what = self.judge(request, body) if self.judge else None
        if what is None:
            what = self.script.pop(0) if self.script else 200
        answer, after, reply = what, None, b""
        if what == "silence":
            self._hold.wait(30)
            return
        if isinstance(what, tuple):
            answer, after = what
        if answer == "late":
            time.sleep(float(after or 0))
            answer, after = 200, None
        if answer == "partial":
            response = ExportTraceServiceResponse()
            response.partial_success.rejected_spans = int(after or 0)
            response.partial_success.error_message = "too old"
            answer, after, reply = 200, None, response.SerializeToString()
        if answer in (200, "reset"):
            self.raw.append(body)
            for span in spans_in(request):
                self.accepted[span.trace_id + span.span_id] += 1
                self.names[span.name] += 1
        if answer == "reset":
            linger = struct.pack("ii", 1, 0)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            handler.connection.close()
            return
        handler.send_response(int(answer))
        if after is not None:
            handler.send_header("retry-after", str(after))
        handler.send_header("content-length", str(len(reply)))
        handler.end_headers()
        handler.wfile.write(reply)

    def close(self) -> None:
        """Stop listening."""
        self._hold.set()
        self.server.shutdown()
        self.server.server_close()


class GrpcReceiver:
    """Takes OTLP/gRPC, with the message limit of gRPC's defaults: 4 MiB."""

    def __init__(self) -> None:
        import grpc
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

        receiver = self
        self.accepted: Counter[bytes] = Counter()
        self.failures: list[Any] = []
        self.metadata: dict[str, str] = {}

        class Service(trace_service_pb2_grpc.TraceServiceServicer):  # type: ignore[misc]
            def Export(self, request: Any, context: Any) -> Any:
                receiver.metadata = dict(context.invocation_metadata())
                if receiver.failures:
                    context.abort(receiver.failures.pop(0), "as told")
                for span in spans_in(request):
                    receiver.accepted[span.trace_id + span.span_id] += 1
                return ExportTraceServiceResponse()

        self.server = grpc.server(futures.ThreadPoolExecutor(4))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(
            Service(), self.server
        )
        self.url = f"http://127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def close(self) -> None:
        """Stop listening."""
        self.server.stop(0).wait()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An OTLP/HTTP receiver."""
    with closing(Receiver()) as made:
        yield made


@pytest.fixture
def receivers() -> Iterator[Callable[..., Receiver]]:
    """OTLP/HTTP receivers, to be started on a port when the test wants them."""
    made: list[Receiver] = []

    def start(port: int = 0) -> Receiver:
        made.append(Receiver(port))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture
def grpc_receiver() -> Iterator[GrpcReceiver]:
    """An OTLP/gRPC receiver."""
    with closing(GrpcReceiver()) as made:
        yield made


@pytest.fixture
def port() -> int:
    """A port that nothing listens on yet."""
    return free_port()


@pytest.fixture
def burst() -> Callable[..., None]:
    """Make spans as fast as one thread can."""

    def make(count: int, name: str = "burst", **attributes: Any) -> None:
        tracer = runtime.get_runtime().tracer
        for number in range(count):
            tracer.start(name, Context(), {"n": number, **attributes}).end()

    return make


@pytest.fixture
def stored_ids() -> Callable[[Path], set[bytes]]:
    """Read the ids of all spans in a store, trace and span together."""

    def read(store: Path) -> set[bytes]:
        with closing(read_only(store)) as db:
            return {a + b for a, b in db.execute("SELECT trace_id, span_id FROM spans")}

    return read


@pytest.fixture
def start_child() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Python processes that make spans, and end them after the test."""
    running: list[subprocess.Popen[str]] = []

    def start(code: str, store: Path, **variables: str) -> subprocess.Popen[str]:
        head = """
            import os, sys, time
            import hudtrace as hud
            from hudtrace import runtime
            from opentelemetry.context import Context
            hud.configure(quiet=True)
            def burst(count, name="burst", **attributes):
                tracer = runtime.get_runtime().tracer
                for n in range(count):
                    tracer.start(name, Context(), {"n": n, **attributes}).end()
        """
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(code)],
            env={**os.environ, "HUDTRACE_STORE": str(store), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()
