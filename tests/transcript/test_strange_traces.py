"""Traces that nobody would write on purpose are shown too, and exported."""

from __future__ import annotations

import json
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from hudtrace import semconv
from hudtrace.interchange.intake import Intake
from hudtrace.store.rows import Batch
from hudtrace.store.store import Store, read_only
from hudtrace.tracing.redaction import Redactor
from hudtrace.transcript import conversation, diff, markdown, page, perfetto

KEYS = sorted(
    value
    for name, value in vars(semconv).items()
    if name.isupper() and isinstance(value, str) and "." in value
)
NAMES = (
    "chat m",
    "turn",
    "reward",
    "eval x:y",
    "setup",
    "execute_tool t",
    "",
    "\x1b[2J",
)
OPERATIONS = (
    "chat",
    "execute_tool",
    "evaluate",
    "invoke_agent",
    "text_completion",
    "x",
)
TEXTS = (
    "",
    "x",
    "\u202e\x00\x1b]0;t\x07",
    "[]",
    "null",
    '{"a": NaN}',
    "[[[",
    '[{"role": "assistant", "parts": [{"type": "tool_call", "name": 1}]}]',
    '[{"role": "tool", "parts": [{"type": "tool_call_response", "id": 1}]}]',
    '[{"role": [], "parts": {}}, 1, null, "x"]',
    "[" * 3000 + "]" * 3000,
)


def strange(rng: random.Random) -> ExportTraceServiceRequest:
    """Make a trace of random spans with random values under the names we know."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    ids = [rng.randbytes(8) for _ in range(20)]
    for span_id in ids:
        start = rng.randrange(1, 10**6)
        span = scope.spans.add(
            trace_id=b"\xcd" * 16,
            span_id=span_id,
            parent_span_id=rng.choice([*ids, b"", rng.randbytes(8)]),
            name=rng.choice(NAMES),
            start_time_unix_nano=start,
            end_time_unix_nano=rng.choice([start, start + rng.randrange(10**6), 0]),
        )
        span.status.code = rng.choice([0, 1, 2])
        for key in rng.sample(KEYS, 25):
            value = span.attributes.add(key=key).value
            kind = rng.randrange(5)
            if kind == 0:
                value.int_value = rng.choice([0, -1, 2**62])
            elif kind == 1:
                value.double_value = rng.choice([0.5, float("nan"), float("inf")])
            elif kind == 2:
                value.bool_value = True
            elif kind == 3:
                value.array_value.values.add(string_value=rng.choice(TEXTS))
            else:
                value.string_value = rng.choice(TEXTS)
        operation = span.attributes.add(key=semconv.OPERATION)
        operation.value.string_value = rng.choice(OPERATIONS)
    return request


@pytest.mark.parametrize("seed", range(30))
def test_strange_traces(seed: int, tmp_path: Path) -> None:
    """Whatever is in a trace, each way to look at it gives something that is valid."""
    store = Store(tmp_path / "t.db")
    batch = Batch()
    Intake(Redactor()).add(batch, strange(random.Random(seed)))
    store.write(batch)
    store.close()
    db = read_only(tmp_path / "t.db")
    try:
        look(db, (b"\xcd" * 16).hex())
    finally:
        db.close()


def look(db: sqlite3.Connection, trace_id: str) -> None:
    """Look at a trace in every way."""
    found = conversation.read(db, trace_id)
    shown: list[Any] = conversation.page(db, found, 0, 1_000)
    shown += [diff.compare(db, trace_id, trace_id), perfetto.trace_events(db, trace_id)]
    json.dumps(shown, allow_nan=False).encode("utf-8")
    markdown.text(db, trace_id).encode("utf-8")
    page.html(db, trace_id).encode("utf-8")
    for row in found.spans:
        found.item_of_span(row.span_id)
        conversation.history(db, trace_id, row.span_id, 0, 10)
    for n in range(found.messages + 2):
        found.item_of_message(n)


def test_messages_that_are_gone(tmp_path: Path) -> None:
    """Where content was deleted while somebody looked, the rest is shown."""
    store = Store(tmp_path / "t.db")
    batch = Batch()
    request = ExportTraceServiceRequest()
    span = (
        request.resource_spans.add()
        .scope_spans.add()
        .spans.add(
            trace_id=b"\xcd" * 16,
            span_id=b"\1" * 8,
            name="chat m",
            end_time_unix_nano=5,
        )
    )
    said = '[{"role": "user", "parts": [{"type": "text", "content": "%s"}]}]'
    for key, value in (
        (semconv.OPERATION, "chat"),
        (semconv.INPUT_MESSAGES, said % "hi"),
        (semconv.OUTPUT_MESSAGES, said % "ho"),
    ):
        span.attributes.add(key=key).value.string_value = value
    Intake(Redactor()).add(batch, request)
    store.write(batch)
    store.close()
    for gone in ("messages", "nodes"):
        with sqlite3.connect(tmp_path / "t.db") as changed:
            changed.execute(f"DELETE FROM {gone}")
        changed.close()
        db = read_only(tmp_path / "t.db")
        look(db, (b"\xcd" * 16).hex())
        db.close()
