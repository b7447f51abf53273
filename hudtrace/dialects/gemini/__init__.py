"""Gemini: tools, tool calls, requests, responses, streams.

Reads the JSON of the REST API, in camelCase or snake_case, and the objects of
both libraries: google-genai and the older google.generativeai. Whatever a
server or a user sends, reading never raises: what cannot be understood is kept
as it is. Source: Gemini API reference, v1beta, `models.generateContent`.
"""

from hudtrace.dialects.gemini.calls import export, parse, reply, tool_config
from hudtrace.dialects.gemini.reading import (
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
from hudtrace.dialects.gemini.streams import (
    StreamFold,
    body_complete,
    body_error,
    body_usage,
    delta_text,
    read_body,
)
from hudtrace.dialects.gemini.writing import (
    write_chunks,
    write_messages,
    write_request,
    write_response,
    write_results,
    write_usage,
)

name = "gemini"
title = "Gemini function call"

#: The key of a request's body under which the conversation is.
HISTORY = "contents"

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
    "tool_config",
    "write_chunks",
    "write_messages",
    "write_request",
    "write_response",
    "write_results",
    "write_usage",
]
