"""OpenAI Responses: the details of its format, on the SDK's own objects."""

from __future__ import annotations

import json
from typing import Any

import pydantic
import pytest
from openai.types.responses import Response, ResponseStreamEvent

from hudtrace.dialects import openai_responses
from hudtrace.messages import Message, ModelReply, Usage, text_message
from hudtrace.testing.apis.openai_responses import OpenAIResponses
from hudtrace.testing.apis.refusals import BadRequest
from hudtrace.tools import Image, Tool, ToolCall, ToolResult

OUTPUT: list[dict[str, Any]] = [
    {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [
            {"type": "summary_text", "text": "first"},
            {"type": "summary_text", "text": "then"},
        ],
        "encrypted_content": "gAAA",
        "status": None,
    },
    {
        "id": "ws_1",
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": "search", "query": "ceo"},
    },
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [
            {
                "type": "output_text",
                "text": "text",
                "annotations": [
                    {
                        "type": "url_citation",
                        "url": "https://x.test",
                        "title": "X",
                        "start_index": 0,
                        "end_index": 4,
                    }
                ],
                "logprobs": [
                    {"token": "text", "logprob": -0.1, "bytes": [], "top_logprobs": []}
                ],
            },
            {"type": "refusal", "refusal": "not that"},
        ],
    },
    {
        "id": "fc_1",
        "type": "function_call",
        "call_id": "call_1",
        "name": "f",
        "arguments": '{"a": 1}',
        "status": "completed",
    },
    {
        "id": "fc_2",
        "type": "function_call",
        "call_id": "call_2",
        "name": "f",
        "arguments": '{"broken',
        "status": "completed",
    },
    {
        "id": "ctc_1",
        "type": "custom_tool_call",
        "call_id": "call_3",
        "name": "sql",
        "input": "select 1",
    },
    {
        "id": "mcp_1",
        "type": "mcp_call",
        "name": "roll",
        "arguments": "{}",
        "server_label": "dice",
        "output": "4",
    },
    {"id": "cc_1", "type": "computer_call", "call_id": "call_4", "action": {"x": 1}},
]
BODY: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-5-2026",
    "status": "completed",
    "service_tier": "default",
    "conversation": {"id": "conv_1"},
    "output": OUTPUT,
    "usage": {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 16, "cache_write_tokens": 2},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 29,
    },
}
PARTS: list[Any] = [
    {
        "type": "reasoning",
        "content": "first",
        "item": {"id": "rs_1", "encrypted_content": "gAAA"},
    },
    {"type": "reasoning", "content": "then", "item": {"id": "rs_1"}},
    {
        "type": "server_tool_call",
        "id": "ws_1",
        "name": "web_search",
        "server_tool_call": OUTPUT[1],
    },
    {
        "type": "text",
        "content": "text",
        "block": {"annotations": OUTPUT[2]["content"][0]["annotations"]},
        "item": {"id": "msg_1", "status": "completed"},
    },
    {
        "type": "refusal",
        "content": "not that",
        "item": {"id": "msg_1", "status": "completed"},
    },
    {
        "type": "tool_call",
        "id": "call_1",
        "name": "f",
        "arguments": {"a": 1},
        "item": {"id": "fc_1", "status": "completed"},
    },
    {
        "type": "tool_call",
        "id": "call_2",
        "name": "f",
        "arguments": '{"broken',
        "item": {"id": "fc_2", "status": "completed"},
    },
    {
        "type": "tool_call",
        "id": "call_3",
        "name": "sql",
        "arguments": "select 1",
        "item": {"type": "custom_tool_call", "id": "ctc_1"},
    },
    {
        "type": "server_tool_call",
        "id": "mcp_1",
        "name": "roll",
        "server_tool_call": OUTPUT[6],
    },
    {"type": OUTPUT[7]["type"], "openai_responses": OUTPUT[7]},
]


def without_nulls(value: Any) -> Any:
    """Leave out what the API does not want back: nulls and log probabilities."""
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: without_nulls(item)
        for key, item in value.items()
        if item is not None and key != "logprobs"
    }


@pytest.mark.parametrize("as_object", [True, False])
def test_read_response(as_object: bool) -> None:
    """Everything of a response is read alike from the SDK's object and from JSON."""
    response: Any = BODY
    if as_object:
        response = Response.construct(None, **BODY)
    reply = openai_responses.read_response(response)
    (message,) = reply.messages
    assert message == {"role": "assistant", "parts": PARTS}
    assert reply.finish_reasons == ["tool_call"]
    assert (reply.id, reply.model) == ("resp_1", "gpt-5-2026")
    assert reply.usage == Usage(20, 9, 16, 2, 4)
    assert reply.attributes == {
        "openai.response.service_tier": "default",
        "gen_ai.conversation.id": "conv_1",
    }
    assert reply.logprobs is not None
    assert reply.logprobs[0]["content"][0]["token"] == "text"


def test_an_answer_is_sent_back_as_it_came() -> None:
    """What was read and is written again has every item, id and signature."""
    (message,) = openai_responses.read_response(BODY).messages
    written = openai_responses.write_messages([message])
    expected = without_nulls(OUTPUT)
    assert written == expected


def test_an_answer_sent_back_is_the_same_message() -> None:
    """The SDK's items in the next request read as the message of the reply."""
    response = Response.construct(None, **BODY)
    sent = [item.model_dump(exclude_unset=True) for item in response.output]
    first: dict[str, Any] = {"input": "hi", "instructions": "be brief"}
    before = openai_responses.read_request(first).messages
    outputs = [
        {"type": "function_call_output", "call_id": f"call_{number}", "output": "x"}
        for number in (1, 2)
    ]
    hi = {"role": "user", "content": "hi"}
    body = {"instructions": "be brief", "input": [hi, *sent, *outputs]}
    messages = openai_responses.read_request(body).messages
    (said,) = openai_responses.read_response(BODY).messages
    assert messages[:3] == [*before, said]
    assert [m["role"] for m in messages[3:]] == ["tool", "tool"]


def test_calls_that_the_server_answers_itself() -> None:
    """Outputs among the output are messages of their own, in replies as in requests."""
    output = [
        {"type": "shell_call", "call_id": "c", "action": {}, "id": "s"},
        {"type": "shell_call_output", "call_id": "c", "output": [], "id": "o"},
        OUTPUT[2],
    ]
    reply = openai_responses.read_response({"status": "completed", "output": output})
    assert [m["role"] for m in reply.messages] == ["assistant", "tool", "assistant"]
    assert openai_responses.read_request({"input": output}).messages == reply.messages
    written = openai_responses.write_messages(reply.messages)
    assert written == without_nulls(output)


STATUSES = [
    ({"status": "completed"}, ["stop"]),
    ({"status": "failed", "error": {"code": "server_error"}}, ["error"]),
    (
        {
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
        },
        ["length"],
    ),
    (
        {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
        ["content_filter"],
    ),
    ({"status": "incomplete", "incomplete_details": None}, ["incomplete"]),
    ({"status": "cancelled"}, ["cancelled"]),
    ({"status": "queued"}, []),
    ({"status": "in_progress"}, []),
]


@pytest.mark.parametrize(("status", "reasons"), STATUSES)
def test_finish_reasons(status: dict[str, Any], reasons: list[str]) -> None:
    """A response's status is a finish reason, and none while it is pending."""
    reply = openai_responses.read_response({"output": [], **status})
    assert reply.finish_reasons == reasons


def test_content_blocks() -> None:
    """Images, audio, files and blocks we do not know are parts, and go back."""
    item = {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "look"},
            {"type": "input_image", "image_url": "https://x.test/a", "detail": "high"},
            {
                "type": "input_image",
                "image_url": "data:image/png;base64,AAAA",
                "detail": "auto",
            },
            {"type": "input_image", "file_id": "file-1", "detail": "auto"},
            {"type": "input_file", "file_id": "file-2"},
            {"type": "input_file", "file_data": "data:x/y;base64,CC", "filename": "f"},
            {"type": "input_audio", "input_audio": {"data": "BB", "format": "wav"}},
            {"type": "novelty", "value": 3},
        ],
    }
    message = openai_responses.read_message(item)
    assert message["role"] == "user"
    assert message["parts"] == [
        {"type": "text", "content": "look"},
        {
            "type": "uri",
            "modality": "image",
            "uri": "https://x.test/a",
            "block": {"detail": "high"},
        },
        {
            "type": "blob",
            "modality": "image",
            "mime_type": "image/png",
            "content": "AAAA",
        },
        {"type": "file", "modality": "image", "file_id": "file-1"},
        {"type": "file", "file_id": "file-2"},
        {
            "type": "blob",
            "modality": "document",
            "mime_type": "x/y",
            "content": "CC",
            "block": {"filename": "f"},
        },
        {
            "type": "blob",
            "modality": "audio",
            "mime_type": "audio/wav",
            "content": "BB",
        },
        {"type": "novelty", "openai_responses": {"type": "novelty", "value": 3}},
    ]
    (written,) = openai_responses.write_messages([message])
    assert written == {"type": "message", **item}


def test_items_besides_messages() -> None:
    """References, control items and outputs of other tools keep their form."""
    items: list[Any] = [
        {"type": "additional_tools", "role": "developer", "tools": []},
        {"role": "user", "content": "hi"},
        {"type": "item_reference", "id": "msg_9"},
        {"type": "computer_call_output", "call_id": "c", "output": {"type": "x"}},
        {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
        {"type": "compaction_trigger"},
    ]
    messages = openai_responses.read_request({"input": items}).messages
    roles = [message["role"] for message in messages]
    assert roles == ["system", "user", "assistant", "tool", "tool", "system"]
    assert openai_responses.write_messages(messages) == items


def test_reasoning_of_open_models() -> None:
    """Reasoning given as content is told apart from its summary."""
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "short"}],
        "content": [{"type": "reasoning_text", "text": "long"}],
    }
    message = openai_responses.read_message([item])
    assert [part["content"] for part in message["parts"]] == ["short", "long"]
    assert openai_responses.write_messages([message]) == [item]


def test_reasoning_of_others_stays_here() -> None:
    """Reasoning that came from elsewhere is no item of a request."""
    message: Message = {
        "role": "assistant",
        "parts": [
            {"type": "reasoning", "content": "hm", "signature": "sig"},  # type: ignore[typeddict-unknown-key]
            {"type": "text", "content": "hi"},
        ],
    }
    written = openai_responses.write_messages([message])
    assert written == [{"role": "assistant", "content": "hi"}]


def test_request_parameters() -> None:
    """Parameters are read under the names of the convention."""
    request = openai_responses.read_request(
        {
            "model": "m",
            "input": [{"role": "developer", "content": "d"}],
            "temperature": 0.5,
            "max_output_tokens": 100,
            "reasoning": {"effort": "low"},
            "previous_response_id": "resp_0",
            "conversation": {"id": "conv_1"},
            "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}},
        }
    )
    assert request.messages[0]["role"] == "system"
    assert request.parameters == {
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.request.previous_response.id": "resp_0",
        "gen_ai.conversation.id": "conv_1",
        "gen_ai.output.type": "json",
    }


# Streams --------------------------------------------------------------------------

REPLY = openai_responses.read_response(
    {**BODY, "output": [OUTPUT[0], *OUTPUT[2:6]], "conversation": None}
)
EVENTS = list(openai_responses.write_chunks(REPLY, split=list))
EVENT: Any = pydantic.TypeAdapter(ResponseStreamEvent)


def test_events_are_those_of_the_api() -> None:
    """Every event has the fields that the SDK's types require, in order."""
    for number, event in enumerate(EVENTS):
        assert EVENT.validate_python(event).sequence_number == number
    Response.model_validate(openai_responses.write_response(REPLY))
    kinds = {event["type"].removeprefix("response.") for event in EVENTS}
    assert {
        "reasoning_summary_text.delta",
        "refusal.delta",
        "output_text.annotation.added",
        "function_call_arguments.delta",
        "custom_tool_call_input.done",
        "completed",
    } <= kinds


@pytest.mark.parametrize("as_objects", [True, False])
@pytest.mark.parametrize("ending", ["final", "done", "deltas", "empty"])
def test_a_stream_is_folded(as_objects: bool, ending: str) -> None:
    """A stream folds to the reply, from its last event or what came before it."""
    events = EVENTS
    if ending in ("done", "deltas"):
        events = EVENTS[:-1]
    if ending == "deltas":
        events = [e for e in events if not e["type"].endswith(".done")]
    if ending == "empty":
        last = {**EVENTS[-1], "response": {**EVENTS[-1]["response"], "output": None}}
        events = [*EVENTS[:-1], last]
    if as_objects and ending != "empty":
        events = [EVENT.validate_python(event) for event in events]
    fold = openai_responses.StreamFold()
    for event in events:
        fold.add(event)
    reply = fold.reply()
    assert comparable(reply.messages) == comparable(REPLY.messages)
    whole = ending in ("final", "empty")
    assert fold.finished is whole
    assert reply.finish_reasons == (["tool_call"] if whole else [None])
    assert reply.usage == (REPLY.usage if whole else None)
    assert (reply.id, reply.model) == ("resp_1", "gpt-5-2026")


def comparable(messages: list[Message]) -> Any:
    """Leave out the status, which is `in_progress` until an item is done."""
    parts: Any = [part for message in messages for part in message["parts"]]
    return [
        {**part, "item": {**part["item"], "status": None}}
        if "status" in part.get("item", ())
        else part
        for part in parts
    ]


def test_a_stream_keeps_only_text_of_deltas() -> None:
    """Deltas leave their strings."""
    fold = openai_responses.StreamFold()
    delta = {"type": "response.output_text.delta", "delta": "ab ", "content_index": 0}
    for _ in range(1000):
        fold.add({**delta, "output_index": 0, "item_id": "m", "logprobs": []})
    assert fold.size < 100 * 1000
    (message,) = fold.reply().messages
    assert message["parts"] == [{"type": "text", "content": "ab " * 1000}]


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(
        f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events
    )


def test_bodies() -> None:
    """Usage, end and content are found in the bytes, cut off anywhere."""
    body = sse(*EVENTS)
    read = openai_responses.read_body(body, stream=True)
    assert (read.messages, read.usage) == (REPLY.messages, REPLY.usage)
    assert openai_responses.body_usage(body, stream=True) == REPLY.usage
    assert openai_responses.body_complete(body, stream=True)
    assert openai_responses.body_error(body, stream=True) is None
    for length in range(0, len(body) - 4, 61):
        cut = body[:length]
        openai_responses.read_body(cut, stream=True)
        assert openai_responses.body_usage(cut, stream=True) is None
        assert not openai_responses.body_complete(cut, stream=True)
        assert openai_responses.body_error(cut, stream=True) is None


ERRORS = [
    ({"type": "error", "code": "x", "message": "broke", "param": None}, "broke"),
    ({"type": "error", "error": {"message": "broke"}}, "broke"),
    (
        {
            "type": "response.failed",
            "response": {"status": "failed", "error": {"message": "broke"}},
        },
        "broke",
    ),
    (
        {"type": "response.failed", "response": {"status": "failed"}},
        "the response failed",
    ),
]


@pytest.mark.parametrize(("event", "message"), ERRORS)
def test_errors_in_a_stream(event: dict[str, Any], message: str) -> None:
    """An error that ends a stream is found, and the reply ends with it."""
    body = sse(*EVENTS[:6], event)
    assert openai_responses.body_error(body, stream=True) == message
    assert openai_responses.body_complete(body, stream=True)
    reply = openai_responses.read_body(body, stream=True)
    assert reply.finish_reasons == ["error"]


# Tools ----------------------------------------------------------------------------


def search(query: str, limit: int = 3) -> None:
    """Search."""


def mapping(values: dict[str, int]) -> None:
    """Map."""


TOOLS = [Tool.from_function(search), Tool.from_function(mapping)]
API = OpenAIResponses()


def accepted(**request: Any) -> Any:
    return API.accept("POST", "/v1/responses", {"model": "m", "input": "x", **request})


def test_tools_are_what_the_api_takes() -> None:
    """Tools are flat and always say whether they are strict."""
    strict, loose = openai_responses.export(TOOLS, strict=True)
    assert (strict["strict"], loose["strict"]) == (True, False)
    assert [t["strict"] for t in openai_responses.export(TOOLS)] == [False, False]
    accepted(tools=[strict, loose])
    accepted(tools=openai_responses.export(TOOLS))
    refused: list[dict[str, Any]] = [
        {"strict": None},
        {"name": "not a name"},
        {"function": {}},
        {"parameters": {"type": "string"}},
        {"parameters": TOOLS[0].input_schema},
    ]
    for changes in refused:
        with pytest.raises(BadRequest):
            accepted(tools=[{**strict, **changes}])


def test_replies() -> None:
    """A call is answered by its call id, errors are marked, images are shown."""
    call = openai_responses.parse(OUTPUT[3])
    assert call is not None
    assert (call.name, call.arguments, call.id) == ("f", {"a": 1}, "call_1")
    assert openai_responses.reply(call, ToolResult.of("found")) == {
        "type": "function_call_output",
        "call_id": "call_1",
        "output": "found",
    }
    failed = openai_responses.reply(call, ToolResult.error("no such thing"))
    assert failed["output"] == "Error: no such thing"
    shown = openai_responses.reply(
        call, ToolResult.of([{"type": "text", "text": "see"}, Image(b"png")])
    )
    assert shown["output"] == [
        {"type": "input_text", "text": "see"},
        {
            "type": "input_image",
            "image_url": "data:image/png;base64,cG5n",
            "detail": "auto",
        },
    ]
    accepted(input=[{"role": "user", "content": "x"}, OUTPUT[3], shown])
    message = openai_responses.read_message(shown)
    assert openai_responses.write_messages([message]) == [shown]


def test_custom_tool_calls() -> None:
    """A custom tool call is answered in its own kind."""
    call = openai_responses.parse({**OUTPUT[5], "input": '{"q": "x"}'})
    assert call is not None
    assert call.arguments == {"q": "x"}
    answer = openai_responses.reply(call, ToolResult.of("1"))
    assert answer["type"] == "custom_tool_call_output"
    accepted(input=[OUTPUT[5], answer])
    unread = openai_responses.parse(OUTPUT[5])
    assert unread is not None
    assert unread.problem is not None


@pytest.mark.parametrize("index", [0, 1, 2, 6, 7])
def test_other_items_are_no_tool_calls(index: int) -> None:
    """Only function calls and custom tool calls are the client's tools."""
    assert openai_responses.parse(OUTPUT[index]) is None


# What the scripted API refuses ----------------------------------------------------

CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
ANSWER = {"type": "function_call_output", "call_id": "c", "output": "x"}
REFUSED: list[Any] = [
    [],
    "",
    None,
    [CALL],
    [ANSWER],
    [CALL, {**ANSWER, "call_id": "other"}],
    [CALL, {**ANSWER, "output": None}],
    [CALL, {**ANSWER, "is_error": True}],
    [{**CALL, "namespace": None}, ANSWER],
    [{**CALL, "parsed_arguments": {}}, ANSWER],
    [{**CALL, "arguments": {}}, ANSWER],
    [{**CALL, "call_id": None}, ANSWER],
    [{"role": "tool", "content": "x"}],
    [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
    [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}],
    [{"type": "tool_result", "tool_use_id": "c"}],
    ["x"],
]


@pytest.mark.parametrize("given", REFUSED, ids=lambda g: str(g)[:60])
def test_the_scripted_api_is_strict(given: Any) -> None:
    """Input that the real API refuses is refused."""
    with pytest.raises(BadRequest):
        accepted(input=given)


def test_the_scripted_api_goes_on_from_a_response() -> None:
    """A previous response's call may be answered; one that is not known may not."""
    api = OpenAIResponses()
    said: Message = {
        "role": "assistant",
        "parts": [{"type": "tool_call", "id": "c", "name": "f", "arguments": {}}],
    }
    request = api.accept("POST", "/v1/responses", {"model": "m", "input": "x"})
    api.body(ModelReply([said], ["tool_call"], id="resp_1", model="m"), request)
    more = {"model": "m", "input": [ANSWER], "previous_response_id": "resp_1"}
    api.accept("POST", "/v1/responses", more)
    for wrong in ({**more, "previous_response_id": "resp_2"}, {**more, "input": "x"}):
        with pytest.raises(BadRequest):
            api.accept("POST", "/v1/responses", wrong)


def test_messages_of_any_origin_are_accepted() -> None:
    """A conversation in the internal form is a request that the API takes."""
    messages = [
        text_message("system", "be brief"),
        text_message("user", "hi"),
        *openai_responses.read_response({"output": [CALL]}).messages,
        openai_responses.read_message(ANSWER),
        text_message("assistant", "done"),
    ]
    body = openai_responses.write_request("m", messages, TOOLS)
    assert API.accept("POST", "/v1/responses", body) == body
    assert openai_responses.read_request(body).messages == messages


def test_a_tool_call_by_hand() -> None:
    """A call without a native object is answered as a function call."""
    answer = openai_responses.reply(ToolCall("f", {}, "c"), ToolResult.of("x"))
    assert answer == ANSWER
