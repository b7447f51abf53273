"""OpenAI Chat Completions: the details of its format, on the SDK's own objects."""

from __future__ import annotations

import enum
import json
from typing import Any, Literal

import pydantic
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from hudtrace.dialects import openai_chat
from hudtrace.dialects.strict import strict_schema
from hudtrace.testing.apis.openai_chat import OpenAIChat
from hudtrace.testing.apis.refusals import BadRequest
from hudtrace.tools import Tool, ToolCall, ToolResult

BODY: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024",
    "system_fingerprint": "fp_1",
    "service_tier": "default",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "logprobs": {
                "content": [
                    {"token": "a", "logprob": -0.1, "bytes": None, "top_logprobs": []}
                ],
                "refusal": None,
            },
            "message": {
                "role": "assistant",
                "content": "text",
                "reasoning_content": "because",
                "refusal": None,
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"a": 1}'},
                    },
                    {
                        "id": "c2",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"broken'},
                    },
                ],
            },
        }
    ],
    "usage": {
        "prompt_tokens": 20,
        "completion_tokens": 9,
        "total_tokens": 29,
        "prompt_tokens_details": {"cached_tokens": 16},
        "completion_tokens_details": {"reasoning_tokens": 4},
    },
}


@pytest.mark.parametrize("as_object", [True, False])
def test_read_response(as_object: bool) -> None:
    """Everything of a response is read alike from the SDK's object and from JSON."""
    response: Any = ChatCompletion.model_validate(BODY) if as_object else BODY
    reply = openai_chat.read_response(response)
    (message,) = reply.messages
    assert message["parts"] == [
        {"type": "reasoning", "content": "because"},
        {"type": "text", "content": "text"},
        {"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}},
        {"type": "tool_call", "id": "c2", "name": "f", "arguments": '{"broken'},
    ]
    assert reply.finish_reasons == ["tool_call"]
    assert reply.attributes == {
        "openai.response.system_fingerprint": "fp_1",
        "openai.response.service_tier": "default",
    }
    usage = reply.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (20, 9)
    assert (usage.cached_tokens, usage.reasoning_tokens) == (16, 4)
    assert reply.logprobs is not None
    assert reply.logprobs[0]["content"][0]["token"] == "a"


def chunk(**choice: Any) -> dict[str, Any]:
    """Make a chunk of a stream."""
    return {
        "id": "x",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {}, "finish_reason": None, **choice}],
    }


def test_a_stream_keeps_only_text_of_plain_deltas() -> None:
    """Plain deltas leave their strings; others are kept, and all are in the reply."""
    fold = openai_chat.StreamFold()
    fold.add(ChatCompletionChunk.model_validate(chunk(delta={"role": "assistant"})))
    small = fold.size
    for _ in range(1000):
        fold.add(ChatCompletionChunk.model_validate(chunk(delta={"content": "ab "})))
    assert fold.size - small < 100 * 1000
    fold.add(chunk(delta={"reasoning_content": "hm"}))
    fold.add(chunk(index=1, delta={"content": "other"}, finish_reason="length"))
    fold.add(chunk(delta={"refusal": "no"}, finish_reason="stop"))
    reply = fold.reply()
    first, second = reply.messages
    assert [part["type"] for part in first["parts"]] == ["reasoning", "text", "refusal"]
    assert first["parts"][1]["content"] == "ab " * 1000
    assert second["parts"][0]["content"] == "other"
    assert reply.finish_reasons == ["stop", "length"]


def test_content_blocks() -> None:
    """Images, audio, files and blocks we do not know are parts of a message."""
    message = openai_chat.read_message(
        {
            "role": "user",
            "name": "jane",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
                {
                    "type": "image_url",
                    "image_url": {"url": "data:image/png;base64,AAAA"},
                },
                {
                    "type": "input_audio",
                    "input_audio": {"data": "BBBB", "format": "wav"},
                },
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "novelty", "value": 3},
            ],
        }
    )
    assert message.get("name") == "jane"
    assert message["parts"] == [
        {"type": "text", "content": "look"},
        {"type": "uri", "modality": "image", "uri": "https://x.test/a.png"},
        {
            "type": "blob",
            "modality": "image",
            "mime_type": "image/png",
            "content": "AAAA",
        },
        {
            "type": "blob",
            "modality": "audio",
            "mime_type": "audio/wav",
            "content": "BBBB",
        },
        {"type": "file", "file_id": "file-1"},
        {"type": "novelty", "openai_chat": {"type": "novelty", "value": 3}},
    ]


def test_request_parameters() -> None:
    """Parameters are read under the names of the convention."""
    request = openai_chat.read_request(
        {
            "model": "m",
            "messages": [{"role": "developer", "content": "d"}],
            "temperature": 0.5,
            "max_completion_tokens": 100,
            "stop": "END",
            "n": 2,
            "seed": 3,
            "reasoning_effort": "low",
            "response_format": {"type": "json_object"},
        }
    )
    assert request.messages[0]["role"] == "system"
    assert request.parameters == {
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.stop_sequences": ["END"],
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.seed": 3,
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.output.type": "json",
    }


def test_errors_are_marked_in_the_reply() -> None:
    """The format has no mark for errors, so the text begins with one."""
    call = ToolCall("f", {}, "c1")
    reply = openai_chat.reply(call, ToolResult.error("no such thing"))
    assert reply["content"] == "Error: no such thing"


# Strict mode ----------------------------------------------------------------------


class Kind(enum.Enum):
    A = "a"


class Node(pydantic.BaseModel):
    """A part."""

    kind: Kind = Kind.A
    size: int | None = None
    tags: list[str] = pydantic.Field(default=[], description="Tags.")


def search(
    node: Node, mode: Literal["x", "y"] = "x", limit: int = 3, pair: Node | None = None
) -> None:
    """Search."""


def mapping(values: dict[str, int]) -> None:
    """Map."""


def test_strict_schemas_are_what_the_api_takes() -> None:
    """Strict tools pass the API's own rules; a tool with an open map stays loose."""
    tools = [Tool.from_function(search), Tool.from_function(mapping)]
    strict, loose = openai_chat.export(tools, strict=True)
    assert strict["function"]["strict"] is True
    assert "strict" not in loose["function"]
    request = {
        "model": "m",
        "messages": [{"role": "user", "content": "x"}],
        "tools": [strict, loose],
    }
    OpenAIChat().accept("POST", "/chat/completions", request)
    schema = strict["function"]["parameters"]
    assert "$ref" not in json.dumps(schema)
    assert schema["required"] == ["node", "mode", "limit", "pair"]
    assert {"type": "null"} in schema["properties"]["limit"]["anyOf"]
    loosened = openai_chat.export(tools)[0]
    bad = {**request, "tools": [loosened]}
    bad["tools"][0]["function"]["strict"] = True  # type: ignore[index]
    with pytest.raises(BadRequest):
        OpenAIChat().accept("POST", "/chat/completions", bad)


def test_a_cycle_cannot_be_strict() -> None:
    """A schema that refers to itself is left as it is."""
    cycle = {
        "type": "object",
        "properties": {"child": {"$ref": "#/$defs/N"}},
        "$defs": {"N": {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}}},
    }
    assert strict_schema(cycle) is None
