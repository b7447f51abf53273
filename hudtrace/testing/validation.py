"""Checks a chat request about as strictly as the real API does."""

from __future__ import annotations

import re
from typing import Any

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ROLES = {"system", "developer", "user", "assistant", "tool", "function"}
_REFUSED_AT_TOP = ("oneOf", "anyOf", "allOf", "enum", "not")
_TOOL_KEYS = {"role", "tool_call_id", "content", "name"}


class BadRequest(ValueError):
    """The request is not one that the API would take; `param` says where."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


def check_chat_request(request: Any) -> None:
    """Raise `BadRequest` if the body of a chat completion is wrong."""
    if not isinstance(request, dict):
        raise BadRequest("the body must be a JSON object")
    if not isinstance(request.get("model"), str):
        raise BadRequest("you must provide a model parameter", "model")
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages must be an array, not empty", "messages")
    _check_messages(messages)
    _check_tools(request.get("tools"))


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
    seen = set()
    for index, tool in enumerate(tools):
        where = f"tools[{index}].function"
        function = tool.get("function") or {}
        name = function.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise BadRequest(f"invalid name {name!r}", f"{where}.name")
        if name in seen:
            raise BadRequest(f"tool names must be unique: {name}", f"{where}.name")
        seen.add(name)
        _check_schema(function.get("parameters"), where, bool(function.get("strict")))


def _check_schema(schema: Any, where: str, strict: bool) -> None:
    if schema is None:
        return
    where = f"{where}.parameters"
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise BadRequest('the schema must be of type "object"', where)
    for key in _REFUSED_AT_TOP:
        if key in schema:
            raise BadRequest(f"the schema must not have {key!r} at the top", where)
    if strict:
        _check_strict(schema, where)


def _check_strict(schema: Any, where: str) -> None:
    if isinstance(schema, list):
        for item in schema:
            _check_strict(item, where)
        return
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties") or {}
        if schema.get("additionalProperties") is not False:
            raise BadRequest("'additionalProperties' must be false", where)
        if set(schema.get("required", ())) != set(properties):
            raise BadRequest("'required' must have every property", where)
    for key in ("oneOf", "allOf", "not", "default"):
        if key in schema:
            raise BadRequest(f"{key!r} is not permitted in strict mode", where)
    for name, child in (schema.get("properties") or {}).items():
        _check_strict(child, f"{where}.{name}")
    for key in ("items", "anyOf"):
        _check_strict(schema.get(key), where)
