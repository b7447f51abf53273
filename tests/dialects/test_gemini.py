"""Gemini: the details of its format, on the objects of google-genai and on JSON."""

from __future__ import annotations

import json
import random
import sys
from typing import Annotated, Any, Literal

import pydantic
import pytest
from google.genai import types

from hudtrace.dialects import gemini
from hudtrace.dialects.gemini.schemas import gemini_schema
from hudtrace.messages import Message, ModelReply, Usage
from hudtrace.testing.apis.gemini import Gemini
from hudtrace.testing.apis.refusals import BadRequest
from hudtrace.tools import Image, Tool, ToolCall, ToolResult

GENERATE = "/v1beta/models/m:generateContent"
PARTS: list[dict[str, Any]] = [
    {"text": "because", "thought": True},
    {"text": "text"},
    {"text": "", "thoughtSignature": "/+8="},
    {
        "functionCall": {"id": "c1", "name": "f", "args": {"a_b": 1}},
        "thoughtSignature": "c2ln",
    },
    {"functionCall": {"name": "f", "args": {}, "willContinue": True}},
    {"inlineData": {"mimeType": "image/png", "data": "//77", "displayName": "x"}},
    {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/x.mp4"}},
    {"executableCode": {"language": "PYTHON", "code": "1+1"}},
    {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
    {"toolCall": {"id": "t1", "toolType": "GOOGLE_SEARCH_WEB", "args": {"q": "x"}}},
    {"toolResponse": {"id": "t1", "toolType": "GOOGLE_SEARCH_WEB", "response": {}}},
    {"text": "x", "novelMember": {"deep": [1]}},
    {"novelty": {"value": 3}},
]
BODY: dict[str, Any] = {
    "candidates": [
        {
            "content": {"role": "model", "parts": PARTS},
            "finishReason": "STOP",
            "index": 0,
            "logprobsResult": {"chosenCandidates": [{"token": "a"}]},
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 20,
        "toolUsePromptTokenCount": 2,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 4,
        "cachedContentTokenCount": 16,
        "totalTokenCount": 31,
    },
    "modelVersion": "gemini-9-flash-001",
    "responseId": "r1",
}


# Reading --------------------------------------------------------------------------


def test_read_response() -> None:
    """Everything of a response is read, and its parts are written as they came."""
    reply = gemini.read_response(BODY)
    (message,) = reply.messages
    assert message["role"] == "assistant"
    assert message["parts"][:7] == [
        {"type": "reasoning", "content": "because"},
        {"type": "text", "content": "text"},
        {"type": "text", "content": "", "thoughtSignature": "/+8="},
        {
            "type": "tool_call",
            "id": "c1",
            "name": "f",
            "arguments": {"a_b": 1},
            "thoughtSignature": "c2ln",
        },
        {
            "type": "tool_call",
            "id": None,
            "name": "f",
            "arguments": {},
            "functionCall": {"willContinue": True},
        },
        {
            "type": "blob",
            "modality": "image",
            "mime_type": "image/png",
            "content": "//77",
            "inlineData": {"displayName": "x"},
        },
        {
            "type": "uri",
            "modality": "video",
            "mime_type": "video/mp4",
            "uri": "gs://b/x.mp4",
        },
    ]
    kinds = [part["type"] for part in message["parts"][7:]]
    assert kinds == [
        *("server_tool_call", "server_tool_call_response") * 2,
        *("text", "unknown"),
    ]
    assert reply.finish_reasons == ["tool_call"]
    assert (reply.id, reply.model) == ("r1", "gemini-9-flash-001")
    assert reply.usage == Usage(22, 9, 16, 0, 4)
    assert reply.logprobs == [{"chosenCandidates": [{"token": "a"}]}]
    assert gemini.write_messages([message]) == [{"role": "model", "parts": PARTS}]


def test_objects_are_read_like_json() -> None:
    """The SDK's objects, signatures in another alphabet included, read alike."""
    body = json.loads(json.dumps(BODY))
    novel = ("novel", "willContinue", "toolCall", "toolResponse")  # for old SDKs
    known = [part for part in PARTS if not any(n in str(part) for n in novel)]
    body["candidates"][0]["content"]["parts"] = known
    response = types.GenerateContentResponse.model_validate(body)
    assert gemini.read_response(response) == gemini.read_response(body)
    content = response.candidates[0].content if response.candidates else None
    assert content is not None
    assert content.parts is not None
    assert gemini.read_message(content) == gemini.read_message(content.model_dump())
    sent: Any = {"contents": [content]}
    assert gemini.request_messages(sent) == [
        body["candidates"][0]["content"]
        | {
            "parts": content.model_dump(mode="json", by_alias=True, exclude_none=True)[
                "parts"
            ]
        }
    ]


@pytest.mark.parametrize(
    ("reason", "read"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("OTHER", "OTHER"),
        (types.FinishReason.RECITATION, "content_filter"),
        ("FINISH_REASON_UNSPECIFIED", None),
        (None, None),
    ],
)
def test_finish_reasons(reason: Any, read: str | None) -> None:
    """Finish reasons are read in the convention's words, others as they are."""
    assert gemini.finish_reason(reason) == read


def test_a_refused_prompt() -> None:
    """A prompt that was blocked is a reply that says why."""
    body = {"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "m"}
    reply = gemini.read_response(body)
    assert reply.finish_reasons == ["content_filter"]
    assert reply.messages[0]["parts"] == [{"type": "refusal", "content": "SAFETY"}]
    fold = gemini.StreamFold()
    fold.add(body)
    assert fold.finished
    assert fold.reply() == reply


def test_request_parameters() -> None:
    """Parameters are read under the names of the convention."""
    config = {
        "temperature": 0.5,
        "topP": 0.9,
        "maxOutputTokens": 100,
        "stopSequences": ["END"],
        "candidateCount": 2,
        "seed": 3,
        "responseMimeType": "application/json",
        "thinkingConfig": {"thinkingLevel": "LOW"},
    }
    wanted = {
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.stop_sequences": ["END"],
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.seed": 3,
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.output.type": "json",
    }
    assert gemini.request_parameters({"generationConfig": config}) == wanted
    del config["thinkingConfig"], wanted["gen_ai.request.reasoning.level"]
    objects = types.GenerateContentConfig.model_validate(config)
    assert gemini.request_parameters({"config": objects}) == wanted


def test_request_in_the_libraries_words() -> None:
    """Contents as text, parts, or objects, and a config, are a request too."""
    part = types.Part.from_text(text="b")
    request = gemini.read_request(
        {
            "model": "m",
            "contents": ["a", part, types.Content(role="model", parts=[part]), "c"],
            "config": types.GenerateContentConfig(
                system_instruction="be brief",
                tools=[types.Tool(function_declarations=[])],
            ),
        }
    )
    said = [(m["role"], [p["content"] for p in m["parts"]]) for m in request.messages]
    assert said == [
        ("system", ["be brief"]),
        ("user", ["a", "b"]),
        ("assistant", ["b"]),
        ("user", ["c"]),
    ]
    assert request.tools == [{"functionDeclarations": []}]
    alone = gemini.read_request({"contents": "hi"}).messages
    assert alone == [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
    legacy = {"contents": [{"role": "user", "parts": "hi"}]}
    assert gemini.read_request(legacy).messages == alone


# Streams --------------------------------------------------------------------------


def chunk(*parts: Any, **candidate: Any) -> dict[str, Any]:
    """Make a chunk of a stream."""
    content = {"role": "model", "parts": list(parts)}
    return {"candidates": [{"content": content, **candidate}], "responseId": "r"}


CHUNKS = [
    chunk({"text": "hm", "thought": True}),
    chunk({"text": " hm", "thought": True}),
    chunk({"text": "one"}),
    chunk({"text": " two"}),
    chunk({"text": " three"}),
    chunk({"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"}),
    chunk({"text": "", "thoughtSignature": "eHg="}, finishReason="STOP"),
]


def test_stream() -> None:
    """Cut texts are made whole, and signatures stay where they were."""
    fold = gemini.StreamFold()
    for each in CHUNKS:
        fold.add(each)
    assert fold.finished
    reply = fold.reply()
    assert reply.messages[0]["parts"] == [
        {"type": "reasoning", "content": "hm hm"},
        {"type": "text", "content": "one two three"},
        {
            "type": "tool_call",
            "id": None,
            "name": "f",
            "arguments": {},
            "thoughtSignature": "c2ln",
        },
        {"type": "text", "content": "", "thoughtSignature": "eHg="},
    ]
    assert reply.finish_reasons == ["tool_call"]


def test_a_stream_keeps_only_text_of_plain_chunks() -> None:
    """A chunk that only adds text leaves its string, and its usage is counted."""
    fold = gemini.StreamFold()
    fold.add(chunk({"text": "a"}))
    small = fold.size
    for number in range(1000):
        usage = {"promptTokenCount": 5, "candidatesTokenCount": number}
        fold.add({**chunk({"text": "ab "}), "usageMetadata": usage})
    assert fold.size - small < 100 * 1000
    fold.add(chunk({"text": "other"}, index=1, finishReason="MAX_TOKENS"))
    reply = fold.reply()
    assert reply.messages[0]["parts"] == [
        {"type": "text", "content": "a" + "ab " * 1000}
    ]
    assert reply.messages[1]["parts"] == [{"type": "text", "content": "other"}]
    assert reply.finish_reasons == [None, "length"]
    assert reply.usage == Usage(5, 999)


def test_history_of_a_stream_is_the_reply() -> None:
    """A content for each chunk, sent back as libraries do, reads as the reply did."""
    fold = gemini.StreamFold()
    for each in CHUNKS:
        fold.add(each)
    contents = [each["candidates"][0]["content"] for each in CHUNKS]
    question = {"role": "user", "parts": [{"text": "?"}]}
    result = {"functionResponse": {"name": "f", "response": {"result": "x"}}}
    answer = {"role": "user", "parts": [result]}
    earlier = gemini.request_messages({"contents": [question]})
    later = gemini.request_messages({"contents": [question, *contents, answer]})
    read = [gemini.read_message(wire) for wire in later]
    assert later[:1] == earlier
    assert read[1] == fold.reply().messages[0]
    assert read[2] == {
        "role": "tool",
        "parts": [
            {"type": "tool_call_response", "id": None, "name": "f", "response": "x"}
        ],
    }
    assert gemini.message_key(later[1]) == gemini.message_key(
        json.loads(json.dumps(later[1]))
    )


@pytest.mark.parametrize("sse", [True, False])
def test_bodies(sse: bool) -> None:
    """Events and the items of an array are read alike, also when they are cut off."""
    answer = ModelReply(
        [{"role": "assistant", "parts": [{"type": "text", "content": "one two"}]}],
        ["stop"],
        usage=Usage(7, 3),
    )
    request = {"stream": "sse" if sse else "array"}
    events = list(Gemini().events(answer, request))
    body = b"".join(events)
    assert gemini.read_body(body, stream=True).messages == answer.messages
    assert gemini.body_usage(body, stream=True) == Usage(7, 3)
    assert gemini.body_complete(body, stream=True)
    cut = events[0] + events[1][:40]
    assert gemini.read_body(cut, stream=True).messages[0]["parts"] == [
        {"type": "text", "content": "one"}
    ]
    assert gemini.body_usage(cut, stream=True) == Usage(7, 0)
    assert not gemini.body_complete(cut, stream=True)
    failure = json.dumps({"error": {"code": 500, "message": "broken"}}).encode()
    wrapped = b"data: " + failure if sse else b"[" + failure + b"]"
    assert gemini.body_error(wrapped, stream=True) == "broken"
    assert gemini.body_error(failure, stream=False) == "broken"
    assert gemini.body_error(body, stream=True) is None


# Hostile input --------------------------------------------------------------------

ODD: list[Any] = [None, 0, -1, 2.5, True, "", "x", [], {}, [None], {"a": None}, b"b"]


def mutated(value: Any, random_: random.Random) -> Any:
    """Return *value* with something in it replaced by something odd."""
    if random_.random() < 0.12:
        return random_.choice(ODD)
    if isinstance(value, dict):
        return {key: mutated(child, random_) for key, child in value.items()}
    if isinstance(value, list):
        return [mutated(child, random_) for child in value]
    return value


@pytest.mark.parametrize("seed", range(200))
def test_hostile_input_never_raises(seed: int) -> None:
    """Requests and responses with odd members anywhere are read, and written."""
    random_ = random.Random(seed)
    body = mutated(BODY, random_)
    reply = gemini.read_response(body)
    gemini.read_usage(body)
    gemini.write_messages(reply.messages)
    fold = gemini.StreamFold()
    for each in (*CHUNKS, body):
        fold.add(mutated(each, random_))
    fold.reply()
    content = {"role": "model", "parts": PARTS}
    request = mutated(
        {
            "systemInstruction": content,
            "contents": [content, {"role": "user", "parts": [{"text": "x"}]}] * 2,
            "tools": [{"functionDeclarations": [{"name": "f"}]}],
            "generationConfig": {"temperature": 1, "stopSequences": ["x"]},
            "config": {"tools": [{}]},
        },
        random_,
    )
    gemini.read_request(request)
    for wire in gemini.request_messages(request):
        gemini.message_key(wire)
    for part in PARTS:
        gemini.parse(mutated(part, random_))
    gemini.read_body(json.dumps(body, default=str).encode(), stream=bool(seed % 2))


# Tools ----------------------------------------------------------------------------


class Filters(pydantic.BaseModel):
    """Narrow it."""

    role: Literal["ceo", "cto"]
    tags: list[str] = pydantic.Field(default=[], max_length=3)
    min_age: int | None = pydantic.Field(None, ge=0, le=150)
    above: Filters | None = None


def search(
    filters: Filters,
    ident: int | str,
    pair: tuple[int, int],
    meta: dict[str, int],
    level: Literal[1, 2] = 1,
    sort: Literal["asc", "desc"] = "asc",
) -> None:
    """Search people."""


def nothing() -> None:
    """Do nothing."""


KEYS = {
    *("type", "format", "description", "nullable", "enum", "items"),
    *("max_items", "min_items", "properties", "required"),
}


def checked(node: dict[str, Any], *, older: bool) -> dict[str, Any]:
    """Check that *node* has only what the library knows; return it."""
    if not older and "any_of" in node:
        assert node.keys() == {"any_of"}  # beside which Vertex takes nothing
        children = list(node["any_of"])
    else:
        assert node.keys() <= KEYS
        assert node["type"] == node["type"].upper()
        children = [*node.get("properties", {}).values(), node.get("items")]
    for child in children:
        if child is not None:
            checked(child, older=older)
    return node


@pytest.mark.parametrize("older", [True, False])
def test_schemas_are_what_the_library_takes(
    monkeypatch: pytest.MonkeyPatch, older: bool
) -> None:
    """Schemas keep to the keys that the library knows; the rest is told in words."""
    if older:
        monkeypatch.setitem(sys.modules, "google.generativeai", types)
    (tool,) = gemini.export([Tool.from_function(search), Tool.from_function(nothing)])
    first, second = tool["function_declarations"]
    assert "parameters" not in second
    types.FunctionDeclaration.model_validate(first)
    request = {
        "contents": [{"role": "user", "parts": [{"text": "x"}]}],
        "tools": [tool],
    }
    Gemini().accept("POST", GENERATE, request)
    schema = checked(first["parameters"], older=older)
    properties = schema["properties"]
    filters = properties["filters"]
    assert filters["properties"]["role"] == {"type": "STRING", "enum": ["ceo", "cto"]}
    assert filters["properties"]["min_age"]["nullable"] is True
    assert "at most 150" in filters["properties"]["min_age"]["description"]
    above = filters["properties"]["above"]
    assert (above["type"], above["nullable"]) == ("OBJECT", True)  # a cycle ends
    assert "same form as the Filters" in above["description"]
    either = [{"type": "INTEGER"}, {"type": "STRING"}]
    told = "one of: integer; string"
    merged = {"type": "STRING", "description": f"({told})"}
    assert properties["ident"] == (merged if older else {"any_of": either})
    assert properties["pair"]["min_items"] == 2
    assert properties["meta"]["type"] == "OBJECT"
    assert "values of type integer" in properties["meta"]["description"]
    assert properties["level"]["type"] == "INTEGER"
    assert "one of 1, 2" in properties["level"]["description"]
    assert schema["required"] == ["filters", "ident", "pair", "meta"]


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


Pet = Annotated[Cat | Dog, pydantic.Field(discriminator="kind", description="A pet.")]


def adopt(
    pet: Pet, spare: Pet | None = None, more: dict[str, Cat] | None = None
) -> None:
    """Adopt."""


def test_unions_of_models_keep_every_tag() -> None:
    """Each model of a union is an alternative with its own tag and fields."""
    schema = Tool.from_function(adopt).input_schema
    properties = checked(gemini_schema(schema), older=False)["properties"]
    cat, dog = properties["pet"]["any_of"]
    assert cat["properties"]["kind"] == {"type": "STRING", "enum": ["cat"]}
    assert dog["properties"]["kind"] == {"type": "STRING", "enum": ["dog"]}
    assert (cat["required"], dog["required"]) == (["kind"], ["kind", "tricks"])
    assert cat["description"] == dog["description"] == "A pet."
    assert [o["nullable"] for o in properties["spare"]["any_of"]] == [True, True]
    assert '"lives"' in properties["more"]["description"]  # what a map's values are


def test_unions_of_models_in_one_object() -> None:
    """For the older library they are one object: every tag, and who has which field."""
    schema = Tool.from_function(adopt).input_schema
    reduced = checked(gemini_schema(schema, alternatives=False), older=True)
    pet = reduced["properties"]["pet"]
    assert pet["properties"]["kind"] == {"type": "STRING", "enum": ["cat", "dog"]}
    assert pet["required"] == ["kind"]
    assert "Cat with kind, lives; Dog with kind, tricks" in pet["description"]
    assert reduced["properties"]["spare"]["nullable"] is True


def test_alternatives_that_one_schema_holds_are_one() -> None:
    """Enumerations of texts are put together, and so are the two kinds of number."""
    choices = [{"const": "a"}, {"enum": ["b"]}]
    assert gemini_schema({"anyOf": choices}) == {"type": "STRING", "enum": ["a", "b"]}
    numbers = [{"type": "integer"}, {"type": "number"}]
    assert gemini_schema({"anyOf": numbers}) == {"type": "NUMBER"}
    one = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    two = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    }
    reduced = gemini_schema({"oneOf": [one, two]}, alternatives=False)
    assert set(reduced["properties"]) == {"a", "b"}
    assert reduced["required"] == ["a"]
    merged = gemini_schema({"allOf": [one, two]})
    assert merged["required"] == ["a", "b"]


def test_tool_config() -> None:
    """The configuration is the API's own; what it would refuse is refused here."""
    assert gemini.tool_config() == {"function_calling_config": {"mode": "AUTO"}}
    chosen = gemini.tool_config("any", ["f"])
    types.ToolConfig.model_validate(chosen)
    assert chosen["function_calling_config"]["allowed_function_names"] == ["f"]
    with pytest.raises(ValueError, match="allowed_tools"):
        gemini.tool_config("AUTO", ["f"])
    with pytest.raises(ValueError, match="one of AUTO"):
        gemini.tool_config("SOMETIMES")


CALL = types.FunctionCall(name="f", args={"a": 1}, id="c1")
FORMS: list[tuple[Any, Any]] = [
    (
        types.Part(function_call=CALL),
        types.Part(
            function_response=types.FunctionResponse(
                name="f", id="c1", response={"result": "found"}
            )
        ),
    ),
    (
        CALL,
        types.Part(
            function_response=types.FunctionResponse(
                name="f", id="c1", response={"result": "found"}
            )
        ),
    ),
    (
        {"functionCall": {"name": "f", "args": {"a": 1}, "id": "c1"}},
        {
            "functionResponse": {
                "id": "c1",
                "name": "f",
                "response": {"result": "found"},
            }
        },
    ),
    (
        types.Part(function_call=CALL).model_dump(),
        {
            "function_response": {
                "id": "c1",
                "name": "f",
                "response": {"result": "found"},
            }
        },
    ),
    (
        {"name": "f", "args": {"a": 1}},
        {"function_response": {"name": "f", "response": {"result": "found"}}},
    ),
    (
        CALL.model_dump(),
        {
            "function_response": {
                "id": "c1",
                "name": "f",
                "response": {"result": "found"},
            }
        },
    ),
]


@pytest.mark.parametrize(("native", "answer"), FORMS, ids=lambda v: str(v)[:40])
def test_a_call_is_answered_in_the_form_it_came(native: Any, answer: Any) -> None:
    """Objects are answered by objects, dicts by dicts of the same spelling."""
    call = gemini.parse(native)
    assert call is not None
    assert (call.name, call.arguments) == ("f", {"a": 1})
    assert gemini.reply(call, ToolResult.of("found")) == answer


@pytest.mark.parametrize(
    "other",
    [
        types.Part.from_text(text="x"),
        types.Part(function_response=types.FunctionResponse(name="f", response={})),
        {"text": "x"},
        {"function_call": {"name": "f", "arguments": "{}"}},
        {"role": "assistant", "content": None, "function_call": None},
        {"type": "tool_call", "id": "c", "name": "n", "args": {}},
        {"name": "f"},
        {"functionCall": {"args": {}}},
    ],
    ids=lambda v: str(v)[:40],
)
def test_what_is_no_call(other: Any) -> None:
    """Other parts, and calls of other formats, are not read."""
    assert gemini.parse(other) is None


def test_replies() -> None:
    """Errors are marked, odd arguments told, and images go back as images."""
    odd = gemini.parse({"functionCall": {"name": "f", "args": "x"}})
    assert odd is not None
    assert (odd.arguments, "send a JSON object" in str(odd.problem)) == (None, True)
    failed = gemini.reply(odd, ToolResult.error("no such thing"))
    assert failed["functionResponse"]["response"] == {"error": "no such thing"}
    picture = ToolResult.of([Image(b"\x89PNG", "image/png")])
    part = gemini.reply(ToolCall("f", {}, native=CALL), picture)
    data = part.function_response.parts[0].inline_data
    assert (data.mime_type, data.data) == ("image/png", b"\x89PNG")
    sent = gemini.reply(odd, picture)["functionResponse"]
    assert sent["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}
    ]


# The scripted API -----------------------------------------------------------------

USER = {"role": "user", "parts": [{"text": "x"}]}
CALLED = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}


def answered(*names: str) -> dict[str, Any]:
    """Make a content that answers calls."""
    responses = [{"name": name, "response": {"result": 1}} for name in names]
    return {"role": "user", "parts": [{"functionResponse": r} for r in responses]}


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"contents": []}, "contents is not specified"),
        ({"contents": [{"role": "user", "parts": []}]}, "must not be empty"),
        ({"contents": [{**USER, "role": "assistant"}]}, "valid role"),
        ({"contents": [USER], "temperature": 1}, "Unknown name"),
        ({"contents": [USER, CALLED]}, "number of function response parts"),
        ({"contents": [USER, CALLED, answered("f", "f")]}, "number of function"),
        ({"contents": [USER, CALLED, answered("g")]}, "answers no function call"),
        ({"contents": [CALLED, answered("f")]}, "immediately after a user turn"),
        ({"contents": [{"parts": [{"text": "x", "inlineData": {}}]}]}, "oneof"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_the_scripted_api_refuses(request_: dict[str, Any], why: str) -> None:
    """The scripted API refuses what the real one does."""
    with pytest.raises(BadRequest, match=why):
        Gemini().accept("POST", GENERATE, request_)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "OBJECT", "properties": {}},
        {"type": "STRING"},
        {"type": "OBJECT", "properties": {"a": {"$ref": "#/x"}}},
        {"type": "OBJECT", "properties": {"a": {"type": "OBJECT", "const": 1}}},
        {"type": "OBJECT", "properties": {"a": {"type": "INTEGER", "enum": [1]}}},
        {"type": "OBJECT", "properties": {"a": {"type": "ARRAY"}}},
    ],
    ids=str,
)
def test_the_scripted_api_refuses_schemas(schema: dict[str, Any]) -> None:
    """Schemas are checked against Gemini's subset; a JSON Schema is taken as it is."""
    declaration: dict[str, Any] = {"name": "f", "parameters": schema}
    request = {"contents": [USER], "tools": [{"functionDeclarations": [declaration]}]}
    with pytest.raises(BadRequest):
        Gemini().accept("POST", GENERATE, request)
    declaration["parametersJsonSchema"] = declaration.pop("parameters")
    Gemini().accept("POST", GENERATE, request)


def test_foreign_messages_are_written_without_foreign_members() -> None:
    """What another provider left in a part is not sent to Gemini."""
    messages: list[Message] = [
        {"role": "user", "parts": [{"type": "text", "content": "x"}]},
        {
            "role": "assistant",
            "parts": [
                {"type": "text", "content": "y", "cache_control": {}},  # type: ignore[typeddict-unknown-key]
                {"type": "tool_call", "id": "t", "name": "f", "arguments": '{"a": 1}'},
                {"type": "refusal", "content": "no"},
            ],
        },
        {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": "t", "response": [1]}],
        },
    ]
    body = gemini.write_request("m", messages)
    Gemini().accept("POST", GENERATE, body)
    assert body["contents"][1]["parts"] == [
        {"text": "y"},
        {"functionCall": {"id": "t", "name": "f", "args": {"a": 1}}},
    ]
    assert body["contents"][2]["parts"][0]["functionResponse"] == {
        "id": "t",
        "name": "f",
        "response": {"result": [1]},
    }
