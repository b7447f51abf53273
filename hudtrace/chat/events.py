"""What a chat answers, at once or as it arrives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hudtrace.messages import Usage
from hudtrace.toolbox import ToolRecord


@dataclass(frozen=True, slots=True)
class ChatReply:
    """The model's answer to one message.

    `answer` is its last text, `tool_calls` what it had called until then,
    `usage` the tokens that it reported. `stopped_by` is "turns" where it was
    still calling tools when its steps were used up.
    """

    answer: str
    tool_calls: Sequence[ToolRecord] = ()
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    stopped_by: str | None = None

    def __str__(self) -> str:
        return self.answer


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text."""

    text: str
    type: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The model calls a tool; `arguments` is None where they could not be read."""

    name: str
    arguments: dict[str, Any] | None
    id: str | None
    type: Literal["tool_call"] = "tool_call"


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """A tool has returned; `result` is what the model is given, as text."""

    name: str
    result: str
    is_error: bool
    id: str | None
    type: Literal["tool_result"] = "tool_result"


@dataclass(frozen=True, slots=True)
class Done:
    """The answer is complete."""

    reply: ChatReply
    type: Literal["done"] = "done"


ChatEvent = TextDelta | ToolCalled | ToolReturned | Done
Emit = Callable[[ChatEvent], None]
