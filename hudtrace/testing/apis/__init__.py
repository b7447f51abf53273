"""The APIs that the scripted model serves, each checked as its provider would.

An API is a class made once for each server. `matches` says whether a path is
its own, `accept` checks a request and returns it as scripts see it, `events`
and `body` write an answer, `error_body` an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from hudtrace.messages import ModelReply
from hudtrace.testing.apis.anthropic_messages import AnthropicMessages
from hudtrace.testing.apis.gemini import Gemini
from hudtrace.testing.apis.openai_chat import OpenAIChat
from hudtrace.testing.apis.openai_responses import OpenAIResponses

Json = dict[str, Any]


class Api(Protocol):
    """One wire format as a server speaks it."""

    reply_id: str  # how the ids of its answers and of its tool calls begin
    call_id: str

    @property
    def dialect(self) -> Any:
        """The module of `hudtrace.dialects` that reads and writes it."""

    def matches(self, method: str, path: str) -> bool:
        """Say whether *path* (its query included) belongs to this API."""

    def accept(self, method: str, path: str, request: Any) -> Json:
        """Return a request with its `model` and `stream`; raises `BadRequest`."""

    def recall(self, method: str, path: str, request: Json) -> Json | None:
        """Return an answer that needs no script, None if this needs one."""

    def body(self, answer: ModelReply, request: Json) -> Json:
        """Return the JSON body of an answer."""

    def events(self, answer: ModelReply, request: Json) -> Iterator[bytes]:
        """Return the server-sent events of a streamed answer, its end included."""

    def error_body(self, status: int, message: str, param: str | None) -> Json:
        """Return an error in the API's own form."""


#: Asked in this order.
APIS: tuple[Callable[[], Api], ...] = (
    OpenAIChat,
    OpenAIResponses,
    AnthropicMessages,
    Gemini,
)
