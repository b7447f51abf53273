"""Anthropic Messages: the details of its format, on the SDK's own objects."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from anthropic.types import Message as SdkMessage
from anthropic.types import RawMessageStreamEvent, ToolUseBlock
from pydantic import TypeAdapter

from hudtrace.dialects import anthropic_messages
from hudtrace.messages import Message, ModelReply, Usage, text_message
from hudtrace.testing.apis.anthropic_messages import AnthropicMessages
from hudtrace.testing.apis.refusals import BadRequest
from hudtrace.tools import Image, Tool, ToolCall, ToolResult

CITATION: dict[str, Any] = {
    "type": "char_location",
    "cited_text": "one",
    "document_index": 0,
    "document_title": None,
    "start_char_index": 0,
    "end_char_index": 3,
}
SEARCH: dict[str, Any] = {
    "type": "server_tool_use",
    "id": "srv1",
    "name": "web_search",
    "input": {"query": "x"},
}
FOUND: dict[str, Any] = {
    "type": "web_search_tool_result",
    "tool_use_id": "srv1",
    "content": [
        {
            "type": "web_search_result",
            "title": "X",
            "url": "https://x.test",
            "encrypted_content": "abc",
            "page_age": None,
        }
    ],
}
BODY: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "secret"},
        {"type": "text", "text": "let me see", "citations": None},
        {"type": "text", "text": "as said", "citations": [CITATION]},
        SEARCH,
        FOUND,
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 20,
        "cache_creation_input_tokens": 5,
        "cache_read_input_tokens": 60,
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 4},
        "service_tier": "standard",
    },
}
OURS = "anthropic_messages"
PARTS: list[Any] = [
    {"type": "reasoning", "content": "hm", OURS: {"signature": "sig"}},
    {"type": "redacted_thinking", OURS: BODY["content"][1]},
    {"type": "text", "content": "let me see"},
    {"type": "text", "content": "as said", OURS: {"citations": [CITATION]}},
    {
        "type": "server_tool_call",
        "id": "srv1",
        "name": "web_search",
        "server_tool_call": SEARCH,
    },
    {
        "type": "server_tool_call_response",
        "id": "srv1",
        "server_tool_call_response": FOUND,
    },
    {"type": "tool_call", "id": "t1", "name": "f", "arguments": {"a": 1}},
]
USAGE = Usage(85, 9, 60, 5, 4)


@pytest.mark.parametrize("as_object", [True, False])
def test_read_response(as_object: bool) -> None:
    """Everything of a response is read alike from the SDK's object and from JSON."""
    response: Any = SdkMessage.model_validate(BODY) if as_object else BODY
    reply = anthropic_messages.read_response(response)
    (message,) = reply.messages
    assert message == {"role": "assistant", "parts": PARTS}
    assert reply.finish_reasons == ["tool_call"]
    assert (reply.id, reply.model, reply.usage) == ("msg_1", "claude-x", USAGE)
    assert reply.attributes == {
        "anthropic.message.stop_reason": "tool_use",
        "anthropic.response.service_tier": "standard",
    }


def test_an_answer_is_sent_back_as_it_came() -> None:
    """Signatures, citations and server tools survive, and read as they did."""
    reply = anthropic_messages.read_response(BODY)
    (wire,) = anthropic_messages.write_messages(reply.messages)
    sent = [{k: v for k, v in b.items() if v is not None} for b in BODY["content"]]
    assert wire == {"role": "assistant", "content": sent}
    assert anthropic_messages.read_message(wire) == reply.messages[0]


@pytest.mark.parametrize("as_object", [True, False])
def test_a_stream_is_folded(as_object: bool) -> None:
    """All kinds of blocks and deltas make the reply that they are cut from."""
    reply = anthropic_messages.read_response(BODY)
    fold = anthropic_messages.StreamFold()
    kinds = set()
    validate = TypeAdapter(RawMessageStreamEvent).validate_python
    for event in anthropic_messages.write_chunks(reply, split=list):
        kinds.add((event["type"], event.get("delta", {}).get("type")))
        ping = event["type"] == "ping"
        fold.add(validate(event) if as_object and not ping else event)
    assert fold.reply().messages == reply.messages
    assert fold.reply().finish_reasons == ["tool_call"]
    assert (fold.usage, fold.finished) == (USAGE, True)
    deltas = {kind for event, kind in kinds if event == "content_block_delta"}
    assert deltas == {
        "text_delta",
        "thinking_delta",
        "signature_delta",
        "citations_delta",
        "input_json_delta",
    }


def test_a_stream_keeps_only_text_of_plain_deltas() -> None:
    """Plain deltas leave their strings; others are kept, and all are in the reply."""
    fold = anthropic_messages.StreamFold()
    start = {"type": "content_block_start", "index": 0}
    fold.add({**start, "content_block": {"type": "text", "text": "a"}})
    small = fold.size
    delta = {"type": "content_block_delta", "index": 0}
    for _ in range(1000):
        fold.add({**delta, "delta": {"type": "text_delta", "text": "bc "}})
    assert fold.size - small < 100 * 1000
    other = {"type": "novel_delta", "text": "!", "scores": [1, {"a": 2}]}
    fold.add({**delta, "delta": other})
    (part,) = fold.reply().messages[0]["parts"]
    assert part == {
        "type": "text",
        "content": "a" + "bc " * 1000 + "!",
        OURS: {"scores": [1, {"a": 2}]},
    }


def test_broken_arguments_of_a_stream() -> None:
    """Arguments that are no JSON object stay the model's own text."""
    asked = {"type": "tool_call", "id": "t", "name": "f", "arguments": '{"a": tru'}
    reply = ModelReply([{"role": "assistant", "parts": [asked]}])  # type: ignore[list-item]
    fold = anthropic_messages.StreamFold()
    for event in anthropic_messages.write_chunks(reply):
        fold.add(event)
    assert fold.reply().tool_calls == [asked]
    (block,) = anthropic_messages.write_response(reply)["content"]
    assert block["input"] == {"INVALID_JSON": '{"a": tru'}


def test_compaction_and_unknown_blocks() -> None:
    """Blocks that we do not know are kept, also when they come as deltas."""
    fold = anthropic_messages.StreamFold()
    block = {"type": "compaction", "content": None}
    fold.add({"type": "content_block_start", "index": 0, "content_block": block})
    delta = {"type": "compaction_delta", "content": "so far", "encrypted_content": "x"}
    fold.add({"type": "content_block_delta", "index": 0, "delta": delta})
    (message,) = fold.reply().messages
    whole = {"type": "compaction", "content": "so far", "encrypted_content": "x"}
    assert message["parts"] == [{"type": "compaction", OURS: whole}]
    (wire,) = anthropic_messages.write_messages([message])
    assert wire["content"] == [whole]


def test_content_blocks() -> None:
    """Images, documents, files and cache_control are parts, and go back as they came."""
    cached = {"cache_control": {"type": "ephemeral"}}
    blocks: list[Any] = [
        {"type": "text", "text": "look", **cached},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
        },
        {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        {
            "type": "document",
            "source": {
                "type": "base64",
                "media_type": "application/pdf",
                "data": "BBBB",
            },
            "title": "T",
            "citations": {"enabled": True},
            **cached,
        },
        {"type": "document", "source": {"type": "file", "file_id": "file_2"}},
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "plain"},
        },
        {"type": "novelty", "value": [3, {"a": None}]},
    ]
    wire = {"role": "user", "content": blocks}
    message = anthropic_messages.read_message(wire)
    image, url = message["parts"][1:3]
    assert image == {
        "type": "blob",
        "modality": "image",
        "mime_type": "image/png",
        "content": "AAAA",
    }
    assert url == {"type": "uri", "modality": "image", "uri": "https://x.test/a.png"}
    assert anthropic_messages.write_messages([message]) == [wire]


def test_tool_results() -> None:
    """Results are a tool's message; those that follow each other go as one."""
    wires: list[Any] = [
        {"type": "tool_result", "tool_use_id": "t1", "content": "X"},
        {
            "type": "tool_result",
            "tool_use_id": "t2",
            "content": [{"type": "text", "text": "Y"}],
            "is_error": True,
        },
        {
            "type": "tool_result",
            "tool_use_id": "t3",
            "content": [
                {"type": "text", "text": "Z"},
                {"type": "image", "source": {"type": "url", "url": "https://x.test"}},
            ],
        },
    ]
    read = [
        anthropic_messages.read_message({"role": "user", "content": [wire]})
        for wire in wires
    ]
    assert {message["role"] for message in read} == {"tool"}
    assert read[0]["parts"] == [
        {"type": "tool_call_response", "id": "t1", "response": "X"}
    ]
    assert read[1]["parts"][0]["response"] == "Y"
    assert read[1]["parts"][0][OURS] == {"is_error": True}  # type: ignore[literal-required]
    image = {"type": "uri", "modality": "image", "uri": "https://x.test"}
    text = {"type": "text", "content": "Z"}
    assert read[2]["parts"][0]["response"] == [text, image]
    (written,) = anthropic_messages.write_messages(read)
    assert written["role"] == "user"
    assert [block["tool_use_id"] for block in written["content"]] == ["t1", "t2", "t3"]
    assert written["content"][2] == wires[2]
    mixed = [wires[0], {"type": "text", "text": "go on"}]
    assert anthropic_messages.read_message({"role": "user", "content": mixed})[
        "role"
    ] == ("user")


def test_request() -> None:
    """System prompt and parameters are read; what was sent can be written again."""
    body = {
        "model": "m",
        "max_tokens": 10,
        "system": [{"type": "text", "text": "be brief"}],
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.5,
        "top_k": 3,
        "stop_sequences": ["END"],
        "output_config": {"effort": "low", "format": {"type": "json_schema"}},
        "thread": {"type": "continue", "previous_message_id": "msg_0"},
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    }
    request = anthropic_messages.read_request(body)
    assert request.messages == [
        text_message("system", "be brief"),
        text_message("user", "hi"),
    ]
    assert request.tools == body["tools"]
    assert request.parameters == {
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_k": 3,
        "gen_ai.request.max_tokens": 10,
        "gen_ai.request.stop_sequences": ["END"],
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.request.previous_response.id": "msg_0",
        "gen_ai.output.type": "json",
    }
    written = anthropic_messages.write_request("m", request.messages, max_tokens=10)
    assert written == {
        "model": "m",
        "max_tokens": 10,
        "system": "be brief",
        "messages": body["messages"],
    }


def test_what_the_api_refuses_is_left_out() -> None:
    """Empty text, reasoning without a signature and empty messages are not sent."""
    messages: list[Message] = [
        text_message("user", "hi"),
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"}]},
        {
            "role": "assistant",
            "parts": [
                {"type": "text", "content": ""},
                {"type": "refusal", "content": "no"},
            ],
        },
    ]
    assert anthropic_messages.write_messages(messages) == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "no"},
    ]


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_call"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
        ("model_context_window_exceeded", "length"),
    ],
)
def test_stop_reasons(raw: str, read: str) -> None:
    """Stop reasons are in the convention's words, and written as they came."""
    reply = anthropic_messages.read_response({**BODY, "stop_reason": raw})
    assert reply.finish_reasons == [read]
    assert anthropic_messages.write_response(reply)["stop_reason"] == raw


def test_message_key_tells_values_apart() -> None:
    """Messages that differ only in the kind of a value have different keys."""

    def key(value: Any) -> Any:
        block = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": value}}
        return anthropic_messages.message_key({"role": "user", "content": [block]})

    assert len({key(1), key(True), key(1.0), key("1"), key([1])}) == 5
    assert key([1]) == key([1])
    assert anthropic_messages.message_key({"content": object()}) is None


# Tools ----------------------------------------------------------------------------


def lookup(company: str) -> str:
    """Look up a company."""
    return company


def test_export() -> None:
    """Tools have name, description and schema; the last may end the cached part."""
    tools = [Tool.from_function(lookup), Tool.from_function(lookup, name="again")]
    first, last = anthropic_messages.export(tools, cache_control=True)
    assert set(first) == {"name", "description", "input_schema"}
    assert last["cache_control"] == {"type": "ephemeral"}
    body = anthropic_messages.write_request("m", [text_message("user", "x")], tools)
    assert "cache_control" not in body["tools"][-1]
    AnthropicMessages().accept("POST", "/v1/messages", body)


@pytest.mark.parametrize("as_object", [True, False])
def test_parse(as_object: bool) -> None:
    """A tool_use block is read as an object and as a dict."""
    wire = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
    native: Any = ToolUseBlock.model_validate(wire) if as_object else wire
    assert anthropic_messages.parse(native) == ToolCall(
        "f", {"a": 1}, "t1", native=native
    )
    assert anthropic_messages.parse({**SEARCH}) is None
    broken = anthropic_messages.parse({**wire, "input": '{"a'})
    assert broken is not None
    assert broken.problem


def test_reply() -> None:
    """A result has text and images, and a mark only if it is an error."""
    call = ToolCall("f", {}, "t1")
    shown = ToolResult.of(["seen", Image(b"x")][1:])
    reply = anthropic_messages.reply(call, ToolResult.of("found"))
    assert reply == {
        "type": "tool_result",
        "tool_use_id": "t1",
        "content": [{"type": "text", "text": "found"}],
    }
    (image,) = anthropic_messages.reply(call, shown)["content"]
    assert image["source"] == {
        "type": "base64",
        "media_type": "image/png",
        "data": "eA==",
    }
    odd = anthropic_messages.reply(call, ToolResult.of(Image(b"x", "image/tiff")))
    assert odd["content"][0]["type"] == "text"
    failed = anthropic_messages.reply(call, ToolResult.error("no such thing"))
    assert failed["is_error"] is True
    assert "content" not in anthropic_messages.reply(call, ToolResult.of(""))


# Hostile input ----------------------------------------------------------------------

ODD: list[Any] = [None, 0, -1, 2.5, True, "", "x", [], {}, [None], {"a": None}, b"b"]
REQUEST: dict[str, Any] = {
    "model": "m",
    "system": [{"type": "text", "text": "s"}],
    "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": BODY["content"]},
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "content": [{"type": "text", "text": "Y"}],
                },
                {"type": "image", "source": {"type": "url", "url": "https://x.test"}},
            ],
        },
    ],
    "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    "stop_sequences": ["x"],
    "output_config": {"effort": "low", "format": {"type": "json_schema"}},
    "thread": {"type": "continue", "previous_message_id": "msg_0"},
}


def mutated(value: Any, chance: random.Random) -> Any:
    """Return *value* with something in it replaced by something odd."""
    if chance.random() < 0.1:
        return chance.choice(ODD)
    if isinstance(value, dict):
        return {key: mutated(child, chance) for key, child in value.items()}
    if isinstance(value, list):
        return [mutated(child, chance) for child in value]
    return value


@pytest.mark.parametrize("seed", range(200))
def test_hostile_input_never_raises(seed: int) -> None:
    """Requests, responses and streams with odd members anywhere are read, and written."""
    chance = random.Random(seed)
    body = mutated(BODY, chance)
    reply = anthropic_messages.read_response(body)
    anthropic_messages.read_usage(body)
    anthropic_messages.write_messages(reply.messages)
    json.dumps(anthropic_messages.write_response(reply), default=str)
    fold = anthropic_messages.StreamFold()
    whole = anthropic_messages.read_response(BODY)
    for event in anthropic_messages.write_chunks(whole):
        fold.add(mutated(event, chance))
    fold.add(body)
    assert fold.usage is None or fold.usage.input_tokens >= 0
    anthropic_messages.write_messages(fold.reply().messages)
    request = mutated(REQUEST, chance)
    if isinstance(request, dict):
        read = anthropic_messages.read_request(request)
        anthropic_messages.write_request("m", read.messages)
        for wire in anthropic_messages.request_messages(request):
            anthropic_messages.message_key(wire)
    for block in BODY["content"]:
        anthropic_messages.parse(mutated(block, chance))
    raw = json.dumps(body, default=str).encode()
    anthropic_messages.read_body(raw, stream=bool(seed % 2))
    anthropic_messages.body_usage(b"data: " + raw, stream=True)
    anthropic_messages.body_error(raw, stream=False)


# What the scripted API refuses ------------------------------------------------------

CALL = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "x"}
ASKED = [
    {"role": "user", "content": "x"},
    {"role": "assistant", "content": [CALL]},
]
SCHEMA = {"type": "object"}


def user(*blocks: Any) -> Any:
    return {"role": "user", "content": list(blocks)}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"model": None}, "model"),
        ({"messages": []}, "at least one message"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "unexpected role"),
        ({"messages": [{"role": "user", "content": ""}, *ASKED]}, "non-empty"),
        ({"messages": [user({"type": "text", "text": ""})]}, "non-empty"),
        ({"messages": [{**ASKED[0], "name": "jane"}]}, "Extra inputs"),
        ({"messages": ASKED}, "without `tool_result` blocks"),
        ({"messages": [*ASKED, user({"type": "text", "text": "x"})]}, "without"),
        ({"messages": [*ASKED, user({**RESULT, "tool_use_id": "t2"})]}, "unexpected"),
        ({"messages": [*ASKED, user({**RESULT, "name": "f"})]}, "Extra inputs"),
        (
            {"messages": [*ASKED, user({"type": "text", "text": "x"}, RESULT)]},
            "must come first",
        ),
        ({"messages": [user({**CALL, "input": "{}"})]}, "dictionary"),
        ({"tools": [{"name": "f.g", "input_schema": SCHEMA}]}, "invalid name"),
        ({"tools": [{"name": "f" * 129, "input_schema": SCHEMA}]}, "invalid name"),
        ({"tools": [{"name": "f"}]}, "object"),
        ({"tools": [{"name": "f", "input_schema": {**SCHEMA, "anyOf": []}}]}, "anyOf"),
        ({"system": 3}, "system"),
        ({"thread": {"type": "continue", "previous_message_id": "m"}}, "no thread"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals(changes: dict[str, Any], problem: str) -> None:
    """The scripted API takes what the real one takes, and refuses what it refuses."""
    good = {"model": "m", "max_tokens": 1, "messages": [*ASKED, user(RESULT)]}
    api = AnthropicMessages()
    assert api.accept("POST", "/v1/messages?beta=true", good) == good
    with pytest.raises(BadRequest, match=problem):
        api.accept("POST", "/v1/messages", {**good, **changes})
