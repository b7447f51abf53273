"""Gemini's embeddings, as far as they are recorded: dimensions, and tokens if told.

Neither the texts nor the vectors are: they are no conversation, and large.
Source: Gemini API reference, `models.embedContent`; Vertex AI, text embeddings.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from typing import Any

from hudtrace import semconv
from hudtrace.dialects.fields import json_or_none, list_of
from hudtrace.dialects.gemini import body_error
from hudtrace.dialects.gemini.wires import dict_of
from hudtrace.messages import Message, ModelReply, Usage

Json = dict[str, Any]
_COUNTS = re.compile(rb'"(?:token_count|promptTokenCount)"\s*:\s*(\d+)')


def request_messages(body: Mapping[str, Any]) -> list[Any]:
    """Return no messages: nothing is said here."""
    return []


def message_key(wire: Any) -> Hashable | None:
    """Return no key, as there are no messages."""
    return None


def read_message(wire: Any) -> Message:
    """Return an empty message, as there are none."""
    return {"role": "user", "parts": []}


def request_tools(body: Mapping[str, Any]) -> list[Any]:
    """Return no tools: there are none here."""
    return []


def request_parameters(body: Mapping[str, Any]) -> Json:
    """Return the request's parameters by their attribute names."""
    first = next(iter(map(dict_of, list_of(body.get("requests")))), dict_of(body))
    found = first.get("outputDimensionality")
    if found is None:
        found = dict_of(first.get("parameters")).get("outputDimensionality")
    return {semconv.EMBEDDINGS_DIMENSIONS: found} if isinstance(found, int) else {}


def read_response(response: Any) -> ModelReply:
    """Read nothing: what is not a vector is found in the bytes."""
    return ModelReply([])


def read_body(body: bytes, *, stream: bool) -> ModelReply:
    """Find the usage in the bytes of a response."""
    return ModelReply([], usage=body_usage(body, stream=stream))


def body_usage(body: bytes, *, stream: bool) -> Usage | None:
    """Add up the tokens that the bytes of a response tell of, None if they do not."""
    counts = [int(found) for found in _COUNTS.findall(body)]
    return Usage(input_tokens=sum(counts)) if counts else None


def read_usage(response: Any) -> Usage | None:
    """Return None: the bytes of a response are read instead."""
    return None


def body_complete(body: bytes, *, stream: bool) -> bool:
    """Say whether the response is there to its end."""
    return body.rstrip().endswith(b"}") and json_or_none(body) is not None


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
