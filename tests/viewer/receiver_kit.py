"""An OTLP receiver on a free port, and spans to send to it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import socket
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from foreign_spans import put
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.applications import Starlette

from hudtrace.interchange import stored
from hudtrace.store import queries
from hudtrace.store.store import read_only
from hudtrace.viewer.receiver import Receiver, routes

PROTOBUF, JSON = "application/x-protobuf", "application/json"


class Listening:
    """A receiver in a small application of its own; `options` are the receiver's."""

    def __init__(self, store: Path, port: int = 0, **options: Any) -> None:
        self.store = store
        self.receiver = Receiver(store, **options)
        self._socket = socket.create_server(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1/traces"
        app = Starlette(routes=list(routes(self.receiver)))
        self._server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", lifespan="off", ws="none")
        )
        serving = self._server.serve([self._socket])
        self._thread = threading.Thread(target=lambda: asyncio.run(serving))

    def __enter__(self) -> Listening:
        self.receiver.start()
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self.receiver.close()
        self._socket.close()

    def post(
        self, data: bytes, media: str = PROTOBUF, encoding: str = "", path: str = ""
    ) -> httpx.Response:
        """Send a body; it is packed here if *encoding* is gzip."""
        headers = {"content-type": media} if media else {}
        if encoding:
            headers["content-encoding"] = encoding
        if encoding == "gzip":
            data = gzip.compress(data, 1)
        url = self.url.replace("/v1/traces", path) if path else self.url
        return httpx.post(url, content=data, headers=headers, timeout=60)

    def count(self) -> int:
        """Return how many spans are in the store."""
        return len(ids_in(self.store))


def status_of(answer: httpx.Response) -> tuple[int, str]:
    """Return the code and the message of an error, whichever way it is written."""
    if answer.headers["content-type"] == PROTOBUF:
        status = Status.FromString(answer.content)
        return status.code, status.message
    assert answer.headers["content-type"] == JSON
    data = answer.json()
    assert set(data) == {"code", "message"}
    return data["code"], data["message"]


def partial_of(answer: httpx.Response) -> tuple[int, str]:
    """Return how many spans an answer says were rejected, and why."""
    assert answer.status_code == 200, answer.content
    if answer.headers["content-type"] == PROTOBUF:
        found = ExportTraceServiceResponse.FromString(answer.content).partial_success
        return found.rejected_spans, found.error_message
    data = answer.json().get("partialSuccess", {})
    return int(data.get("rejectedSpans", 0)), data.get("errorMessage", "")


def some_spans(count: int, name: str = "some", **attributes: Any) -> Any:
    """Return a request with spans of one trace, under a root."""
    request = ExportTraceServiceRequest()
    process = request.resource_spans.add()
    put(process.resource.attributes, {"service.name": "tests"})
    into = process.scope_spans.add()
    trace_id, root = os.urandom(16), os.urandom(8)
    for number in range(count):
        made = into.spans.add(
            trace_id=trace_id,
            span_id=os.urandom(8) if number else root,
            parent_span_id=root if number else b"",
            name=name,
            start_time_unix_nano=10**18 + number,
            end_time_unix_nano=10**18 + number + 1000,
        )
        put(made.attributes, {"n": number, **attributes})
    return request


def ids_in(store: Path) -> set[bytes]:
    """Return the ids of all spans in a store, trace and span together."""
    with contextlib.closing(read_only(store)) as db:
        return {a + b for a, b in db.execute("SELECT trace_id, span_id FROM spans")}


def ids_of(request: Any) -> set[bytes]:
    """Return the ids of all spans in a request."""
    return {span.trace_id + span.span_id for span in spans_of(request)}


def spans_of(request: Any) -> list[Any]:
    """Return the spans of a request."""
    return [
        span
        for process in request.resource_spans
        for scope_spans in process.scope_spans
        for span in scope_spans.spans
    ]


def whole(store: Path, *trace_ids: str) -> list[bytes]:
    """Return all spans in a store, or of some traces, in one order and as bytes.

    Each with its resource and its library, its attributes in the order of their names.
    """
    with contextlib.closing(read_only(store)) as db:
        wanted = list(trace_ids) or [
            key.hex() for (key,) in db.execute("SELECT DISTINCT trace_id FROM spans")
        ]
        return normal(stored.request_of(db, wanted))


def normal(request: Any) -> list[bytes]:
    """Return the spans of a request as bytes; order is all that is not looked at."""
    found = []
    for process in request.resource_spans:
        for scope_spans in process.scope_spans:
            for span in scope_spans.spans:
                alone = ExportTraceServiceRequest()
                outer = alone.resource_spans.add()
                outer.CopyFrom(process)
                outer.ClearField("scope_spans")
                inner = outer.scope_spans.add()
                inner.CopyFrom(scope_spans)
                inner.ClearField("spans")
                inner.spans.add().CopyFrom(span)
                one = inner.spans[0]
                for place in (
                    outer.resource,
                    inner.scope,
                    one,
                    *one.events,
                    *one.links,
                ):
                    sort(place.attributes)
                found.append(alone.SerializeToString(deterministic=True))
    return sorted(found)


def sort(pairs: Any) -> None:
    """Put attributes in the order of their names."""
    ordered = sorted(pairs, key=lambda pair: pair.key)
    copies = [type(pair).FromString(pair.SerializeToString()) for pair in ordered]
    del pairs[:]
    pairs.extend(copies)


def rows(store: Path, table: str) -> list[tuple[Any, ...]]:
    """Return the rows of a table, in one order."""
    with contextlib.closing(read_only(store)) as db:
        return sorted(db.execute(f"SELECT * FROM {table}").fetchall(), key=repr)


def spans_by_column(store: Path) -> list[tuple[Any, ...]]:
    """Return what the columns say of each span, but for row ids and bytes."""
    columns = "trace_id, span_id, parent_id, name, start, end, status, operation, model"
    with contextlib.closing(read_only(store)) as db:
        return sorted(
            db.execute(
                f"SELECT {columns}, phase, turn, node IS NULL, replies FROM spans"
            ),
            key=repr,
        )


def conversations(store: Path, trace_id: str) -> list[Any]:
    """Return the conversations of a trace, by the start of their calls."""
    with contextlib.closing(read_only(store)) as db:
        return [queries.conversation(db, s) for s in queries.spans(db, trace_id)]


def table_size(store: Path, table: str) -> int:
    """Return how many rows a table has."""
    with contextlib.closing(sqlite3.connect(store)) as db:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
