"""OpenAI Responses, requests checked about as strictly as the real API does."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

from hudtrace.dialects import openai_responses
from hudtrace.messages import ModelReply
from hudtrace.testing.apis.refusals import (
    BadRequest,
    check_names,
    check_object_schema,
    check_strict_schema,
)
from hudtrace.testing.apis.words import words

Json = dict[str, Any]
_PATH = re.compile(r"/responses(/(?P<id>[^/?]+))?(\?|$)")
_ROLES = {"system", "developer", "user", "assistant"}
_ANSWERS = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
}
#: What an item must have, and what it may have besides.
_ITEMS: dict[str, tuple[set[str], set[str]]] = {
    "message": ({"role", "content"}, {"id", "status", "phase"}),
    "function_call": (
        {"call_id", "name", "arguments"},
        {"id", "status", "async", "caller", "namespace"},
    ),
    "function_call_output": (
        {"call_id", "output"},
        {"id", "status", "caller", "name", "namespace"},
    ),
    "custom_tool_call": (
        {"call_id", "name", "input"},
        {"id", "status", "async", "caller", "namespace"},
    ),
    "custom_tool_call_output": ({"call_id", "output"}, {"id", "status"}),
    "reasoning": ({"id", "summary"}, {"content", "encrypted_content", "status"}),
    "item_reference": ({"id"}, set()),
}
_NULLABLE = {"id", "status", "phase", "encrypted_content", "content"}
_BLOCKS = {
    "user": {"input_text", "input_image", "input_file", "input_audio"},
    "assistant": {"output_text", "refusal"},
}


class OpenAIResponses:
    """`POST …/responses`, and `GET …/responses/{id}` for what was answered.

    A response with `background` is queued when it is created, and completed
    when it is asked for. One that is asked for as a stream is sent again,
    whatever the script says.
    """

    dialect = openai_responses
    reply_id = "resp_"
    call_id = "call_"

    def __init__(self) -> None:
        self._stored: dict[str, Json] = {}
        self._items: dict[str, list[Any]] = {}  # what a response was asked and said

    def matches(self, method: str, path: str) -> bool:
        """Say whether *path* is that of responses, or of one of them."""
        return _PATH.search(path) is not None

    def accept(self, method: str, path: str, request: Any) -> Json:
        """Return the request if it is one that the API takes."""
        response_id = _id_in(path)
        if response_id is not None:
            return self._accept_retrieval(method, path, response_id)
        if method != "POST":
            raise BadRequest(f"{method} is not allowed here", status=405)
        if not isinstance(request, dict):
            raise BadRequest("the body must be a JSON object")
        if not isinstance(request.get("model"), str):
            raise BadRequest("you must provide a model parameter", "model")
        _check_items([*self._earlier(request), *_input_of(request)])
        _check_tools(request.get("tools"))
        if request.get("background") and request.get("store") is False:
            raise BadRequest("background mode needs store=true", "background")
        return request

    def recall(self, method: str, path: str, request: Json) -> Json | None:
        """Return a stored response, None where a new one (or a stream) is wanted."""
        response_id = _id_in(path)
        if response_id is None or request["stream"]:
            return None
        return self._stored[response_id]

    def body(self, answer: ModelReply, request: Json) -> Json:
        """Return the body of an answer."""
        whole = self._whole(answer, request)
        if not request.get("background"):
            return whole
        return {**whole, "status": "queued", "output": [], "usage": None}

    def events(self, answer: ModelReply, request: Json) -> Iterator[bytes]:
        """Return the events of an answer, or of one that was stored."""
        kept = self._stored.get(request.get("response_id", ""))
        if kept is not None:
            answer = openai_responses.read_response(kept)
        else:
            self._whole(answer, request)
        after = request.get("starting_after", -1)
        for event in openai_responses.write_chunks(
            answer, created=int(time.time()), split=words
        ):
            if event["sequence_number"] > after:
                data = json.dumps(event, separators=(",", ":"))
                yield f"event: {event['type']}\ndata: {data}\n\n".encode()

    def error_body(self, status: int, message: str, param: str | None) -> Json:
        """Return an error in OpenAI's form."""
        kind = "invalid_request_error" if status < 500 else "server_error"
        fault = {"message": message, "type": kind, "param": param, "code": None}
        return {"error": fault}

    def _accept_retrieval(self, method: str, path: str, response_id: str) -> Json:
        if method != "GET":
            raise BadRequest(f"{method} is not allowed here", status=405)
        kept = self._stored.get(response_id)
        if kept is None:
            raise BadRequest(f"no response with id {response_id!r}", status=404)
        query = parse_qs(path.partition("?")[2])
        return {
            "response_id": response_id,
            "model": kept["model"],
            "stream": query.get("stream") == ["true"],
            "starting_after": int(query.get("starting_after", ["-1"])[0]),
        }

    def _earlier(self, request: Json) -> list[Any]:
        """Return the items that a request goes on from."""
        previous = request.get("previous_response_id")
        if previous is None:
            return []
        if previous not in self._items:
            raise BadRequest(
                f"no previous response with id {previous!r}", "previous_response_id"
            )
        return self._items[previous]

    def _whole(self, answer: ModelReply, request: Json) -> Json:
        """Write an answer with what the request said of it, and store it."""
        whole = openai_responses.write_response(answer, created=int(time.time()))
        for key in ("instructions", "tools", "previous_response_id", "background"):
            if key in request:
                whole[key] = request[key]
        if request.get("store") is not False:
            asked = [*self._earlier(request), *_input_of(request)]
            self._stored[whole["id"]] = whole
            self._items[whole["id"]] = [*asked, *whole["output"]]
        return whole


def _id_in(path: str) -> str | None:
    found = _PATH.search(path)
    return None if found is None else found["id"]


def _input_of(request: Json) -> list[Any]:
    given = request.get("input")
    if isinstance(given, str) and given:
        return [{"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        raise BadRequest("input must be a string or an array, not empty", "input")
    return given


def _check_items(items: list[Any]) -> None:
    waiting: dict[str, str] = {}
    for index, item in enumerate(items):
        where = f"input[{index}]"
        kind = _kind_of(item, where)
        if kind in _ANSWERS:
            if item["call_id"] in waiting:
                raise BadRequest(f"the call id {item['call_id']!r} is taken", where)
            waiting[item["call_id"]] = kind
        elif kind in _ANSWERS.values():
            _check_answer(item, kind, waiting, where)
        elif kind == "message":
            _check_message(item, where)
    if waiting:
        missing = ", ".join(waiting)
        raise BadRequest(f"no tool output found for function call {missing}", "input")


def _kind_of(item: Any, where: str) -> str:
    """Return what kind of item this is; it has all it needs, and nothing else."""
    if not isinstance(item, dict):
        raise BadRequest("an item must be an object", where)
    kind = item.get("type", "message")
    if kind not in _ITEMS:
        if not isinstance(kind, str) or not kind.endswith("_call"):
            raise BadRequest(f"invalid value: {kind!r}", f"{where}.type")
        return kind
    needed, allowed = _ITEMS[kind]
    for key in sorted(needed - set(item)):
        raise BadRequest(f"missing required parameter: {key!r}", f"{where}.{key}")
    for key in sorted(set(item) - needed - allowed - {"type"}):
        raise BadRequest(f"unknown parameter: {where}.{key}", f"{where}.{key}")
    for key, value in item.items():
        if value is None and key not in _NULLABLE:
            raise BadRequest("expected a value, got null", f"{where}.{key}")
    for key in needed & {"call_id", "name", "arguments", "input", "id"}:
        if not isinstance(item[key], str) or (not item[key] and key != "input"):
            raise BadRequest("expected a string", f"{where}.{key}")
    return str(kind)


def _check_answer(item: Json, kind: str, waiting: dict[str, str], where: str) -> None:
    asked = waiting.pop(item["call_id"], None)
    if asked is None or _ANSWERS[asked] != kind:
        raise BadRequest(
            f"no tool call found for {kind} with call_id {item['call_id']}", where
        )
    output = item["output"]
    if isinstance(output, list):
        _check_blocks(output, "user", f"{where}.output")
    elif not isinstance(output, str):
        raise BadRequest("output must be a string or an array", f"{where}.output")


def _check_message(item: Json, where: str) -> None:
    role, content = item["role"], item["content"]
    if role not in _ROLES:
        raise BadRequest(f"invalid role {role!r}", f"{where}.role")
    if isinstance(content, list):
        speaker = "assistant" if role == "assistant" else "user"
        _check_blocks(content, speaker, f"{where}.content")
    elif not isinstance(content, str):
        raise BadRequest("content must be a string or an array", f"{where}.content")


def _check_blocks(blocks: list[Any], speaker: str, where: str) -> None:
    for index, block in enumerate(blocks):
        kind = block.get("type") if isinstance(block, dict) else None
        if kind not in _BLOCKS[speaker]:
            raise BadRequest(f"invalid value: {kind!r}", f"{where}[{index}].type")


def _check_tools(tools: Any) -> None:
    if tools is None:
        return
    if not isinstance(tools, list):
        raise BadRequest("tools must be an array", "tools")
    functions = [tool for tool in tools if tool.get("type") == "function"]
    for index, tool in enumerate(tools):
        if not isinstance(tool.get("type"), str):
            raise BadRequest("missing required parameter", f"tools[{index}].type")
    check_names([tool.get("name") for tool in functions], "tools")
    for index, tool in enumerate(functions):
        where = f"tools[{index}]"
        if "function" in tool:
            raise BadRequest("unknown parameter", f"{where}.function")
        # Where it is missing, the API closes the schema by itself, if it can.
        if not isinstance(tool.get("strict", False), bool):
            raise BadRequest("missing required parameter", f"{where}.strict")
        schema, at = tool.get("parameters"), f"{where}.parameters"
        check_object_schema(schema, at)
        if tool.get("strict"):
            check_strict_schema(schema, at)
