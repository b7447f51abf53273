"""How a call goes on with one before it, where its messages alone do not say so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from hudtrace import semconv
from hudtrace.messages import Message, text_of, tool_calls_of
from hudtrace.transcript.calls import Call, Messages
from hudtrace.transcript.rows import detail

_ECHO = 8  # messages that one reply may come back as
_KEEPS = "responses"  # the API whose conversations stay with the provider


@dataclass(slots=True)
class Placed:
    """A call in its thread: the end of its input, and the replies to that so far."""

    call: Call
    at: bytes | None
    length: int
    replies: list[bytes]


def drop_echo(call: Call, before: Placed, messages: Messages) -> None:
    """Count what the model said before as history, where it came back changed.

    Most clients send less than they got: reasoning is left out, and what only one
    of several choices said.
    """
    if not before.replies:
        return
    read = messages.read([*before.replies, *call.input[:_ECHO]])
    said = [_gist([read[key]]) for key in before.replies if key in read]
    echo: list[Message] = []
    for key in call.input[:_ECHO]:
        if key not in read or read[key]["role"] != "assistant":
            break
        echo.append(read[key])
        if _gist(echo) in said:
            call.history += len(echo)
            call.input = call.input[len(echo) :]
            return
    call.rewritten_at = before.length


class ProviderHeld:
    """Finds what goes before a call whose history is with the provider."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._unread: list[Placed] = []
        self._known: dict[str, Placed] = {}

    def note(self, placed: Placed) -> None:
        """Take a call, in case that another goes on with it."""
        self._unread.append(placed)

    def before(self, call: Call) -> Placed | None:
        """Return the call that *call* names as the one before it."""
        own = self._facts(call)
        name = own.get(semconv.REQUEST_PREVIOUS_RESPONSE)
        if name is None and own.get(semconv.OPENAI_API_TYPE) == _KEEPS:
            name = own.get(semconv.CONVERSATION_ID)
        if name is None:
            return None
        for placed in self._unread:
            facts = self._facts(placed.call)
            for key in (semconv.RESPONSE_ID, semconv.CONVERSATION_ID):
                if key in facts:
                    self._known[str(facts[key])] = placed
        self._unread.clear()
        return self._known.get(str(name))

    def _facts(self, call: Call) -> dict[str, object]:
        return detail(
            self._messages.db, self._messages.trace_id, call.row.span_id
        ).attributes


def _gist(messages: Sequence[Message]) -> str:
    """Return what was said and asked for, without reasoning and ids of items."""
    text = "\n".join(filter(None, map(text_of, messages)))
    calls = [
        (part.get("id"), part.get("name"), part.get("arguments"))
        for message in messages
        for part in tool_calls_of(message)
    ]
    return json.dumps([text, calls], sort_keys=True, default=str)
