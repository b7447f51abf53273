"""Traces of other programs have a conversation too, once they are in the store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from hudtrace.interchange.intake import Intake
from hudtrace.store.rows import Batch
from hudtrace.store.store import Store, read_only
from hudtrace.tracing.redaction import Redactor
from hudtrace.transcript import conversation

RECORDED = Path(__file__).parent / "recorded"
TRACE = "ab" * 16


def request_of(spans: list[dict[str, Any]]) -> ExportTraceServiceRequest:
    """Return recorded spans, in the order of their ends, as they would be sent."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number, given in enumerate(spans):
        span = scope.spans.add(
            trace_id=bytes.fromhex(TRACE),
            span_id=bytes.fromhex(given["id"]),
            parent_span_id=bytes.fromhex(given["parent"] or ""),
            name=given["name"],
            start_time_unix_nano=1_000_000 * (number + 1),
            end_time_unix_nano=1_000_000 * (number + 1) + 500_000,
        )
        for key, value in given["attributes"].items():
            pair = span.attributes.add(key=key)
            if isinstance(value, list):
                for each in value:
                    pair.value.array_value.values.add(string_value=str(each))
            elif isinstance(value, str):
                pair.value.string_value = value
            else:
                pair.value.int_value = int(value)
    return request


@pytest.fixture
def received(tmp_path: Path) -> Iterator[Any]:
    """Take spans in, and return the items of their trace and the transcript."""
    opened = []

    def take(spans: list[dict[str, Any]]) -> Any:
        store = Store(tmp_path / "received.db")
        batch = Batch()
        Intake(Redactor()).add(batch, request_of(spans))
        store.write(batch)
        store.close()
        opened.append(read_only(tmp_path / "received.db"))
        found = conversation.read(opened[-1], TRACE)
        return conversation.page(opened[-1], found, 0, 100), found

    yield take
    for db in opened:
        db.close()


def recorded(name: str) -> list[dict[str, Any]]:
    """Return recorded spans."""
    spans: list[dict[str, Any]] = json.loads((RECORDED / name).read_text("utf-8"))
    return spans


@pytest.mark.parametrize(
    ("name", "system"),
    [
        ("vercel_ai_6.json", "be good"),
        ("pydantic_ai_2_68.json", "be good"),
        ("openllmetry_0_40.json", "sys"),
        ("logfire_5_4.json", "sys"),
    ],
)
def test_recorded_traces(name: str, system: str, received: Any) -> None:
    """Two calls of one thread: the second has only its reply; the tool is joined."""
    items, found = received(recorded(name))
    calls = [item for item in items if item["kind"] == "call"]
    assert [item["kind"] for item in items] == ["call", "call"]
    assert [(c["thread"], c["rewritten_at"]) for c in calls] == [(0, None), (0, None)]
    first, second = calls
    roles = [message["role"] for message in first["new"]]
    assert roles == ["system", "user", "assistant"]
    assert first["new"][0]["parts"][0]["text"] == system
    said, asked = first["new"][2]["parts"]
    assert said["text"] == "let me see"
    assert (asked["name"], asked["arguments"]) == ("look", {"x": "a"})
    assert asked["result"]["parts"][0]["text"] == "res a"
    assert asked["result"]["n"] == 4
    if any(row.is_tool for row in found.spans):
        assert asked["span_id"] is not None
    (reply,) = second["new"]
    assert (reply["n"], reply["parts"][0]["text"]) == (5, "done")
    assert found.messages == 5


def test_the_whole_history_of_a_call(received: Any) -> None:
    """What one call was given is to be had page by page, as it was."""
    spans = recorded("vercel_ai_6.json")
    _, found = received(spans)
    db = found.source.db
    last = [row for row in found.spans if row.operation == "chat"][-1]
    whole = conversation.history(db, TRACE, last.span_id, 0, 100)
    assert whole is not None
    total, messages = whole
    assert total == len(messages) == 5
    assert [message["output"] for message in messages] == [False] * 4 + [True]
    assert messages[3]["parts"][0]["type"] == "tool_call_response"
    page = conversation.history(db, TRACE, last.span_id, 2, 1)
    assert page == (5, [messages[2]])
    assert conversation.history(db, TRACE, "00" * 8, 0, 10) is None


def test_a_call_within_a_call(received: Any) -> None:
    """Where two instrumentors tell of one call, the inner one is shown."""
    (inner, *_) = recorded("openllmetry_0_40.json")
    outer = {
        "id": "aa" * 8,
        "parent": None,
        "name": "ChatOpenAI",
        "attributes": {
            "openinference.span.kind": "LLM",
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.content": "hi",
        },
    }
    items, _ = received([{**inner, "parent": "aa" * 8}, outer])
    assert [item["name"] for item in items if item["kind"] == "call"] == ["openai.chat"]


def test_an_image_in_a_span(received: Any) -> None:
    """An image that came in an attribute is a chip with an address, not its data."""
    attributes = {
        "openinference.span.kind": "LLM",
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.contents.0.message_content.type": "image",
        "llm.input_messages.0.message.contents.0.message_content.image.image.url": (
            "data:image/png;base64,AAAA"
        ),
    }
    span = {"id": "bb" * 8, "parent": None, "name": "x", "attributes": attributes}
    items, found = received([span])
    (part,) = items[0]["new"][0]["parts"]
    assert part == {
        "type": "blob",
        "modality": "image",
        "mime_type": "image/png",
        "size": 3,
        "href": f"/api/hud/v1/trace/{TRACE}/span/{'bb' * 8}/message/0/blob/0",
    }
    assert found.source.blob(part["href"]) == b"\0\0\0"


def test_tool_calls_without_ids(received: Any) -> None:
    """Where calls have no ids, the first response of a tool answers its first call."""
    asked = [
        {"type": "tool_call", "name": name, "arguments": {"x": x}}
        for name, x in (("look", 1), ("find", 2), ("look", 3))
    ]
    said = [
        {"type": "tool_call_response", "name": name, "response": f"{name} {x}"}
        for name, x in (("look", 1), ("look", 3), ("find", 2))
    ]
    given = [{"role": "user", "parts": [{"type": "text", "content": "go"}]}]
    answer = {"role": "assistant", "parts": asked}
    results = {"role": "tool", "parts": said}
    calls = [
        (given, answer),
        ([*given, answer, results], {"role": "assistant", "parts": []}),
    ]
    items, _ = received(
        [
            {
                "id": f"{number:016x}",
                "parent": None,
                "name": "generate_content gemini",
                "attributes": {
                    "gen_ai.operation.name": "generate_content",
                    "gen_ai.input.messages": json.dumps(given),
                    "gen_ai.output.messages": json.dumps([answer]),
                },
            }
            for number, (given, answer) in enumerate(calls, 1)
        ]
    )
    shown = items[0]["new"][-1]["parts"]
    assert [part["result"]["parts"][0]["text"] for part in shown] == [
        "look 1",
        "find 2",
        "look 3",
    ]
    assert [message["role"] for message in items[1]["new"]] == ["assistant"]
