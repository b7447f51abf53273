"""OpenAI's legacy completions, as far as they are recorded: a text goes on.

Only the reading half of a dialect: there are no tools and no messages to
write. Source: OpenAI API reference, completions (legacy).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from hudtrace.dialects import openai_chat
from hudtrace.dialects.fields import get, json_or_none, list_of
from hudtrace.dialects.openai_chat import (
    body_complete,
    body_error,
    body_usage,
    read_usage,
    request_parameters,
)
from hudtrace.dialects.openai_responses.streams import events_of
from hudtrace.messages import Message, ModelReply

Json = dict[str, Any]


def request_messages(body: Mapping[str, Any]) -> list[Any]:
    """Return the prompts of a request: texts, or lists of token ids."""
    prompt = body.get("prompt")
    if isinstance(prompt, str):
        return [prompt]
    prompts = list_of(prompt)
    return [prompts] if prompts and isinstance(prompts[0], int) else prompts


def message_key(wire: Any) -> Hashable | None:
    """Return a text as its own key."""
    return wire if isinstance(wire, str) else None


def read_message(wire: Any) -> Message:
    """Read one prompt as a message of the user."""
    if isinstance(wire, str):
        return {"role": "user", "parts": [{"type": "text", "content": wire}]}
    return {"role": "user", "parts": [{"type": "tokens", "content": wire}]}


def request_tools(body: Mapping[str, Any]) -> list[Any]:
    """Return no tools: there are none here."""
    return []


def read_response(response: Any) -> ModelReply:
    """Read a completion: each of its texts is a message of the assistant."""
    choices = [
        {**choice, "message": choice.pop("delta")} for choice in _choices(response)
    ]
    keys = ("id", "model", "usage", "system_fingerprint")
    head = {key: get(response, key) for key in keys}
    return openai_chat.read_response({**head, "choices": choices})


def read_body(body: bytes, *, stream: bool) -> ModelReply:
    """Read the bytes of a response, of which the end may be missing."""
    if not stream:
        return read_response(json_or_none(body))
    fold = openai_chat.StreamFold()
    for event in events_of(body):
        if isinstance(event, dict):
            fold.add({**event, "choices": _choices(event)})
    return fold.reply()


def _choices(response: Any) -> list[Json]:
    """Return the choices of a completion as the chunks of a chat have them."""
    return [
        {
            "index": get(choice, "index"),
            "delta": {"role": "assistant", "content": get(choice, "text")},
            "finish_reason": get(choice, "finish_reason"),
            "logprobs": get(choice, "logprobs"),
        }
        for choice in list_of(get(response, "choices"))
    ]


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
