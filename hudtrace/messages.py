"""The one internal form of a conversation: GenAI-convention messages.

A message is JSON by construction (a `TypedDict`), so nothing is converted to
store or send it; parts of kinds we do not know are kept as they came.
Source: semantic-conventions-genai, `model/gen-ai/gen-ai-input-messages.json`.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypedDict

Json = Any
FinishReason = str  # stop | length | content_filter | tool_call | error | as sent


class Part(TypedDict, total=False):
    """One piece of a message; `type` says which other keys are there.

    `text` and `reasoning` have content; `tool_call` has id, name and arguments
    (an object, or the model's own text where that is no JSON object);
    `tool_call_response` has id and response; `blob` has mime_type, modality
    and content (base64); `uri` has uri, modality and mime_type; `file` has
    file_id. The response of a tool is text, plain data, or a list of parts.

    What only one API wants back (signatures, ids of items, blocks of a kind that
    others do not know) is in the part under the name of that dialect, and no
    other dialect writes it.
    """

    type: str
    content: Json
    id: str | None
    name: str
    arguments: Json
    response: Json
    mime_type: str | None
    modality: str
    uri: str
    file_id: str


class Message(TypedDict):
    """One message of a conversation, whatever provider it came from."""

    role: str  # system | user | assistant | tool, or as sent
    parts: list[Part]
    name: NotRequired[str]


def text_message(role: Literal["system", "user", "assistant"], text: str) -> Message:
    """Make a message that holds one piece of text."""
    return {"role": role, "parts": [{"type": "text", "content": text}]}


class Prompt(list[Any]):
    """A scenario's prompt of several pieces: as it was yielded, and as `parts`."""

    def __init__(self, pieces: Iterable[Any], parts: Sequence[Part]) -> None:
        super().__init__(pieces)
        self.parts = list(parts)


def user_message(*contents: str | Prompt | None) -> Message:
    """Make one message of a scenario's prompt and a user's texts."""
    parts: list[Part] = []
    for content in contents:
        if isinstance(content, str):
            parts.append({"type": "text", "content": encodable(content)})
        elif content is not None:
            parts += content.parts
    return {"role": "user", "parts": parts}


def named(part: Mapping[str, Any]) -> str:
    """Return words for an image, a sound or a file, where it cannot be shown."""
    what = part.get("modality") or "file"
    if part.get("type") in ("uri", "file"):
        return f"[{what}: {part.get('uri') or part.get('file_id')}]"
    if part.get("type") != "blob":
        return f"[{part.get('type')}]"
    data = str(part.get("content") or "")
    size = len(data) * 3 // 4 - data[-2:].count("=")
    return f"[{what}: {part.get('mime_type') or 'unknown type'}, {size} bytes]"


def with_ids(messages: Iterable[Message]) -> list[Message]:
    """Return *messages* with ids for calls that came without, and for their answers.

    Gemini and some servers give none; an answer belongs to the first call that is
    open, of its name if it has one. Calls without an answer are left as they are.
    """
    made = list(messages)
    parts = [part for message in made for part in message["parts"]]
    taken = {given for part in parts if isinstance(given := part.get("id"), str)}
    fresh = (f"call_{number}" for number in itertools.count(1))
    unused = (name for name in fresh if name not in taken)
    made_up: dict[int, str] = {}  # by the identity of the part
    waiting: list[Part] = []
    for part in parts:
        if part.get("id"):
            continue
        if part.get("type") == "tool_call":
            waiting.append(part)
        elif part.get("type") == "tool_call_response":
            name = part.get("name")
            calls = [call for call in waiting if name in (None, call.get("name"))]
            if calls:
                waiting.remove(calls[0])
                made_up[id(calls[0])] = made_up[id(part)] = next(unused)
    if not made_up:
        return made
    return [
        {
            **message,
            "parts": [
                {**part, "id": made_up[id(part)]} if id(part) in made_up else part
                for part in message["parts"]
            ],
        }
        for message in made
    ]


def parts_in(response: Any) -> list[Part] | None:
    """Return what a tool responded as parts, None if it is text or plain data."""
    if not isinstance(response, list) or not response:
        return None
    return response if all(map(_is_part, response)) else None


def response_text(response: Any) -> str:
    """Return what a tool responded as text: parts with images named, data as JSON."""
    if isinstance(response, str):
        return response
    parts = [] if response == [] else parts_in(response)
    if parts is None:
        return json.dumps(response, default=str)
    return "\n".join(
        str(part["content"]) if part["type"] == "text" else named(part)
        for part in parts
    )


#: What makes a part one of those that a message and a tool's response may have.
CONTENT = {"text": "content", "blob": "content", "uri": "uri", "file": "file_id"}
_DIALECTS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini")


def _is_part(thing: Any) -> bool:
    kind = thing.get("type") if isinstance(thing, dict) else None
    if not isinstance(kind, str):
        return False
    if kind in CONTENT:
        return isinstance(thing.get(CONTENT[kind]), str)
    return any(isinstance(thing.get(name), dict) for name in _DIALECTS)


def text_of(message: Message) -> str:
    """Return the text parts of *message*, joined by newlines."""
    return "\n".join(
        str(part.get("content") or "")
        for part in message["parts"]
        if part.get("type") == "text"
    )


def tool_calls_of(message: Message) -> list[Part]:
    """Return the tool calls that *message* asks for, in order."""
    return [part for part in message["parts"] if part.get("type") == "tool_call"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call or many, and their price where it is known.

    `input_tokens` includes the cached ones, `output_tokens` the reasoning
    ones. `cost` is in US dollars; None means that the price is not known,
    which is not the same as nothing.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float | None = None

    def __add__(self, other: Usage) -> Usage:
        """Add two usages; the price is not known if that of either's tokens is not."""
        cost = None
        known = self.cost is not None or other.cost is not None
        if known and not (self._unpriced or other._unpriced):
            cost = (self.cost or 0.0) + (other.cost or 0.0)
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            cost,
        )

    @property
    def _unpriced(self) -> bool:
        return self.cost is None and bool(self.input_tokens or self.output_tokens)


@dataclass(slots=True)
class ModelRequest:
    """What one call asked of a model.

    `parameters` maps `gen_ai.request.*` attribute names to plain values;
    `tools` are the tool definitions as they were sent.
    """

    model: str | None
    messages: list[Message]
    tools: list[Json] = field(default_factory=list)
    parameters: dict[str, Json] = field(default_factory=dict)


@dataclass(slots=True)
class ModelReply:
    """What a model answered: one message and finish reason for each choice.

    `token_ids` and `logprobs` hold, for each choice, what a provider returned
    for training; they are None where it returned nothing.
    """

    messages: list[Message]
    finish_reasons: list[FinishReason | None] = field(default_factory=list)
    id: str | None = None
    model: str | None = None
    usage: Usage | None = None
    attributes: dict[str, Json] = field(default_factory=dict)
    token_ids: Sequence[Sequence[int]] | None = None
    logprobs: Sequence[Json] | None = None

    @property
    def tool_calls(self) -> list[Part]:
        """The tool calls of every choice, in order."""
        return [part for message in self.messages for part in tool_calls_of(message)]


def encodable(text: str) -> str:
    """Return *text* with `�` for halves of characters, which UTF-8 cannot say."""
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        # Two halves that belong together are one character.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def encodable_data(value: Json) -> Json:
    """Return plain data with every text in it as `encodable` has it."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {
            encodable_data(key): encodable_data(child) for key, child in value.items()
        }
    if isinstance(value, list | tuple):
        return [encodable_data(child) for child in value]
    return value


def named_numbers(value: Any) -> Any:
    """Return plain data with the names of those numbers that JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"
    if isinstance(value, dict):
        return {
            named_numbers(key): named_numbers(child) for key, child in value.items()
        }
    if isinstance(value, list | tuple):
        return [named_numbers(child) for child in value]
    return value


def to_json(value: Json) -> str:
    """Return *value* as JSON text; what JSON cannot hold becomes its `str`."""
    from pydantic_core import to_json as encode

    try:
        return encode(
            value, fallback=str, serialize_unknown=True, inf_nan_mode="constants"
        ).decode("utf-8")
    except Exception:
        # Lone surrogates and the like: kept readable, never an error.
        text = json.dumps(value, ensure_ascii=False, default=str)
        return encodable(text)
