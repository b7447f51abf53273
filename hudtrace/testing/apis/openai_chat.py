"""OpenAI Chat Completions, requests checked about as strictly as the real API does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from hudtrace.dialects import openai_chat
from hudtrace.messages import ModelReply
from hudtrace.testing.apis.refusals import (
    BadRequest,
    check_names,
    check_object_schema,
    check_strict_schema,
)
from hudtrace.testing.apis.words import words

Json = dict[str, Any]
_ROLES = {"system", "developer", "user", "assistant", "tool", "function"}
_TOOL_KEYS = {"role", "tool_call_id", "content", "name"}


class OpenAIChat:
    """`POST …/chat/completions`."""

    dialect = openai_chat
    reply_id = "chatcmpl-"
    call_id = "call_"

    def matches(self, method: str, path: str) -> bool:
        """Say whether *path* is that of chat completions."""
        return path.partition("?")[0].endswith("/chat/completions")

    def accept(self, method: str, path: str, request: Any) -> Json:
        """Return the request if it is one that the API takes."""
        if method != "POST":
            raise BadRequest(f"{method} is not allowed here", status=405)
        if not isinstance(request, dict):
            raise BadRequest("the body must be a JSON object")
        if not isinstance(request.get("model"), str):
            raise BadRequest("you must provide a model parameter", "model")
        messages = request.get("messages")
        if not isinstance(messages, list) or not messages:
            raise BadRequest("messages must be an array, not empty", "messages")
        _check_messages(messages)
        _check_tools(request.get("tools"))
        return request

    def recall(self, method: str, path: str, request: Json) -> Json | None:
        """Return None: every request is the script's."""
        return None

    def body(self, answer: ModelReply, request: Json) -> Json:
        """Return the body of an answer."""
        return openai_chat.write_response(answer, created=int(time.time()))

    def events(self, answer: ModelReply, request: Json) -> Iterator[bytes]:
        """Return the chunks of an answer as events."""
        options = request.get("stream_options") or {}
        chunks = openai_chat.write_chunks(
            answer,
            include_usage=bool(options.get("include_usage")),
            created=int(time.time()),
            split=words,
        )
        for chunk in chunks:
            data = json.dumps(chunk, separators=(",", ":")).encode()
            yield b"data: " + data + b"\n\n"
        yield b"data: [DONE]\n\n"

    def error_body(self, status: int, message: str, param: str | None) -> Json:
        """Return an error in OpenAI's form."""
        kind = "invalid_request_error" if status < 500 else "server_error"
        fault = {"message": message, "type": kind, "param": param, "code": None}
        return {"error": fault}


def _check_messages(messages: list[Any]) -> None:
    waiting: list[str] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        role = message.get("role") if isinstance(message, dict) else None
        if role not in _ROLES:
            raise BadRequest(f"invalid role {role!r}", f"{where}.role")
        if role == "tool":
            _check_tool_message(message, waiting, where)
            continue
        if waiting:
            raise BadRequest(
                f"an assistant message with 'tool_calls' must be followed by tool "
                f"messages for each 'tool_call_id'; missing: {', '.join(waiting)}",
                where,
            )
        _check_content(message, where)
        waiting = _calls(message, where)
    if waiting:
        raise BadRequest(
            f"tool calls without a tool message: {', '.join(waiting)}", "messages"
        )


def _check_tool_message(message: Any, waiting: list[str], where: str) -> None:
    unknown = set(message) - _TOOL_KEYS
    if unknown:
        raise BadRequest(f"unknown parameter: {sorted(unknown)[0]}", where)
    if message.get("tool_call_id") not in waiting:
        raise BadRequest(
            f"a message with role 'tool' must answer a preceding tool call; "
            f"{message.get('tool_call_id')!r} is none",
            f"{where}.tool_call_id",
        )
    if not isinstance(message.get("content"), str | list):
        raise BadRequest("content must be a string or an array", f"{where}.content")
    waiting.remove(message["tool_call_id"])


def _check_content(message: Any, where: str) -> None:
    content = message.get("content")
    if message["role"] == "assistant":
        if content is None and not message.get("tool_calls"):
            raise BadRequest("content is required without tool_calls", where)
    elif not isinstance(content, str | list) or content == []:
        raise BadRequest("content must be a string or an array", f"{where}.content")


def _calls(message: Any, where: str) -> list[str]:
    ids = []
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        if not call.get("id") or call.get("type") != "function":
            raise BadRequest("a tool call needs an id and type 'function'", where)
        if not isinstance(function.get("arguments"), str):
            raise BadRequest("function.arguments must be a string", where)
        ids.append(call["id"])
    return ids


def _check_tools(tools: Any) -> None:
    if tools is None:
        return
    if not isinstance(tools, list) or not tools:
        raise BadRequest("tools must be an array, not empty", "tools")
    functions = [tool.get("function") or {} for tool in tools]
    check_names([function.get("name") for function in functions], "tools")
    for index, function in enumerate(functions):
        schema, where = function.get("parameters"), f"tools[{index}].parameters"
        if schema is None:
            continue
        check_object_schema(schema, where)
        if function.get("strict"):
            check_strict_schema(schema, where)
