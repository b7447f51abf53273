"""Streams and bodies of Gemini, whole or cut off."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from hudtrace.dialects.fields import get, json_or_none, list_of, text_or_none
from hudtrace.dialects.gemini.reading import (
    add_block,
    add_choice,
    read_response,
    read_usage,
)
from hudtrace.dialects.gemini.wires import dict_of
from hudtrace.messages import ModelReply, Usage

Json = dict[str, Any]
_QUIET = {"candidates", "usageMetadata", "modelVersion", "responseId", "createTime"}


class StreamFold:
    """Puts the chunks of a stream together; keeps as little of each as it can.

    Each chunk is a whole response. One that only adds text leaves its string;
    any other is kept. `size` is the bytes held, roughly.
    """

    __slots__ = ("_kept", "chunks", "finished", "size", "usage")

    def __init__(self) -> None:
        self.chunks = 0
        self.size = 0
        self.usage: Usage | None = None
        self.finished = False  # the model said that it had come to its end
        self._kept: list[Any] = []

    def add(self, chunk: Any) -> None:
        """Take in one chunk, as a library's object or as a dict."""
        wire = dict_of(chunk)
        self.chunks += 1
        self.usage = read_usage(wire) or self.usage
        text = _plain_text(wire) if self._kept else None
        if text is None:
            self._kept.append(wire)
            self.size += 2000
            self.finished = self.finished or _is_end(wire)
        else:
            self._kept.append(text)
            self.size += 60 + len(text)

    def reply(self) -> ModelReply:
        """Return what the stream has said so far."""
        reply = ModelReply([], usage=self.usage)
        choices: dict[int, _Choice] = {}
        for is_text, kept in itertools.groupby(
            self._kept, lambda each: isinstance(each, str)
        ):
            if is_text:
                content = {"parts": [{"text": "".join(kept)}]}
                choices.setdefault(0, _Choice()).contents.append(content)
                continue
            for chunk in kept:
                reply.id = reply.id or text_or_none(chunk.get("responseId"))
                reply.model = reply.model or text_or_none(chunk.get("modelVersion"))
                for candidate in map(dict_of, list_of(chunk.get("candidates"))):
                    index = candidate.get("index")
                    index = index if isinstance(index, int) else 0
                    choices.setdefault(index, _Choice()).add(candidate)
        for index in sorted(choices):
            add_choice(reply, choices[index].contents, choices[index].finish)
        logprobs = [choices[index].logprobs for index in sorted(choices)]
        reply.logprobs = logprobs if any(logprobs) else None
        for chunk in self._kept:
            add_block(reply, dict_of(chunk))
        return reply


class _Choice:
    """One candidate of a stream while it is put together."""

    def __init__(self) -> None:
        self.contents: list[Any] = []
        self.finish: Any = None
        self.logprobs: list[Any] = []

    def add(self, candidate: Json) -> None:
        if candidate.get("content") is not None:
            self.contents.append(candidate["content"])
        self.finish = candidate.get("finishReason") or self.finish
        if candidate.get("logprobsResult") is not None:
            self.logprobs.append(candidate["logprobsResult"])


def _plain_text(chunk: Json) -> str | None:
    """Return the text of a chunk that holds nothing else, None for others."""
    try:
        (candidate,) = chunk["candidates"]
        (part,) = candidate["content"]["parts"]
        text = part["text"]
        plain = (
            type(text) is str
            and len(part) == 1
            and not candidate.get("index")
            and candidate.keys() <= {"content", "index"}
            and chunk.keys() <= _QUIET
        )
    except Exception:
        return None
    return text if plain else None


def _is_end(chunk: Json) -> bool:
    candidates = map(dict_of, list_of(chunk.get("candidates")))
    blocked = dict_of(chunk.get("promptFeedback")).get("blockReason")
    return bool(blocked) or any(c.get("finishReason") for c in candidates)


def delta_text(chunk: Any) -> str | None:
    """Return the text that a chunk adds to the first candidate, thoughts aside."""
    for candidate in list_of(dict_of(chunk).get("candidates"))[:1]:
        parts = list_of(get(get(candidate, "content"), "parts"))
        texts = [get(part, "text") for part in parts if not get(part, "thought")]
        return "".join(text for text in texts if isinstance(text, str))
    return None


def read_body(body: bytes, *, stream: bool) -> ModelReply:
    """Read the bytes of a response, of which the end may be missing."""
    if not stream and body.lstrip()[:1] not in (b"[", b"d"):
        return read_response(json_or_none(body))
    fold = StreamFold()
    for event in _events(body):
        fold.add(event)
    return fold.reply()


def body_usage(body: bytes, *, stream: bool) -> Usage | None:
    """Find the usage in the bytes of a response without reading the rest."""
    if not stream:
        return read_usage(json_or_none(body))
    if body.lstrip().startswith(b"["):
        found = [usage for event in _events(body) if (usage := read_usage(event))]
        return found[-1] if found else None
    end = len(body)
    while (end := body.rfind(b'"usageMetadata"', 0, end)) >= 0:
        start = body.rfind(b"data:", 0, end) + len(b"data:")
        usage = read_usage(json_or_none(body[start:].partition(b"\n")[0]))
        if usage is not None:
            return usage
    return None


def body_error(body: bytes, *, stream: bool) -> str | None:
    """Return the message of an error that the server sent instead of an answer."""
    if b'"error"' not in body:
        return None
    for event in _events(body) if stream else [json_or_none(body)]:
        error = get(event, "error")
        if error:
            return str(get(error, "message") or error)
    return None


def body_complete(body: bytes, *, stream: bool) -> bool:
    """Say whether the model came to its end in the bytes that were read."""
    if not stream:
        return json_or_none(body) is not None
    return b'"finishReason"' in body or b'"blockReason"' in body


def _events(body: bytes) -> Iterator[Any]:
    """Return the chunks of a stream: server-sent events, or one array of them."""
    if body.lstrip()[:1] in (b"[", b"{"):
        yield from _items(body.decode("utf-8", "replace"))
        return
    for line in body.splitlines():
        if line.startswith(b"data:"):
            event = json_or_none(line[5:])
            if event is not None:
                yield event


def _items(text: str) -> Iterator[Any]:
    """Return the whole objects of an array that may be cut off."""
    decoder = json.JSONDecoder()
    position = text.find("{")
    while position >= 0:
        try:
            item, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            return
        yield item
        position = text.find("{", end)
