"""Streams and bodies of OpenAI Responses, whole or cut off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hudtrace.dialects.fields import get, json_or_none, list_of, plain, text_or_none
from hudtrace.dialects.openai_responses.reading import (
    read_response,
    read_usage,
    response_error,
)
from hudtrace.messages import ModelReply, Usage

Json = dict[str, Any]
_LAST = frozenset({"response.completed", "response.incomplete", "response.failed"})
_FIRST = frozenset({"response.created", "response.queued", "response.in_progress"})
_HEAD = (
    "id",
    "model",
    "status",
    "incomplete_details",
    "usage",
    "service_tier",
    "conversation",
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the text of an event belongs in its item."""

    item: str  # the item's kind, where none was announced
    field: str  # of the item
    index: str | None = None  # the event's key for the position in a list
    block: str = ""  # the kind of that list's block
    text: str = "text"  # the block's field


_PLACES = {
    "response.output_text": _Place(
        "message", "content", "content_index", "output_text"
    ),
    "response.refusal": _Place(
        "message", "content", "content_index", "refusal", "refusal"
    ),
    "response.reasoning_text": _Place(
        "reasoning", "content", "content_index", "reasoning_text"
    ),
    "response.reasoning_summary_text": _Place(
        "reasoning", "summary", "summary_index", "summary_text"
    ),
    "response.function_call_arguments": _Place("function_call", "arguments"),
    "response.custom_tool_call_input": _Place("custom_tool_call", "input"),
    "response.mcp_call_arguments": _Place("mcp_call", "arguments"),
    "response.code_interpreter_call_code": _Place("code_interpreter_call", "code"),
}


class StreamFold:
    """Puts the events of a stream together; keeps as little of each as it can.

    The last event has the whole response, and is taken where it comes. `size`
    is the bytes held, roughly.
    """

    __slots__ = ("_error", "_final", "_head", "_items", "chunks", "size", "usage")

    def __init__(self) -> None:
        self.chunks = 0
        self.size = 0
        self.usage: Usage | None = None
        self._head: Any = None
        self._final: Any = None
        self._error = False
        self._items: dict[int, _Item] = {}

    def add(self, chunk: Any) -> None:
        """Take in one event, as the SDK's object or as a dict."""
        self.chunks += 1
        kind = get(chunk, "type")
        if not isinstance(kind, str):
            self._error = self._error or bool(get(chunk, "error"))
        elif kind in _LAST:
            self._final = get(chunk, "response")
            self.usage = read_usage(chunk)
            self.size += 4000
        elif kind in _FIRST:
            self._head = get(chunk, "response")
            self.size += 2000 if self.chunks == 1 else 0
        elif kind == "error":
            self._error = True
        else:
            self.size += self._item(chunk).add(kind, chunk)

    @property
    def finished(self) -> bool:
        """Whether the model said that it had come to its end."""
        return self._final is not None or self._error

    def reply(self) -> ModelReply:
        """Return what the stream has said so far."""
        source = self._head if self._final is None else self._final
        response = {key: get(source, key) for key in _HEAD}
        items = [self._items[index].wire() for index in sorted(self._items)]
        response["output"] = list_of(get(self._final, "output")) or items
        reply = read_response(response)
        if self._final is None and (reply.messages or self._error):
            reply.finish_reasons = ["error" if self._error else None]
        return reply

    def _item(self, chunk: Any) -> _Item:
        index = get(chunk, "output_index")
        return self._items.setdefault(index if isinstance(index, int) else 0, _Item())


class _Item:
    """One item of the output while it is put together."""

    __slots__ = ("_blocks", "_kind", "_pieces", "_whole", "_wire")

    def __init__(self) -> None:
        self._kind: str | None = None
        self._wire: Any = None
        self._whole = False
        self._blocks: dict[tuple[str, int], Json] = {}
        self._pieces: dict[tuple[_Place, int], list[str]] = {}

    def add(self, kind: str, event: Any) -> int:
        """Take in one event about this item; return the bytes it adds, roughly."""
        stem, _, ending = kind.rpartition(".")
        place = _PLACES.get(stem)
        if place is not None:
            return self._add_text(place, ending, event)
        if stem == "response.output_item":
            self._wire = get(event, "item")
            self._whole = ending == "done"
            return 1000
        if stem == "response.output_text.annotation":
            block = self._block("content", event)
            known = list_of(block.get("annotations"))
            block["annotations"] = [*known, plain(get(event, "annotation"))]
            return 200
        if stem in ("response.content_part", "response.reasoning_summary_part"):
            field = "content" if stem == "response.content_part" else "summary"
            part = plain(get(event, "part"))
            if isinstance(part, dict):
                self._block(field, event).update(part)
            return 200
        return 0

    def _add_text(self, place: _Place, ending: str, event: Any) -> int:
        position = get(event, place.index) if place.index else 0
        position = position if isinstance(position, int) else 0
        self._kind = self._kind or place.item
        if ending == "delta":
            text = get(event, "delta")
        else:
            text = get(event, place.text if place.block else place.field)
            if isinstance(text, str):
                self._pieces[place, position] = []
        if not isinstance(text, str):
            return 0
        self._pieces.setdefault((place, position), []).append(text)
        return 60 + len(text)

    def _block(self, field: str, event: Any) -> Json:
        position = get(
            event, "summary_index" if field == "summary" else "content_index"
        )
        position = position if isinstance(position, int) else 0
        return self._blocks.setdefault((field, position), {})

    def wire(self) -> Any:
        """Return the item as far as it has come."""
        wire = plain(self._wire)
        if self._whole or not isinstance(wire, dict):
            if self._whole or self._kind is None:
                return wire
            wire = {"type": self._kind}
            if self._kind == "message":
                wire["role"] = "assistant"
        blocks = {key: dict(block) for key, block in self._blocks.items()}
        wire = dict(wire)
        for (place, position), pieces in self._pieces.items():
            text = "".join(pieces)
            if place.block:
                block = blocks.setdefault((place.field, position), {})
                block.setdefault("type", place.block)
                block[place.text] = text
            else:
                wire[place.field] = text
        for field in ("summary", "content"):
            positions = sorted(at for name, at in blocks if name == field)
            if positions:
                wire[field] = [blocks[field, at] for at in positions]
        return wire


def delta_text(event: Any) -> str | None:
    """Return the text that an event adds to the answer."""
    if get(event, "type") == "response.output_text.delta":
        return text_or_none(get(event, "delta"))
    return None


def read_body(body: bytes, *, stream: bool) -> ModelReply:
    """Read the bytes of a response, of which the end may be missing."""
    if not stream and not body.lstrip().startswith((b"data:", b"event:")):
        return read_response(json_or_none(body))
    last = last_event(body)
    fold = StreamFold()
    if _ends(last) and get(get(last, "response"), "output"):
        fold.add(last)
    else:
        for event in events_of(body):
            fold.add(event)
    return fold.reply()


def body_usage(body: bytes, *, stream: bool) -> Usage | None:
    """Find the usage in the bytes of a response without reading the rest."""
    return read_usage(last_event(body) if stream else json_or_none(body))


def body_error(body: bytes, *, stream: bool) -> str | None:
    """Return the message of an error that the server sent instead of an answer."""
    last = last_event(body) if stream else json_or_none(body)
    error = response_error(get(last, "response") or last)
    if error is None and get(last, "type") == "error":
        return str(get(last, "message") or "the stream ended with an error")
    return error


def body_complete(body: bytes, *, stream: bool) -> bool:
    """Say whether the model came to its end in the bytes that were read."""
    if not stream:
        return json_or_none(body) is not None
    return _ends(last_event(body))


def _ends(event: Any) -> bool:
    kind = get(event, "type")
    return isinstance(kind, str) and (kind in _LAST or kind == "error")


def last_event(body: bytes) -> Any:
    """Return the last event in *body* that is whole, None if there is none."""
    return next(events_of(body, backwards=True), None)


def events_of(body: bytes, *, backwards: bool = False) -> Iterator[Any]:
    """Return the data of the events in *body* that are whole."""
    lines = body.splitlines()
    for line in reversed(lines) if backwards else lines:
        if line.startswith(b"data:"):
            event = json_or_none(line[5:])
            if event is not None:
                yield event
