"""OpenAI Responses: tools, tool calls, requests, responses, streams.

Reads the SDK's objects as well as plain dicts. Whatever a server or a user
sends, reading never raises: what cannot be understood is kept as it is.
Source: OpenAI API reference, responses.
"""

from hudtrace.dialects.openai_responses.answers import (
    write_chunks,
    write_response,
    write_usage,
)
from hudtrace.dialects.openai_responses.calls import export, parse, reply
from hudtrace.dialects.openai_responses.reading import (
    message_key,
    read_message,
    read_request,
    read_response,
    read_usage,
    request_messages,
    request_parameters,
    request_tools,
    response_error,
)
from hudtrace.dialects.openai_responses.streams import (
    StreamFold,
    body_complete,
    body_error,
    body_usage,
    delta_text,
    read_body,
)
from hudtrace.dialects.openai_responses.writing import (
    write_messages,
    write_request,
    write_results,
)

name = "openai_responses"
title = "OpenAI Responses function call"

#: The key of a request's body under which the conversation is.
HISTORY = "input"

__all__ = [
    "HISTORY",
    "StreamFold",
    "body_complete",
    "body_error",
    "body_usage",
    "delta_text",
    "export",
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
    "response_error",
    "title",
    "write_chunks",
    "write_messages",
    "write_request",
    "write_response",
    "write_results",
    "write_usage",
]
