"""Streams and bodies of OpenAI Chat Completions, whole or cut off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hudtrace.dialects.fields import (
    get,
    json_or_none,
    list_of,
    plain,
    text_or_none,
)
from hudtrace.dialects.openai_chat.reading import (
    finish_reason,
    logprobs_of,
    read_message,
    read_response,
    read_usage,
    response_attributes,
)
from hudtrace.messages import ModelReply, Usage

Json = dict[str, Any]


class StreamFold:
    """Puts the chunks of a stream together; keeps as little of each as it can.

    A chunk that only adds text to the first choice leaves its string; any
    other is kept whole. `size` is the bytes held, roughly.
    """

    __slots__ = ("_kept", "chunks", "size", "usage")

    def __init__(self) -> None:
        self.chunks = 0
        self.size = 0
        self.usage: Usage | None = None
        self._kept: list[Any] = []

    def add(self, chunk: Any) -> None:
        """Take in one chunk, as the SDK's object or as a dict."""
        self.chunks += 1
        text = _plain_delta(chunk) if self._kept else None
        if text is None:
            self._kept.append(chunk)
            self.size += 2000
            self.usage = read_usage(chunk) or self.usage
        else:
            self._kept.append(text)
            self.size += 60 + len(text)

    @property
    def finished(self) -> bool:
        """Whether the model said that it had come to its end."""
        return any(
            get(choice, "finish_reason") is not None
            for chunk in self._kept
            if not isinstance(chunk, str)
            for choice in list_of(get(chunk, "choices"))
        )

    def reply(self) -> ModelReply:
        """Return what the stream has said so far."""
        choices: dict[int, _Choice] = {}
        first = _Choice()  # the one that plain deltas are of
        head: dict[str, Any] = {}
        for chunk in self._kept:
            if isinstance(chunk, str):
                first.text.append(chunk)
                continue
            for key in ("id", "model", "system_fingerprint", "service_tier"):
                head.setdefault(key, None)
                head[key] = head[key] or get(chunk, key)
            for choice in list_of(get(chunk, "choices")):
                index = get(choice, "index")
                index = index if isinstance(index, int) else 0
                if index not in choices:
                    choices[index] = _Choice() if index else first
                choices[index].add(choice)
        if first.text:
            choices.setdefault(0, first)
        folded = [choices[index] for index in sorted(choices)]
        return ModelReply(
            messages=[read_message(choice.message()) for choice in folded],
            finish_reasons=[finish_reason(choice.finish) for choice in folded],
            id=text_or_none(head.get("id")),
            model=text_or_none(head.get("model")),
            usage=self.usage,
            attributes=response_attributes(head),
            logprobs=logprobs_of([{"logprobs": c.logprobs or None} for c in folded]),
        )


class _Choice:
    """One choice of a stream while it is put together."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.calls: dict[Any, Json] = {}
        self.logprobs: list[Any] = []
        self.finish: Any = None

    def add(self, choice: Any) -> None:
        self.finish = get(choice, "finish_reason") or self.finish
        delta = get(choice, "delta")
        for pieces, keys in (
            (self.text, ("content",)),
            (self.reasoning, ("reasoning_content", "reasoning")),
            (self.refusal, ("refusal",)),
        ):
            piece = next((get(delta, k) for k in keys if get(delta, k)), None)
            if isinstance(piece, str):
                pieces.append(piece)
        for call in list_of(get(delta, "tool_calls")):
            self._add_call(call)
        legacy = get(delta, "function_call")
        if legacy:
            self._add_call({"index": "legacy", "function": legacy})
        tokens = get(get(choice, "logprobs"), "content")
        self.logprobs += [plain(token) for token in list_of(tokens)]

    def _add_call(self, call: Any) -> None:
        index = get(call, "index")
        if not isinstance(index, int | str):
            index = len(self.calls)
        empty = {"id": None, "function": {"name": "", "arguments": ""}}
        entry = self.calls.setdefault(index, empty)
        entry["id"] = get(call, "id") or entry["id"]
        function = get(call, "function")
        for key in ("name", "arguments"):
            piece = get(function, key)
            if isinstance(piece, str):
                entry["function"][key] += piece

    def message(self) -> Json:
        return {
            "role": "assistant",
            "content": "".join(self.text) or None,
            "reasoning_content": "".join(self.reasoning) or None,
            "refusal": "".join(self.refusal) or None,
            "tool_calls": list(self.calls.values()),
        }


def _plain_delta(chunk: Any) -> str | None:
    """Return the text of a chunk that holds nothing else, None for others."""
    try:
        if isinstance(chunk, dict):
            return _plain_wire_delta(chunk)
        choices = chunk.choices
        if len(choices) != 1 or chunk.usage is not None:
            return None
        choice = choices[0]
        delta = choice.delta
        text = delta.content
        plain = (
            type(text) is str
            and choice.index == 0
            and choice.finish_reason is None
            and choice.logprobs is None
            and delta.tool_calls is None
            and delta.refusal is None
            and delta.function_call is None
            and not delta.model_extra
        )
    except (AttributeError, TypeError, LookupError):
        return None
    return text if plain else None


def _plain_wire_delta(chunk: Json) -> str | None:
    choices = chunk.get("choices")
    if not choices or len(choices) != 1 or chunk.get("usage"):
        return None
    choice = choices[0]
    delta = choice.get("delta") or {}
    text = delta.get("content")
    if type(text) is not str or choice.get("index") != 0:
        return None
    if choice.get("finish_reason") or choice.get("logprobs"):
        return None
    for key, value in delta.items():
        if value and key not in _QUIET:
            return None
    return text


_QUIET = ("content", "role")


def delta_text(chunk: Any) -> str | None:
    """Return the text that a chunk adds to the first choice."""
    for choice in list_of(get(chunk, "choices")):
        if not get(choice, "index"):
            return text_or_none(get(get(choice, "delta"), "content"))
    return None


def read_body(body: bytes, *, stream: bool) -> ModelReply:
    """Read the bytes of a response, of which the end may be missing."""
    if not stream and not body.lstrip().startswith(b"data:"):
        return read_response(json_or_none(body))
    fold = StreamFold()
    for event in _events(body):
        fold.add(event)
    return fold.reply()


def body_usage(body: bytes, *, stream: bool) -> Usage | None:
    """Find the usage in the bytes of a response without reading the rest."""
    if not stream:
        return read_usage(json_or_none(body))
    found = max(body.rfind(b'"usage":{'), body.rfind(b'"usage": {'))
    if found < 0:
        return None
    start = body.rfind(b"data:", 0, found) + len(b"data:")
    end = body.find(b"\n", found)
    return read_usage(json_or_none(body[start:] if end < 0 else body[start:end]))


def body_error(body: bytes, *, stream: bool) -> str | None:
    """Return the message of an error that the server sent instead of an answer."""
    if stream and b'"error"' not in body:
        return None
    events = _events(body) if stream else [json_or_none(body)]
    for event in events:
        error = get(event, "error")
        if error:
            return str(get(error, "message") or error)
    return None


def body_complete(body: bytes, *, stream: bool) -> bool:
    """Say whether the model came to its end in the bytes that were read."""
    if not stream:
        return json_or_none(body) is not None
    tail = body[-4096:].replace(b" ", b"")
    return b"data:[DONE]" in tail or b'"finish_reason":"' in tail


def _events(body: bytes) -> Iterator[Any]:
    for line in body.splitlines():
        if line.startswith(b"data:"):
            event = json_or_none(line[5:])
            if event is not None:
                yield event
