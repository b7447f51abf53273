"""Anthropic Messages: tools, tool calls, requests, responses, streams.

Reads the SDK's objects as well as plain dicts. Whatever a server or a user
sends, reading never raises: what cannot be understood is kept as it is.
Source: Anthropic API reference, messages.
"""

from hudtrace.dialects.anthropic_messages.calls import export, parse, reply
from hudtrace.dialects.anthropic_messages.reading import (
    finish_reason,
    message_key,
    read_message,
    read_request,
    read_response,
    read_usage,
    request_messages,
    request_parameters,
    request_tools,
)
from hudtrace.dialects.anthropic_messages.streams import (
    StreamFold,
    body_complete,
    body_error,
    body_usage,
    delta_text,
    read_body,
)
from hudtrace.dialects.anthropic_messages.writing import (
    write_chunks,
    write_messages,
    write_request,
    write_response,
    write_results,
    write_usage,
)

name = "anthropic_messages"
title = "Anthropic tool_use block"

#: The key of a request's body under which the conversation is.
HISTORY = "messages"

__all__ = [
    "HISTORY",
    "StreamFold",
    "body_complete",
    "body_error",
    "body_usage",
    "delta_text",
    "export",
    "finish_reason",
    "message_key",
    "name",
    "parse",
    "read_body",
    "read_message",
    "read_request",
    "read_response",
    "read_usage",
    "reply",
    "request_messages",
    "request_parameters",
    "request_tools",
    "title",
    "write_chunks",
    "write_messages",
    "write_request",
    "write_response",
    "write_results",
    "write_usage",
]
