"""A response that is fetched once more: what it says, but not what it cost.

The reading half of the dialect, without a request. A reply has no tokens: they
are those of the call that created it (semantic conventions: a `fetch_response`
span should not report them).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hudtrace import semconv
from hudtrace.dialects.fields import get, json_or_none
from hudtrace.dialects.openai_responses import reading, streams
from hudtrace.dialects.openai_responses.reading import (
    message_key,
    read_message,
    read_usage,
)
from hudtrace.dialects.openai_responses.streams import body_complete, body_usage
from hudtrace.messages import ModelReply


def request_messages(body: Mapping[str, Any]) -> list[Any]:
    """Return no messages: nothing is asked."""
    return []


def request_tools(body: Mapping[str, Any]) -> list[Any]:
    """Return no tools: none are offered."""
    return []


def request_parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return no parameters: those were the creating call's."""
    return {}


def read_response(response: Any) -> ModelReply:
    """Read a response: the SDK's object or the JSON body."""
    return _with_status(_without_usage(reading.read_response(response)), response)


def read_body(body: bytes, *, stream: bool) -> ModelReply:
    """Read the bytes of a response, of which the end may be missing."""
    if not stream:
        return read_response(json_or_none(body))
    reply = _without_usage(streams.read_body(body, stream=True))
    return _with_status(reply, get(streams.last_event(body), "response"))


def body_error(body: bytes, *, stream: bool) -> str | None:
    """Return the message of an error in a stream; a failed response is fetched well."""
    return streams.body_error(body, stream=True) if stream else None


def _without_usage(reply: ModelReply) -> ModelReply:
    return replace(reply, usage=None)


def _with_status(reply: ModelReply, response: Any) -> ModelReply:
    status = get(response, "status")
    if isinstance(status, str):
        reply.attributes[semconv.RESPONSE_STATUS] = status
    return reply


__all__ = [
    "body_complete",
    "body_error",
    "body_usage",
    "message_key",
    "read_body",
    "read_message",
    "read_response",
    "read_usage",
    "request_messages",
    "request_parameters",
    "request_tools",
]
