"""OpenAI's embeddings, as far as they are recorded: model, tokens, dimensions.

Neither the texts nor the vectors are: they are no conversation, and large.
Source: OpenAI API reference, embeddings.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from typing import Any

from hudtrace import semconv
from hudtrace.dialects.fields import get, json_or_none, text_or_none
from hudtrace.dialects.openai_chat import body_error, read_usage
from hudtrace.messages import Message, ModelReply, Usage

Json = dict[str, Any]
_USAGE = re.compile(rb'"usage"\s*:\s*(\{[^{}]*\})')
_MODEL = re.compile(rb'"model"\s*:\s*("[^"\\]{1,200}")')


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
    parameters: Json = {}
    dimensions, encoding = body.get("dimensions"), body.get("encoding_format")
    if isinstance(dimensions, int):
        parameters[semconv.EMBEDDINGS_DIMENSIONS] = dimensions
    if isinstance(encoding, str):
        parameters[semconv.REQUEST_ENCODING_FORMATS] = [encoding]
    return parameters


def read_response(response: Any) -> ModelReply:
    """Read what is not a vector."""
    model = text_or_none(get(response, "model"))
    return ModelReply([], model=model, usage=read_usage(response))


def read_body(body: bytes, *, stream: bool) -> ModelReply:
    """Find the model and the usage in the bytes of a response."""
    usage = body_usage(body, stream=stream)
    return ModelReply([], model=text_or_none(_found(_MODEL, body)), usage=usage)


def body_usage(body: bytes, *, stream: bool) -> Usage | None:
    """Find the usage in the bytes of a response without reading the rest."""
    return read_usage({"usage": _found(_USAGE, body)})


def body_complete(body: bytes, *, stream: bool) -> bool:
    """Say whether the response is there to its end."""
    return body.rstrip().endswith(b"}") and json_or_none(body) is not None


def _found(pattern: re.Pattern[bytes], body: bytes) -> Any:
    # What is not a vector stands at one of the ends.
    found = pattern.search(body[-4096:]) or pattern.search(body[:4096])
    return None if found is None else json_or_none(found.group(1))


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
