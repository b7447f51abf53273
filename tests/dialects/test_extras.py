"""What only one API wants back goes to it alone, and tool results to all of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hudtrace.dialects import (
    DIALECTS,
    anthropic_messages,
    gemini,
    openai_chat,
    openai_responses,
)
from hudtrace.messages import Message, response_text
from hudtrace.tools import Image, ToolCall, ToolResult

MARK = "onlymine"
CACHED = {"cache_control": {"type": "ephemeral", "mark": MARK}}
#: Messages of each API with things of its own, everything of it marked.
FOREIGN: dict[Any, list[Any]] = {
    anthropic_messages: [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": MARK},
                {"type": "text", "text": "a", "citations": [{"cited_text": MARK}]},
                {"type": "text", "text": "b", "novel": MARK},
                {"type": "novelty", "value": MARK},
                {"type": "server_tool_use", "id": "s", "name": "w", "input": MARK},
                {"type": "web_search_tool_result", "tool_use_id": "s", "content": MARK},
                {"type": "tool_use", "id": "t", "name": "f", "input": {}, **CACHED},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": "R", **CACHED}
            ],
        },
    ],
    openai_responses: [
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "a", "novel": MARK},
                {"type": "novelty", "value": MARK},
            ],
        },
        [
            {"type": "reasoning", "id": MARK, "summary": [], "encrypted_content": MARK},
            {"type": "web_search_call", "id": MARK, "status": "completed"},
            {"type": "computer_call", "id": MARK, "call_id": "cc", "action": {}},
            {"type": "function_call", "id": MARK, "call_id": "t", "name": "f"}
            | {"arguments": "{}", "namespace": MARK},
        ],
        {"type": "function_call_output", "call_id": "t", "output": "R", "id": MARK},
        {"type": "mcp_approval_response", "approval_request_id": MARK, "approve": True},
    ],
    openai_chat: [
        {
            "role": "user",
            "content": [
                {
                    "type": "image_url",
                    "image_url": {"url": "https://x.test/a.png", "detail": MARK},
                },
                {"type": "novelty", "value": MARK},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "t",
                    "type": "function",
                    "function": {"name": "f", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": MARK}},
                },
                {"id": "u", "type": "custom", "custom": {"name": "g", "input": "x"}},
            ],
        },
        {"role": "tool", "tool_call_id": "t", "content": "R"},
        {"role": "tool", "tool_call_id": "u", "content": "R"},
    ],
    gemini: [
        {
            "role": "model",
            "parts": [
                {"text": "hm", "thought": True, "thoughtSignature": MARK},
                {"text": "a", "novel": MARK},
                {"novelty": MARK},
                {"executableCode": {"code": MARK, "language": "PYTHON"}},
                {
                    "functionCall": {"id": "t", "name": "f", "args": {}, "mark": MARK},
                    "thoughtSignature": MARK,
                },
            ],
        },
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "id": "t",
                        "name": "f",
                        "response": {"result": "R"},
                        "scheduling": MARK,
                    }
                }
            ],
        },
    ],
}
sources = pytest.mark.parametrize("source", FOREIGN, ids=lambda d: d.name)
dialects = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)


def read_all(source: Any) -> list[Message]:
    return [source.read_message(wire) for wire in FOREIGN[source]]


@sources
def test_a_round_trip_loses_nothing(source: Any) -> None:
    """Written back to where it came from, a conversation is what it was."""
    flat = [
        item
        for wire in FOREIGN[source]
        for item in (wire if isinstance(wire, list) else [wire])
    ]
    assert source.write_messages(read_all(source)) == flat


@sources
@dialects
def test_extras_go_to_no_other_api(source: Any, dialect: Any) -> None:
    """Another API gets the texts, calls and results, and nothing that it refuses."""
    written = json.dumps(dialect.write_messages(read_all(source)))
    if dialect is not source:
        assert MARK not in written
        assert "novel" not in written
        for own in ("openai", "anthropic_messages", '"gemini"', '"item"', '"block"'):
            assert own not in written
    assert '"f"' in written
    assert '"R"' in written


@sources
@dialects
def test_a_result_with_an_image_goes_to_every_api(source: Any, dialect: Any) -> None:
    """A tool's text and image, answered in one form, are written in every other."""
    image = Image(b"\x89PNG", "image/png")
    native = {"type": "function_call", "functionCall": {}}
    call = ToolCall("f", {}, "t", native=native)
    reply = source.reply(call, ToolResult.of(["a caption", image]))
    (wire,) = source.write_results([reply])
    message = source.read_message(wire)
    asked: Any = {"type": "tool_call", "id": "t", "name": "f", "arguments": {}}
    before: Message = {"role": "assistant", "parts": [asked]}
    assert source.write_messages([before, message])[-1] == wire
    assert response_text(message["parts"][0]["response"]).startswith("a caption")
    written = json.dumps(dialect.write_messages([before, message]))
    assert "a caption" in written
    shows = openai_chat not in (source, dialect)
    assert (image.block()["data"] in written) == shows
    assert shows or "[image: image/png, 4 bytes]" in written


@dialects
def test_broken_text_of_a_model_can_be_sent_back(dialect: Any) -> None:
    """Halves of characters in what a model said do not break the next request."""
    half = "x\ud83dy"
    call: Any = {"type": "tool_call", "id": "t", "name": "f", "arguments": {half: half}}
    said: Any = [{"type": "text", "content": half}, call]
    answer: Any = {"type": "tool_call_response", "id": "t", "response": [half]}
    messages: list[Message] = [
        {"role": "assistant", "parts": said},
        {"role": "tool", "parts": [answer]},
    ]
    json.dumps(dialect.write_messages(messages), ensure_ascii=False).encode()
