"""Streams and bodies of Anthropic Messages, whole or cut off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hudtrace.dialects.anthropic_messages.reading import read_response, read_usage
from hudtrace.dialects.fields import get, json_or_none, plain, text_or_none
from hudtrace.messages import ModelReply, Usage

Json = dict[str, Any]


class StreamFold:
    """Puts the events of a stream together.

    Reads those of the API; the ones that the SDK's helpers add are passed
    over. `size` is the bytes held, roughly.
    """

    __slots__ = ("_blocks", "_head", "_usage", "chunks", "size")

    def __init__(self) -> None:
        self.chunks = 0
        self.size = 0
        self._head: Json = {}
        self._usage: Json = {}
        self._blocks: dict[int, _Block] = {}

    def add(self, event: Any) -> None:
        """Take in one event, as the SDK's object or as a dict."""
        self.chunks += 1
        kind = get(event, "type")
        if kind == "content_block_delta":
            self.size += self._block(event).add(get(event, "delta"))
        elif kind == "content_block_start":
            self.size += 2000
            self._block(event).start(get(event, "content_block"))
        elif kind == "message_start":
            self.size += 2000
            self._take(get(event, "message"))
        elif kind == "message_delta":
            self.size += 1000
            self._take(get(event, "delta"))
            self._count(get(event, "usage"))

    @property
    def finished(self) -> bool:
        """Whether the model said that it had come to its end."""
        return self._head.get("stop_reason") is not None

    @property
    def usage(self) -> Usage | None:
        """The tokens reported so far."""
        return read_usage({"usage": self._usage})

    def reply(self) -> ModelReply:
        """Return what the stream has said so far."""
        if not self._head and not self._blocks:
            return ModelReply([])
        content = [self._blocks[index].whole() for index in sorted(self._blocks)]
        return read_response({**self._head, "usage": self._usage, "content": content})

    def _block(self, event: Any) -> _Block:
        index = get(event, "index")
        return self._blocks.setdefault(index if isinstance(index, int) else 0, _Block())

    def _take(self, message: Any) -> None:
        for key in ("id", "model", "stop_reason"):
            value = get(message, key)
            if value is not None:
                self._head[key] = value
        self._count(get(message, "usage"))

    def _count(self, usage: Any) -> None:
        """Take over counts: each is the total so far, those left out stand."""
        counts = plain(usage)
        if isinstance(counts, dict):
            self._usage |= {k: v for k, v in counts.items() if v is not None}


class _Block:
    """One content block of a stream while it is put together."""

    __slots__ = ("_citations", "_json", "_start", "_texts")

    def __init__(self) -> None:
        self._start: Json = {}
        self._texts: dict[str, list[str]] = {}
        self._json: list[str] = []
        self._citations: list[Any] = []

    def start(self, block: Any) -> None:
        wire = plain(block)
        if isinstance(wire, dict):
            self._start = wire

    def add(self, delta: Any) -> int:
        """Take in one delta, and return how many bytes it holds."""
        kind = get(delta, "type")
        if isinstance(kind, str) and kind in _TEXT_OF:
            key = _TEXT_OF[kind]
            text = get(delta, key)
            if isinstance(text, str):
                pieces = (
                    self._json if kind == _JSON else self._texts.setdefault(key, [])
                )
                pieces.append(text)
                return 60 + len(text)
        wire = plain(delta)
        if isinstance(wire, dict):
            self._add_other(wire)
        return 1000

    def _add_other(self, delta: Json) -> None:
        """Take in a delta of a rarer kind: texts grow, other values replace."""
        self._start.setdefault("type", str(delta.get("type")).removesuffix("_delta"))
        if "citation" in delta:
            self._citations.append(delta["citation"])
        for key, value in delta.items():
            if isinstance(value, str) and key != "type":
                self._texts.setdefault(key, []).append(value)
            elif key not in ("type", "citation") and value is not None:
                self._start[key] = value

    def whole(self) -> Json:
        block = {"type": "text", **self._start}
        for key, pieces in self._texts.items():
            before = block.get(key)
            block[key] = "".join([before if isinstance(before, str) else "", *pieces])
        if self._citations:
            before = block.get("citations")
            earlier = before if isinstance(before, list) else []
            block["citations"] = [*earlier, *self._citations]
        text = "".join(self._json)
        if text:
            read = json_or_none(text.encode("utf-8", "replace"))
            block["input"] = read if isinstance(read, dict) else text
        return block


_JSON = "input_json_delta"
_TEXT_OF = {"text_delta": "text", "thinking_delta": "thinking", _JSON: "partial_json"}


def delta_text(event: Any) -> str | None:
    """Return the text that an event adds to the answer."""
    if get(event, "type") == "content_block_delta":
        return text_or_none(get(get(event, "delta"), "text"))
    return None


def read_body(body: bytes, *, stream: bool) -> ModelReply:
    """Read the bytes of a response, of which the end may be missing."""
    if not stream and not body.lstrip().startswith((b"event:", b"data:")):
        return read_response(json_or_none(body))
    fold = StreamFold()
    for event in _events(body):
        fold.add(event)
    return fold.reply()


def body_usage(body: bytes, *, stream: bool) -> Usage | None:
    """Find the usage in the bytes of a response without reading the rest."""
    if not stream:
        return read_usage(json_or_none(body))
    fold = StreamFold()
    for event in _events(body, having=b'"usage"'):
        fold.add(event)
    return fold.usage


def body_error(body: bytes, *, stream: bool) -> str | None:
    """Return the message of an error that the server sent instead of an answer."""
    events = _events(body, having=b'"error"') if stream else [json_or_none(body)]
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
    return b'"type":"message_stop"' in tail or b'"stop_reason":"' in tail


def _events(body: bytes, *, having: bytes = b"") -> Iterator[Any]:
    for line in body.splitlines():
        if line.startswith(b"data:") and having in line:
            event = json_or_none(line[5:])
            if event is not None:
                yield event
