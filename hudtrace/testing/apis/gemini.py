"""Gemini, requests checked about as strictly as the real API does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

from hudtrace.dialects import gemini
from hudtrace.dialects.gemini.wires import dict_of
from hudtrace.messages import ModelReply
from hudtrace.testing.apis.refusals import BadRequest
from hudtrace.testing.apis.words import words

Json = dict[str, Any]
_PATH = re.compile(r"/v1(?:beta1?|alpha)?/(?:.+/)?([^/:]+):(\w+)(?:\?(.*))?")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
_GENERATE = ("generateContent", "streamGenerateContent")
_OTHERS = ("countTokens", "embedContent", "batchEmbedContents")
_REQUEST_KEYS = {
    *("model", "contents", "systemInstruction", "tools", "toolConfig"),
    *("generationConfig", "safetySettings", "cachedContent", "labels", "serviceTier"),
    "store",
}
_DATA = {
    *("text", "inlineData", "fileData", "functionCall", "functionResponse"),
    *("executableCode", "codeExecutionResult", "toolCall", "toolResponse"),
}
_BESIDE = {"thought", "thoughtSignature", "videoMetadata", "mediaResolution"}
_SCHEMA_KEYS = {
    *("type", "format", "title", "description", "nullable", "enum", "items"),
    *("maxItems", "minItems", "properties", "required", "minProperties"),
    *("maxProperties", "minLength", "maxLength", "pattern", "example", "anyOf"),
    *("propertyOrdering", "default", "minimum", "maximum"),
}
_TYPES = ("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL")
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class Gemini:
    """`POST …/models/{model}:generateContent` and its neighbours."""

    dialect = gemini
    reply_id = "resp-"
    call_id = "fc-"

    def matches(self, method: str, path: str) -> bool:
        """Say whether *path* is one of a model's methods that are served."""
        found = _PATH.fullmatch(path)
        return found is not None and found[2] in (*_GENERATE, *_OTHERS)

    def accept(self, method: str, path: str, request: Any) -> Json:
        """Return the request if the API takes it; how it streams is in `stream`.

        That is `sse`, or `array` for one JSON array of all chunks.
        """
        if method != "POST":
            raise BadRequest(f"{method} is not allowed here", status=405)
        if not isinstance(request, dict):
            raise BadRequest("the body must be a JSON object")
        model, action, query = _called(path)
        if action in _GENERATE:
            _check_request(dict_of(request))
        stream: Any = False
        if action == "streamGenerateContent":
            stream = "sse" if parse_qs(query).get("alt") == ["sse"] else "array"
        return {**request, "model": model, "stream": stream}

    def recall(self, method: str, path: str, request: Json) -> Json | None:
        """Return counts of tokens and embeddings; the rest is the script's."""
        _, action, _ = _called(path)
        if action == "countTokens":
            return {"totalTokens": len(json.dumps(request.get("contents"))) // 4}
        if action == "embedContent":
            return {"embedding": {"values": [0.0, 1.0]}}
        if action == "batchEmbedContents":
            asked = request.get("requests") or []
            return {"embeddings": [{"values": [0.0, 1.0]} for _ in asked]}
        return None

    def body(self, answer: ModelReply, request: Json) -> Json:
        """Return the body of an answer."""
        return gemini.write_response(answer)

    def events(self, answer: ModelReply, request: Json) -> Iterator[bytes]:
        """Return the chunks of an answer as events, or as the items of an array."""
        before = b"["
        for chunk in gemini.write_chunks(answer, split=words):
            data = json.dumps(chunk).encode()
            if request["stream"] == "sse":
                yield b"data: " + data + b"\r\n\r\n"
            else:
                yield before + data
                before = b",\r\n"
        if request["stream"] == "array":
            yield b"]"

    def error_body(self, status: int, message: str, param: str | None) -> Json:
        """Return an error in Google's form."""
        text = f"{param}: {message}" if param else message
        kind = _STATUS.get(status, "UNKNOWN")
        return {"error": {"code": status, "message": text, "status": kind}}


def _called(path: str) -> tuple[str, str, str]:
    found = _PATH.fullmatch(path)
    assert found is not None
    return found[1], found[2], found[3] or ""


def _check_request(request: Json) -> None:
    _check_keys(request, _REQUEST_KEYS, "request")
    contents = request.get("contents")
    if not isinstance(contents, list) or not contents:
        raise BadRequest("contents is not specified", "GenerateContentRequest.contents")
    _check_turns([dict_of(content) for content in contents])
    _check_tools(request)


def _check_keys(given: Json, known: set[str], where: str) -> None:
    for key in given.keys() - known:
        raise BadRequest(
            f"Invalid JSON payload received. Unknown name \"{key}\" at '{where}': "
            f"Cannot find field."
        )


def _check_turns(contents: list[Json]) -> None:
    waiting: list[Json] = []  # calls of the turn before, which may be several contents
    for index, content in enumerate(contents):
        where = f"contents[{index}]"
        role = content.get("role") or "user"
        if role not in ("user", "model", "function"):
            raise BadRequest("Please use a valid role: user, model.", where)
        parts = _parts(content, where)
        if role != "model":
            _check_answers(_members(parts, "functionResponse"), waiting)
            waiting = []
            continue
        calls = _members(parts, "functionCall")
        if calls and index == 0:
            raise BadRequest(
                "Please ensure that function call turn comes immediately after a user "
                "turn or after a function response turn."
            )
        waiting += calls
    if waiting:
        _check_answers([], waiting)


def _members(parts: list[Json], key: str) -> list[Json]:
    return [dict_of(part[key]) for part in parts if key in part]


def _parts(content: Json, where: str) -> list[Json]:
    parts = content.get("parts")
    if not isinstance(parts, list) or not parts:
        raise BadRequest("contents.parts must not be empty.", where)
    checked = [dict_of(part) for part in parts]
    for index, part in enumerate(checked):
        _check_keys(part, _DATA | _BESIDE, f"{where}.parts[{index}]")
        if len(part.keys() & _DATA) != 1:
            raise BadRequest(
                "required oneof field 'data' must have one initialized field",
                f"{where}.parts[{index}].data",
            )
    return checked


def _check_answers(answers: list[Json], waiting: list[Json]) -> None:
    if len(answers) != len(waiting):
        raise BadRequest(
            "Please ensure that the number of function response parts is equal to the "
            "number of function call parts of the function call turn."
        )
    left = list(waiting)
    for answer in answers:
        if not isinstance(answer.get("response"), dict):
            raise BadRequest("function_response.response must be an object")
        call = next((c for c in left if _fits(answer, c)), None)
        if call is None:
            raise BadRequest(
                f"function_response.name {answer.get('name')!r} answers no function "
                f"call of the turn before"
            )
        left.remove(call)


def _fits(answer: Json, call: Json) -> bool:
    ids = answer.get("id"), call.get("id")
    return answer.get("name") == call.get("name") and (not all(ids) or ids[0] == ids[1])


# Tools ----------------------------------------------------------------------------


def _check_tools(request: Json) -> None:
    seen: set[str] = set()
    for index, tool in enumerate(request.get("tools") or ()):
        declared = dict_of(tool).get("functionDeclarations") or ()
        for position, declaration in enumerate(map(dict_of, declared)):
            where = f"tools[{index}].function_declarations[{position}]"
            name = declaration.get("name")
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise BadRequest(f"Invalid function name {name!r}", f"{where}.name")
            if name in seen:
                raise BadRequest(f"Duplicate function declaration found: {name}")
            seen.add(name)
            _check_declaration(declaration, where)
    config = dict_of(dict_of(request.get("toolConfig")).get("functionCallingConfig"))
    if config.get("allowedFunctionNames"):
        if config.get("mode") not in ("ANY", "VALIDATED", 2):
            raise BadRequest(
                "allowed_function_names should only be set when mode is ANY"
            )
        for name in set(config["allowedFunctionNames"]) - seen:
            raise BadRequest(f"allowed_function_names: {name} is not declared")


def _check_declaration(declaration: Json, where: str) -> None:
    plain = declaration.get("parameters")
    if plain is not None and declaration.get("parametersJsonSchema") is not None:
        raise BadRequest(
            "only one of parameters and parameters_json_schema may be set", where
        )
    if plain is None:
        return
    _check_schema(plain, f"{where}.parameters")
    kind = dict_of(plain).get("type")
    if kind not in ("OBJECT", "object", 6):
        raise BadRequest("schema should be of type OBJECT", f"{where}.parameters")
    if not dict_of(plain).get("properties"):
        raise BadRequest(
            "should be non-empty for OBJECT type", f"{where}.parameters.properties"
        )


def _check_schema(schema: Any, where: str) -> None:
    if not isinstance(schema, dict):
        raise BadRequest("must be an object", where)
    node = dict_of(schema)
    _check_keys(node, _SCHEMA_KEYS, where)
    kind = node.get("type")
    known = kind in range(1, 8) or str(kind).upper() in _TYPES
    if not known and "anyOf" not in node:
        raise BadRequest(f"Invalid value {kind!r}", f"{where}.type")
    if node.get("enum") and kind not in ("STRING", "string", 1):
        raise BadRequest("only allowed for STRING type", f"{where}.enum")
    if kind in ("ARRAY", "array", 5) and "items" not in node:
        raise BadRequest("missing field", f"{where}.items")
    properties = node.get("properties") or {}
    for name in node.get("required") or ():
        if name not in properties:
            raise BadRequest("property is not defined", f"{where}.required: {name}")
    for name, child in properties.items():
        _check_schema(child, f"{where}.properties[{name}]")
    if "items" in node:
        _check_schema(node["items"], f"{where}.items")
    for option in node.get("anyOf") or ():
        _check_schema(option, f"{where}.any_of")
