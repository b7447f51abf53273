"""Anthropic Messages, requests checked about as strictly as the real API does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hudtrace.dialects import anthropic_messages
from hudtrace.messages import ModelReply
from hudtrace.testing.apis.refusals import (
    BadRequest,
    check_names,
    check_object_schema,
)
from hudtrace.testing.apis.words import words

Json = dict[str, Any]
_ROLES = {"user", "assistant", "system"}
_BLOCKS: dict[str, tuple[set[str], set[str]]] = {
    # of each block the keys that it must have, and those that it may
    "text": ({"text"}, {"citations"}),
    "image": ({"source"}, set()),
    "document": ({"source"}, {"title", "context", "citations"}),
    "thinking": ({"thinking", "signature"}, set()),
    "redacted_thinking": ({"data"}, set()),
    "tool_use": ({"id", "name", "input"}, {"caller", "toolset_name"}),
    "tool_result": ({"tool_use_id"}, {"content", "is_error", "toolset_name"}),
}
_IN_RESULTS = {"text", "image", "document", "search_result", "tool_reference"}
_ERRORS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class AnthropicMessages:
    """`POST /v1/messages`, with its message threads, and the counting of tokens."""

    dialect = anthropic_messages
    reply_id = "msg_"
    call_id = "toolu_"

    def __init__(self) -> None:
        self._threads: dict[str, list[Json]] = {}  # the messages up to a reply

    def matches(self, method: str, path: str) -> bool:
        """Say whether *path* is that of messages."""
        bare = path.partition("?")[0]
        return bare.endswith(("/messages", "/messages/count_tokens"))

    def accept(self, method: str, path: str, request: Any) -> Json:
        """Return the request if it is one that the API takes."""
        if method != "POST":
            raise BadRequest(f"{method} is not allowed here", status=405)
        if not isinstance(request, dict):
            raise BadRequest("the body must be a JSON object")
        if not isinstance(request.get("model"), str):
            raise BadRequest("model: Field required", "model")
        if not _counts(path):
            _check_max_tokens(request.get("max_tokens"))
        messages = request.get("messages")
        if not isinstance(messages, list) or not messages:
            raise BadRequest("messages: at least one message is required", "messages")
        _check_system(request.get("system"))
        _check_messages([*self._earlier(request), *messages])
        _check_tools(request.get("tools"))
        return request

    def recall(self, method: str, path: str, request: Json) -> Json | None:
        """Return the number of tokens if that is what is asked."""
        if not _counts(path):
            return None
        return {"input_tokens": len(json.dumps(request["messages"])) // 4 + 1}

    def body(self, answer: ModelReply, request: Json) -> Json:
        """Return the body of an answer."""
        self._keep(answer, request)
        return anthropic_messages.write_response(answer)

    def events(self, answer: ModelReply, request: Json) -> Iterator[bytes]:
        """Return an answer as events."""
        self._keep(answer, request)
        for event in anthropic_messages.write_chunks(answer, split=words):
            data = json.dumps(event, separators=(",", ":"))
            yield f"event: {event['type']}\ndata: {data}\n\n".encode()

    def error_body(self, status: int, message: str, param: str | None) -> Json:
        """Return an error in Anthropic's form."""
        other = "api_error" if status >= 500 else "invalid_request_error"
        fault = {"type": _ERRORS.get(status, other), "message": message}
        return {"type": "error", "error": fault}

    def _earlier(self, request: Json) -> list[Json]:
        """Return the messages of the thread that a request continues."""
        thread = request.get("thread")
        if not isinstance(thread, dict) or thread.get("type") != "continue":
            return []
        previous = str(thread.get("previous_message_id"))
        if previous not in self._threads:
            raise BadRequest(f"no thread is at {previous}", "thread", status=404)
        return self._threads[previous]

    def _keep(self, answer: ModelReply, request: Json) -> None:
        """Keep the thread of a request that has one."""
        if "thread" in request and answer.id is not None:
            content = anthropic_messages.write_response(answer)["content"]
            reply = {"role": "assistant", "content": content}
            earlier = self._earlier(request)
            self._threads[answer.id] = [*earlier, *request["messages"], reply]


def _counts(path: str) -> bool:
    return path.partition("?")[0].endswith("/count_tokens")


def _check_max_tokens(value: Any) -> None:
    if value is None:
        raise BadRequest("max_tokens: Field required", "max_tokens")
    if not isinstance(value, int) or value < 1:
        raise BadRequest("max_tokens: must be an integer of at least 1", "max_tokens")


def _check_system(system: Any) -> None:
    if system is None or isinstance(system, str):
        return
    if not isinstance(system, list):
        raise BadRequest("system: must be a string or an array of text", "system")
    for index, block in enumerate(system):
        where = f"system.{index}"
        _check_block(block, where)
        if block["type"] != "text":
            raise BadRequest(f"{where}: only text is allowed here", where)


def _check_messages(messages: list[Any]) -> None:
    waiting: list[str] = []
    for index, message in enumerate(messages):
        where = f"messages.{index}"
        role = message.get("role") if isinstance(message, dict) else None
        if role not in _ROLES:
            raise BadRequest(f"{where}: unexpected role {role!r}", where)
        unknown = set(message) - {"role", "content"}
        if unknown:
            _refuse_extra(f"{where}.{min(unknown)}")
        blocks = _blocks(message.get("content"), where, index == len(messages) - 1)
        _check_results(blocks, waiting, where)
        calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if calls and role != "assistant":
            raise BadRequest(f"{where}: tool_use blocks are the assistant's", where)
        if len(set(calls)) != len(calls):
            raise BadRequest(f"{where}: tool_use ids must be unique", where)
        waiting = calls
    if waiting:
        raise _unanswered(waiting, f"messages.{len(messages) - 1}")


def _blocks(content: Any, where: str, last: bool) -> list[Json]:
    if isinstance(content, str):
        content = [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list):
        raise BadRequest(f"{where}.content: must be a string or an array", where)
    if not content and not last:
        raise BadRequest(f"{where}: messages must have non-empty content", where)
    for index, block in enumerate(content):
        _check_block(block, f"{where}.content.{index}")
    return content


def _check_block(block: Any, where: str) -> None:
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(kind, str):
        raise BadRequest(f"{where}.type: Field required", where)
    if kind not in _BLOCKS:
        return  # server tools and the like
    needed, others = _BLOCKS[kind]
    for key in sorted(needed - set(block)):
        raise BadRequest(f"{where}.{kind}.{key}: Field required", where)
    for key in sorted(set(block) - needed - others - {"type", "cache_control"}):
        _refuse_extra(f"{where}.{kind}.{key}")
    if kind == "text" and not block["text"]:
        raise BadRequest(f"{where}: text content blocks must be non-empty", where)
    if kind == "tool_use" and not isinstance(block["input"], dict):
        raise BadRequest(f"{where}.tool_use.input: must be a dictionary", where)
    if kind == "tool_result":
        _check_result_content(block.get("content", ""), where)


def _check_result_content(content: Any, where: str) -> None:
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise BadRequest(f"{where}.content: must be a string or an array", where)
    for index, block in enumerate(content):
        at = f"{where}.content.{index}"
        _check_block(block, at)
        if block["type"] not in _IN_RESULTS:
            raise BadRequest(f"{at}: {block['type']!r} is not allowed here", at)


def _check_results(blocks: list[Json], waiting: list[str], where: str) -> None:
    """Refuse results that answer no call, calls without one, and a late one."""
    results = [block for block in blocks if block["type"] == "tool_result"]
    for block in results:
        if block["tool_use_id"] not in waiting:
            raise BadRequest(
                f"{where}: unexpected `tool_use_id` in `tool_result` blocks: "
                f"{block['tool_use_id']}; each must have a `tool_use` block in the "
                f"previous message",
                where,
            )
        waiting.remove(block["tool_use_id"])
    if waiting:
        raise _unanswered(waiting, where)
    if results != blocks[: len(results)]:
        raise BadRequest(f"{where}: `tool_result` blocks must come first", where)


def _unanswered(ids: list[str], where: str) -> BadRequest:
    return BadRequest(
        f"{where}: `tool_use` ids were found without `tool_result` blocks immediately "
        f"after: {', '.join(ids)}",
        where,
    )


def _refuse_extra(where: str) -> None:
    raise BadRequest(f"{where}: Extra inputs are not permitted", where)


def _check_tools(tools: Any) -> None:
    if tools is None:
        return
    if not isinstance(tools, list) or not all(isinstance(t, dict) for t in tools):
        raise BadRequest("tools: must be an array of objects", "tools")
    # A server tool has a type with a date, and is not described by its user.
    own = [tool for tool in tools if tool.get("type", "custom") == "custom"]
    check_names([tool.get("name") for tool in own], "tools", longest=128)
    for index, tool in enumerate(own):
        check_object_schema(tool.get("input_schema"), f"tools.{index}.input_schema")
