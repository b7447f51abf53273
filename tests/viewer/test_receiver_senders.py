"""Real senders: the SDKs of Python and Node, the collector, and our own episodes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from node_kit import node_folder
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
    OTLPSpanExporter as GrpcExporter,
)
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
    OTLPSpanExporter as HttpExporter,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace import Status as SpanStatus
from receiver_kit import (
    Listening,
    conversations,
    ids_in,
    ids_of,
    normal,
    rows,
    some_spans,
    spans_by_column,
    spans_of,
    whole,
)
from viewer_kit import python, until

from hudtrace.interchange import stored
from hudtrace.store import queries
from hudtrace.store.store import read_only
from hudtrace.viewer import otlp_grpc

HERE = Path(__file__).parent
METHOD = "/opentelemetry.proto.collector.{}.v1.{}Service/Export"
TRACES = METHOD.format("trace", "Trace")


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Listening]:
    """A receiver over HTTP."""
    with Listening(tmp_path / "received.db") as found:
        yield found


@pytest.fixture
def listen_grpc(receiver: Listening) -> Iterator[Callable[..., Any]]:
    """Start the gRPC side of the receiver: `listen_grpc(token)`."""
    with contextlib.ExitStack() as stack:

        def start(token: str | None = None, host: str = "127.0.0.1") -> Any:
            server = otlp_grpc.serve(receiver.receiver, host, 0, token)
            stack.callback(server.close)
            return server

        yield start


class Kept(SpanProcessor):
    """Keeps what has ended, to compare with."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def sent_by(exporter: Any, count: int = 300) -> list[bytes]:
    """Make spans with the SDK and export them in its batches; return them."""
    provider = TracerProvider(resource=Resource.create({"service.name": "python"}))
    kept = Kept()
    provider.add_span_processor(kept)
    provider.add_span_processor(
        BatchSpanProcessor(exporter, max_export_batch_size=128, max_queue_size=5000)
    )
    tracer = provider.get_tracer("tests", "1", schema_url="https://schema")
    with tracer.start_as_current_span("root", kind=SpanKind.SERVER) as root:
        for number in range(count):
            attributes = {"n": number, "text": "é" * 50, "list": [1.5, 2.5]}
            with tracer.start_as_current_span(
                f"child {number % 10}",
                attributes=attributes,
                links=[trace.Link(root.get_span_context(), {"why": "root"})],
            ) as child:
                child.add_event("event", {"list": [1, 2], "yes": True})
                child.set_status(SpanStatus(StatusCode.ERROR, "wrong"))
    provider.force_flush(20_000)
    provider.shutdown()
    return normal(encode_spans(kept.spans))


# The SDKs ---------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [Compression.Gzip, Compression.NoCompression])
def test_python_over_http(receiver: Listening, compression: Compression) -> None:
    """The SDK's exporter, packed and not: what arrives is what it had."""
    sent = sent_by(HttpExporter(receiver.url, compression=compression))
    assert whole(receiver.store) == sent


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, None])
def test_python_over_grpc(
    receiver: Listening, listen_grpc: Callable[..., Any], compression: Any
) -> None:
    """The SDK's exporter over gRPC."""
    server = listen_grpc()
    exporter = GrpcExporter(
        f"http://127.0.0.1:{server.port}", insecure=True, compression=compression
    )
    sent = sent_by(exporter)
    assert whole(receiver.store) == sent


@pytest.mark.skipif(
    find_spec("opentelemetry.exporter.otlp.common") is None,
    reason="exporters of this version give up where nobody listens",
)
def test_the_sdk_waits_for_a_receiver_that_comes_back(tmp_path: Path) -> None:
    """Restarted in the middle, on the same port: all arrives."""
    store = tmp_path / "t.db"
    with Listening(store) as first:
        port, url = first.port, first.url
        before = sent_by(HttpExporter(url), 10)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(sent_by, HttpExporter(url, timeout=20), 5)
        time.sleep(0.5)  # it tries, and nobody is there
        assert not sending.done()
        with Listening(store, port):
            after = sending.result(30)
    assert whole(store) == sorted([*before, *after])


@pytest.fixture(scope="module")
def node() -> Path:
    """A folder with the script and what it needs, in the user's cache."""
    return node_folder(HERE / "node_otlp")


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("kind", ["json", "protobuf", "grpc"])
def test_node(
    receiver: Listening,
    listen_grpc: Callable[..., Any],
    node: Path,
    kind: str,
    compression: str,
) -> None:
    """Node's exporters: JSON, protobuf and gRPC, packed and not."""
    url = f"http://127.0.0.1:{listen_grpc().port}" if kind == "grpc" else receiver.url
    done = subprocess.run(
        ["node", "send.mjs", kind, url, compression],
        cwd=node,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    sent = json.loads(done.stdout)
    assert sent["results"] == [0, 0, 0]
    with contextlib.closing(read_only(receiver.store)) as db:
        spans = queries.spans(db, sent["traceId"])
    (root,) = (span for span in spans if span.parent_id is None)
    assert len(spans) == 100
    assert root.name == "root 😀"
    attributes = dict(root.attributes)
    half = attributes.pop("half")
    assert attributes == {"int": 7, "float": 0.5, "yes": True, "list": ["a", "b"]}
    assert half.startswith("x")
    assert half.endswith("y")
    children = [span for span in spans if span.parent_id == root.span_id]
    assert len(children) == 99
    assert sum(span.status == 2 for span in children) == 10
    assert {link.span_id for span in children for link in span.links} == {root.span_id}
    assert {event.name for span in children for event in span.events} == {"event"}


# gRPC, by itself ----------------------------------------------------------------------


def call(
    port: int, data: bytes, method: str = TRACES, timeout: float = 20, **metadata: str
) -> Any:
    """Send bytes; return the answer."""
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        sent = tuple(metadata.items())
        return channel.unary_unary(method)(data, timeout=timeout, metadata=sent)


def failure(*args: Any, **options: Any) -> tuple[Any, Status]:
    """Send bytes that are refused; return the code and the details."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*args, **options)
    trailers = dict(caught.value.trailing_metadata() or ())
    details = Status.FromString(trailers.get("grpc-status-details-bin", b""))
    return caught.value.code(), details


def test_grpc_answers(receiver: Listening, listen_grpc: Callable[..., Any]) -> None:
    """Success, partial success, bad data, too much; logs and metrics are dropped."""
    port = listen_grpc().port
    request = some_spans(3)
    assert call(port, request.SerializeToString()) == b""
    assert call(port, b"") == b""
    assert ids_in(receiver.store) == ids_of(request)
    spans_of(request)[0].trace_id = b"short"
    found = ExportTraceServiceResponse.FromString(
        call(port, request.SerializeToString())
    )
    assert found.partial_success.rejected_spans == 1
    assert "trace_id" in found.partial_success.error_message
    code, details = failure(port, b"\x0a\xff")
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert (details.code, list(details.details)) == (3, [])
    code, details = failure(port, bytes((20 << 20) + 1))
    assert (code, list(details.details)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, [])
    for names in (("logs", "Logs"), ("metrics", "Metrics")):
        assert call(port, b"\x0a\x00", METHOD.format(*names)) == b""
    assert receiver.count() == 3


def test_grpc_on_ipv6(receiver: Listening, listen_grpc: Callable[..., Any]) -> None:
    """An address with colons is one."""
    try:
        server = listen_grpc(host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with grpc.insecure_channel(f"[::1]:{server.port}") as channel:
        data = some_spans(2).SerializeToString()
        assert channel.unary_unary(TRACES)(data, timeout=20) == b""
    assert receiver.count() == 2


def test_grpc_tells_when_to_come_again(tmp_path: Path) -> None:
    """A full queue is UNAVAILABLE with RetryInfo, without which clients give up."""
    with Listening(tmp_path / "t.db", queue_bytes=1000) as receiver:
        server = otlp_grpc.serve(receiver.receiver, "127.0.0.1", 0)
        with contextlib.closing(server):
            data = some_spans(100).SerializeToString()
            code, details = failure(server.port, data)
            assert code == grpc.StatusCode.UNAVAILABLE
            assert details.code == 14
            info = RetryInfo()
            assert details.details[0].Unpack(info)
            assert info.retry_delay.seconds == 1
            assert call(server.port, some_spans(2).SerializeToString()) == b""


def test_grpc_asks_for_the_token(
    receiver: Listening, listen_grpc: Callable[..., Any]
) -> None:
    """As over HTTP: `authorization: Bearer`, and nothing else will do."""
    port = listen_grpc("s3cret-token").port
    data = some_spans(2).SerializeToString()
    for given in ({}, {"authorization": "Bearer x"}, {"authorization": "s3cret-token"}):
        code, _ = failure(port, data, **given)
        assert code == grpc.StatusCode.UNAUTHENTICATED
        code, _ = failure(port, data, METHOD.format("logs", "Logs"), **given)
        assert code == grpc.StatusCode.UNAUTHENTICATED
    assert receiver.count() == 0
    assert call(port, data, authorization="Bearer s3cret-token") == b""
    assert receiver.count() == 2


def test_grpc_says_that_its_port_is_taken(receiver: Listening) -> None:
    """An OSError, so that the viewer can go on without."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
            otlp_grpc.serve(receiver.receiver, "127.0.0.1", port)


# The collector ------------------------------------------------------------------------


def binary() -> Path:
    """Return where `make backends` puts the collector."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = os.environ.get("HUDTRACE_BACKENDS") or Path(cache) / "hudtrace/backends"
    return Path(folder) / "otelcol"


COLLECTOR = binary()  # before the tests clean the environment
CONFIGURATION = """
extensions:
  health_check: {{endpoint: 127.0.0.1:{health}}}
receivers:
  otlp: {{protocols: {{http: {{endpoint: 127.0.0.1:{http}}}}}}}
exporters:
  {exporter}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [{name}]}}
"""
EXPORTERS = {
    "protobuf": "otlp_http: {{endpoint: '{http}', compression: none}}",
    "gzip": "otlp_http: {{endpoint: '{http}', compression: gzip}}",
    "json": "otlp_http: {{endpoint: '{http}', encoding: json, compression: none}}",
    "json+gzip": "otlp_http: {{endpoint: '{http}', encoding: json}}",
    "grpc": "otlp_grpc: {{endpoint: '{grpc}', tls: {{insecure: true}}}}",
}


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on."""
    with contextlib.ExitStack() as stack:
        probes = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            for _ in range(count)
        ]
        return [probe.getsockname()[1] for probe in probes]


@contextlib.contextmanager
def collector(folder: Path, exporter: str) -> Iterator[str]:
    """Run a collector that sends on; give its address."""
    health, http = free_ports(2)
    file = folder / "collector.yaml"
    file.write_text(
        CONFIGURATION.format(
            health=health, http=http, exporter=exporter, name=exporter.split(":")[0]
        )
    )
    with (folder / "collector.log").open("wb") as log:
        running = subprocess.Popen(
            [COLLECTOR, "--config", file], stdout=log, stderr=log
        )
    try:

        def healthy() -> bool:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{health}/", timeout=1).close()
                return True
            return False

        until(healthy, 30)
        yield f"http://127.0.0.1:{http}/v1/traces"
    finally:
        running.terminate()
        running.wait(20)


@pytest.mark.skipif(not COLLECTOR.exists(), reason="`make backends` builds a collector")
@pytest.mark.parametrize("how", EXPORTERS)
def test_the_collector(
    receiver: Listening, listen_grpc: Callable[..., Any], tmp_path: Path, how: str
) -> None:
    """It sends on what it got, as protobuf, JSON and gRPC, packed and not."""
    address = f"127.0.0.1:{listen_grpc().port}"
    base = receiver.url.removesuffix("/v1/traces")
    exporter = EXPORTERS[how].format(http=base, grpc=address)
    with collector(tmp_path, exporter) as url:
        sent = sent_by(HttpExporter(url))
        until(lambda: receiver.count() >= len(sent))
    assert whole(receiver.store) == sent


@pytest.mark.skipif(not COLLECTOR.exists(), reason="`make backends` builds a collector")
def test_the_collector_waits_while_the_queue_is_full(tmp_path: Path) -> None:
    """503 with Retry-After makes it come again; nothing is lost."""
    with Listening(tmp_path / "t.db", queue_bytes=30_000) as receiver:
        base = receiver.url.removesuffix("/v1/traces")
        options = "sending_queue: {num_consumers: 20}, retry_on_failure: {initial_interval: 100ms}"
        exporter = f"otlp_http: {{endpoint: '{base}', {options}}}"
        with collector(tmp_path, exporter) as url:
            requests = [some_spans(100, text="x" * 100) for _ in range(50)]
            for request in requests:
                answer = httpx.post(
                    url,
                    content=request.SerializeToString(),
                    headers={"content-type": "application/x-protobuf"},
                )
                assert answer.status_code == 200
            until(lambda: receiver.count() >= 5000, 60)
    assert ids_in(receiver.store) == set().union(*map(ids_of, requests))


# Our own episodes ---------------------------------------------------------------------


def test_an_episode_that_was_received_is_as_good_as_a_local_one(
    recorded: tuple[Path, dict[str, str]], receiver: Listening
) -> None:
    """Evals of every kind: the same episodes, verdicts, trees and conversations."""
    local, ids = recorded
    request = everything(local)
    assert receiver.post(request.SerializeToString()).content == b""
    assert_same(local, receiver.store)
    for name in ("bread", "picture"):
        assert conversations(receiver.store, ids[name]) == conversations(
            local, ids[name]
        )
    assert any(conversations(local, ids["picture"]))


def everything(store: Path) -> Any:
    """Return all spans of a store as a request."""
    with contextlib.closing(read_only(store)) as db:
        ids = [
            key.hex() for (key,) in db.execute("SELECT DISTINCT trace_id FROM spans")
        ]
        return stored.request_of(db, ids)


def assert_same(one: Path, other: Path) -> None:
    """Both stores have the same in every table that is read."""
    assert whole(one) == whole(other)
    for table in ("episodes", "verdicts", "nodes"):
        assert rows(one, table) == rows(other, table), table
    messages = [{row[1:] for row in rows(each, "messages")} for each in (one, other)]
    assert messages[0] == messages[1]
    assert spans_by_column(one) == spans_by_column(other)


def test_an_episode_sent_while_it_runs(tmp_path: Path, receiver: Listening) -> None:
    """An eval that exports to the viewer: there it is the same as in its own store."""
    local = tmp_path / "local.db"
    endpoint = receiver.url.removesuffix("/v1/traces")
    command = [str(HERE / "recording.py"), "store"]
    with python(local, *command, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as running:
        out, err = running.communicate(timeout=100)
    assert running.returncode == 0, err
    assert json.loads(out)["late"]
    assert_same(local, receiver.store)
    assert receiver.receiver.counts.refused == 0


def test_into_the_store_that_it_came_from(
    tmp_path: Path, recorded: tuple[Path, dict[str, str]]
) -> None:
    """A viewer of the very store that an eval writes, and exports to: nothing changes."""
    local = tmp_path / "local.db"
    shutil.copy(recorded[0], local)
    before = [
        rows(local, table) for table in ("spans", "episodes", "verdicts", "nodes")
    ]
    with Listening(local) as receiver:
        request = everything(local)
        assert receiver.post(request.SerializeToString()).status_code == 200
    after = [rows(local, table) for table in ("spans", "episodes", "verdicts", "nodes")]
    assert after == before


def test_episodes_through_the_collector(
    tmp_path: Path, receiver: Listening, recorded: tuple[Path, dict[str, str]]
) -> None:
    """Translated by a program that is not ours, they are still the same."""
    if not COLLECTOR.exists():
        pytest.skip("`make backends` builds a collector")
    base = receiver.url.removesuffix("/v1/traces")
    exporter = EXPORTERS["json"].format(http=base)
    request = everything(recorded[0])
    with collector(tmp_path, exporter) as url:
        answer = httpx.post(
            url,
            content=request.SerializeToString(),
            headers={"content-type": "application/x-protobuf"},
            timeout=20,
        )
        assert answer.status_code == 200
        until(lambda: receiver.count() >= len(spans_of(request)))
    assert_same(recorded[0], receiver.store)
