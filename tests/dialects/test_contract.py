"""What every dialect promises: round trips, hostile input, nothing lost."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from hudtrace.dialects import DIALECTS
from hudtrace.formats import FORMATS, recognize
from hudtrace.messages import Message, ModelReply, Usage, text_message
from hudtrace.tools import Tool, ToolCall, ToolResult


def lookup(name: str, deep: bool = False) -> str:
    """Look something up.

    Args:
        name: What to look up.
        deep: Whether to look further.
    """
    return name


TOOL = Tool.from_function(lookup)
CONVERSATION: list[Message] = [
    text_message("system", "be brief"),
    text_message("user", "héllo\n✓"),
    {
        "role": "assistant",
        "parts": [
            {"type": "text", "content": "let me see"},
            {
                "type": "tool_call",
                "id": "c1",
                "name": "lookup",
                "arguments": {"name": "x"},
            },
            {
                "type": "tool_call",
                "id": "c2",
                "name": "lookup",
                "arguments": {"name": "y"},
            },
        ],
    },
    {
        "role": "tool",
        "parts": [{"type": "tool_call_response", "id": "c1", "response": "X"}],
    },
    {
        "role": "tool",
        "parts": [{"type": "tool_call_response", "id": "c2", "response": "Y"}],
    },
    text_message("assistant", "done"),
]
REPLY = ModelReply(
    [CONVERSATION[2]],
    ["tool_call"],
    id="r1",
    model="m",
    usage=Usage(10, 5, 3, 0, 2),
)
HOSTILE: list[Any] = [
    None,
    "",
    "text",
    0,
    3.5,
    [],
    {},
    [None],
    {"choices": None},
    {"choices": [None, 3, "x", {}]},
    {"choices": [{"message": {"content": 7, "tool_calls": [None, {}, 3]}}]},
    {"choices": [{"message": {"tool_calls": [{"function": {"name": None}}]}}]},
    {"choices": [{"delta": {"content": {"a": 1}, "tool_calls": "x"}}]},
    {"usage": "many", "choices": [{"index": "first", "delta": None}]},
    {"usage": {"prompt_tokens": -5, "completion_tokens": "3"}},
    {"id": 5, "model": ["m"], "choices": {}},
]

dialects = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)


def merged(messages: list[Message]) -> list[Message]:
    """Put messages of a tool, or of the model, that follow each other together."""
    together: list[Message] = []
    for message in messages:
        if together and together[-1]["role"] == message["role"] in (
            "tool",
            "assistant",
        ):
            parts = [*together[-1]["parts"], *message["parts"]]
            together[-1] = {"role": message["role"], "parts": parts}
        else:
            together.append(message)
    return together


def bare(messages: list[Message]) -> list[Any]:
    """Leave out what a wire says of its own items: their ids and status."""
    return [
        {
            **m,
            "parts": [{k: v for k, v in p.items() if k != "item"} for p in m["parts"]],
        }
        for m in messages
    ]


def over_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def first_call(dialect: Any, body: Any) -> Any:
    """Return the first tool call of a response, as the API has it."""
    if dialect.name == "openai_chat":
        return body["choices"][0]["message"]["tool_calls"][0]
    if dialect.name == "gemini":
        parts = body["candidates"][0]["content"]["parts"]
        return next(part for part in parts if "functionCall" in part)
    blocks = body.get("output") or body.get("content")
    return next(b for b in blocks if b["type"] in ("function_call", "tool_use"))


@dialects
def test_messages_survive_the_wire(dialect: Any) -> None:
    """Messages written and read again are what they were."""
    request = dialect.read_request(over_json(dialect.write_request("m", CONVERSATION)))
    assert merged(request.messages) == merged(CONVERSATION)
    assert request.model == "m"


@dialects
def test_a_reply_sent_back_is_the_message_it_was(dialect: Any) -> None:
    """A reply in the next request equals the reply, so that it is stored once."""
    (said,) = dialect.read_response(over_json(dialect.write_response(REPLY))).messages
    before = over_json(dialect.write_request("m", CONVERSATION[:2]))
    history = before[dialect.HISTORY]
    history += dialect.write_messages([said])
    calls = [ToolCall(p["name"], {}, p["id"], None, p) for p in said["parts"][1:]]
    replies = [dialect.reply(call, ToolResult.of(call.id)) for call in calls]
    history += dialect.write_results(replies)
    history += dialect.write_messages([text_message("user", "go on")])
    read = dialect.read_request(over_json(before)).messages
    assert read[:3] == [*CONVERSATION[:2], said]
    assert [m["role"] for m in merged(read)[3:]] == ["tool", "user"]
    answered = [part["id"] for part in merged(read)[3]["parts"]]
    assert answered == ["c1", "c2"]


@dialects
def test_a_reply_survives_the_wire(dialect: Any) -> None:
    """A reply written as a response and read again is what it was."""
    read = dialect.read_response(over_json(dialect.write_response(REPLY)))
    assert bare(read.messages) == REPLY.messages
    assert read.finish_reasons == REPLY.finish_reasons
    assert (read.id, read.model, read.usage) == ("r1", "m", REPLY.usage)


@dialects
@pytest.mark.parametrize("usage", [True, False])
def test_a_reply_survives_a_stream(dialect: Any, usage: bool) -> None:
    """A reply cut into chunks and folded again is what it was."""
    fold = dialect.StreamFold()
    deltas = []
    for chunk in dialect.write_chunks(REPLY, include_usage=usage, split=list):
        fold.add(over_json(chunk))
        deltas.append(dialect.delta_text(over_json(chunk)) or "")
    read = fold.reply()
    assert bare(read.messages) == REPLY.messages
    assert "".join(deltas) == "let me see"
    assert read.finish_reasons == ["tool_call"]
    assert read.usage == (REPLY.usage if usage else None)


@dialects
def test_a_stream_cut_anywhere_is_readable(dialect: Any) -> None:
    """However early a stream ends, what was read is a reply, as bytes too."""
    chunks = list(dialect.write_chunks(REPLY, include_usage=True, split=list))
    lines = b"".join(b"data: " + json.dumps(c).encode() + b"\n\n" for c in chunks)
    for count in range(len(chunks)):
        fold = dialect.StreamFold()
        for chunk in chunks[:count]:
            fold.add(chunk)
        fold.reply()
    for length in range(0, len(lines), 37):
        dialect.read_body(lines[:length], stream=True)
        dialect.body_usage(lines[:length], stream=True)
        dialect.body_error(lines[:length], stream=True)
        assert not dialect.body_complete(lines[: length // 2], stream=True)
    assert dialect.body_usage(lines, stream=True) == REPLY.usage
    whole = dialect.read_body(lines, stream=True)
    assert bare(whole.messages) == REPLY.messages
    assert dialect.body_complete(lines, stream=True)


@dialects
@pytest.mark.parametrize("wire", HOSTILE, ids=lambda w: str(w)[:30])
def test_hostile_input_never_raises(dialect: Any, wire: Any) -> None:
    """Reading takes whatever a server or a user sends."""
    dialect.read_response(wire)
    dialect.read_usage(wire)
    dialect.read_message(wire)
    dialect.message_key(wire)
    dialect.parse(wire)
    fold = dialect.StreamFold()
    fold.add(wire)
    dialect.delta_text(wire)
    fold.reply()
    if isinstance(wire, dict):
        dialect.read_request(wire)
        dialect.read_request({dialect.HISTORY: [wire], "tools": wire})
    dialect.read_body(json.dumps(wire).encode(), stream=False)
    dialect.read_body(b"data: " + json.dumps(wire).encode() + b"\n", stream=True)


@dialects
def test_equal_messages_have_equal_keys(dialect: Any) -> None:
    """A message's key is equal for a copy, and another for another message."""
    request = dialect.write_request("m", CONVERSATION)
    wires = dialect.request_messages(request)
    copies = dialect.request_messages(over_json(request))
    keys = [dialect.message_key(wire) for wire in wires]
    assert keys == [dialect.message_key(wire) for wire in copies]
    assert None not in keys
    assert len(set(keys)) == len(keys)


@dialects
def test_a_call_is_answered_in_its_form(dialect: Any) -> None:
    """Exported tools, a parsed call and its reply fit together."""
    (exported,) = dialect.export([TOOL])
    assert "lookup" in json.dumps(exported)
    body = dialect.write_response(REPLY)
    call = dialect.parse(first_call(dialect, over_json(body)))
    assert (call.name, call.arguments, call.id) == ("lookup", {"name": "x"}, "c1")
    answer = dialect.reply(call, ToolResult.of("found"))
    assert "found" in json.dumps(answer)
    assert "c1" in json.dumps(answer)


CORPUS: list[Any] = [
    {"id": "c", "type": "function", "function": {"name": "n", "arguments": "{}"}},
    {"name": "n", "arguments": {"a": 1}},
    {"name": "n", "arguments": None},
    {"method": "tools/call", "params": {"name": "n", "arguments": {}}},
    {"type": "tool_use", "id": "t", "name": "n", "input": {}},
    {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"},
    {"name": "n", "args": {"a": 1}},
    {"functionCall": {"name": "n", "args": {}}},
    {"type": "tool_call", "id": "c", "name": "n", "args": {}},
    {"function_call": {"name": "n", "args": {}, "id": "f"}},
    {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "n"},
    {"type": "server_tool_use", "id": "t", "name": "web_search", "input": {}},
    {"type": "custom_tool_call", "call_id": "c", "name": "n", "input": "x"},
    {"type": "invalid_tool_call", "id": "c", "name": "n", "args": "{", "error": None},
    {"type": "tool_call", "id": None, "name": "n", "args": {}, "extras": {}},
    {"tool_id": "c", "tool_name": "n", "tool_kwargs": {"name": "x", "args": {}}},
]


@pytest.mark.parametrize("call", CORPUS, ids=lambda c: str(c)[:40])
def test_no_call_is_readable_by_two_formats(call: Any) -> None:
    """Each call of the corpus is read by one format at the most."""
    readers = [form.name for form in FORMATS if form.parse(call) is not None]
    assert len(readers) <= 1


def test_by_name() -> None:
    """A name with arguments is a call too."""
    form, call = recognize("n", {"a": 1})
    assert (form.name, call) == ("mcp", ToolCall("n", {"a": 1}))
    assert recognize("n", None, {"b": 2})[1].arguments == {"b": 2}
    assert len(list(itertools.chain(FORMATS))) == len({f.name for f in FORMATS})
