"""What a scripted model says: replies, and what a script may ask of a request."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from hudtrace.messages import Message, Part, Usage, response_text, text_of

Json = dict[str, Any]


@dataclass(frozen=True)
class ScriptedReply:
    """One answer: text, tool calls, or an error; and what goes wrong on the way.

    `delay` is seconds before the answer, `chunk_delay` seconds between the
    events of a stream. `cut_after` breaks the connection after so many events
    (of a stream) or bytes (of a body). `raw` is sent as it is: as the body, or
    as the only event of a stream. `parts` are sent before the text, for what
    only some APIs have.
    """

    text: str = ""
    calls: tuple[Part, ...] = ()
    usage: Usage | None = None
    reasoning: str = ""
    parts: tuple[Part, ...] = ()
    finish: str | None = None
    status: int = 200
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    chunk_delay: float = 0.0
    cut_after: int | None = None
    raw: bytes | None = None

    def but(self, **changes: Any) -> ScriptedReply:
        """Return this reply with some fields changed: `say("x").but(delay=1)`."""
        return replace(self, **changes)


def say(text: str, **options: Any) -> ScriptedReply:
    """Answer with *text*."""
    return ScriptedReply(text=text, **options)


def call(*calls: tuple[str, Mapping[str, Any] | str], text: str = "") -> ScriptedReply:
    """Ask for tool calls: `call(("lookup", {"name": "x"}), ...)`.

    Arguments given as text are sent as they are, for broken JSON.
    """
    parts = [
        Part(type="tool_call", id=None, name=name, arguments=arguments)
        for name, arguments in calls
    ]
    return ScriptedReply(text=text, calls=tuple(parts))


def error(
    status: int, message: str = "scripted error", *, retry_after: float | None = None
) -> ScriptedReply:
    """Answer with an HTTP error, in the API's own form."""
    headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
    return ScriptedReply(status=status, message=message, headers=headers)


def read_script(text: str) -> list[ScriptedReply]:
    """Read replies from JSON: a list of texts and of objects.

    An object has the fields of `ScriptedReply` that are plain data: `text`,
    `calls` (a list of `{"name", "arguments"}`), `reasoning`, `status`,
    `message`, `delay`, `chunk_delay`, `cut_after`. Raises ValueError for
    anything else.
    """
    entries = json.loads(text)
    if not isinstance(entries, list) or not entries:
        raise ValueError("a script is a JSON list of replies, not empty")
    return [_read_reply(index, entry) for index, entry in enumerate(entries)]


_PLAIN_FIELDS = {
    *("text", "calls", "reasoning", "status", "message"),
    *("delay", "chunk_delay", "cut_after"),
}


def _read_reply(index: int, entry: Any) -> ScriptedReply:
    if isinstance(entry, str):
        return say(entry)
    if not isinstance(entry, dict):
        raise ValueError(f"reply {index} is neither a text nor an object: {entry!r}")
    unknown = set(entry) - _PLAIN_FIELDS
    if unknown:
        raise ValueError(
            f"reply {index} has the unknown field {sorted(unknown)[0]!r} (there are: "
            f"{', '.join(sorted(_PLAIN_FIELDS))})"
        )
    try:
        calls = [(c["name"], c.get("arguments", {})) for c in entry.get("calls", ())]
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"reply {index}: calls is a list of {{'name', 'arguments'}}"
        ) from error
    return call(*calls).but(**{k: v for k, v in entry.items() if k != "calls"})


class ScriptedRequest(dict[str, Any]):
    """The JSON body of a request; `conversation` is the same for every API."""

    def __init__(self, body: Mapping[str, Any], dialect: Any) -> None:
        super().__init__(body)
        self.dialect = dialect

    @cached_property
    def conversation(self) -> list[Message]:
        """The messages of the request in the one internal form."""
        messages: list[Message] = self.dialect.read_request(self).messages
        return messages


Script = Sequence[ScriptedReply] | Callable[[ScriptedRequest], ScriptedReply]


def last_text(request: ScriptedRequest) -> str:
    """Return the text of the last message of a request, a tool's result included."""
    message = request.conversation[-1]
    results = _results(message)
    return "\n".join(results) if results else text_of(message)


def tool_results(request: ScriptedRequest) -> list[str]:
    """Return the tool results in a request, oldest first."""
    return [text for message in request.conversation for text in _results(message)]


def _results(message: Message) -> list[str]:
    return [
        response_text(part.get("response"))
        for part in message["parts"]
        if part.get("type") == "tool_call_response"
    ]
