"""Conversations that came inline in a span, to be stored as chains of messages.

Each model call repeats the whole conversation; kept as a chain, what is repeated is
stored once. Only what can be put together again to the same text is taken out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from hudtrace import semconv
from hudtrace.messages import to_json
from hudtrace.tracing.content import Encoded, content_hash
from hudtrace.tracing.redaction import Redactor

_KEYS = (semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES, semconv.TOOL_DEFINITIONS)
_blank = re.compile(r"[ \t\n\r]*")


@dataclass(slots=True)
class Inline:
    """The conversation of one span, taken out of it."""

    input: list[Encoded] = field(default_factory=list)
    output: list[Encoded] = field(default_factory=list)
    tools: Encoded | None = None


def take_out(span: Any, redactor: Redactor) -> Inline | None:
    """Take the conversation out of an OTLP `Span`; None if it has to stay there.

    It stays if it is not JSON text in the form of the conventions, or where it would
    be put together to another text. Messages are redacted as they are taken.
    """
    found = _texts(span.attributes)
    if found is None:
        return None
    taken = Inline()
    given, said, tools = (found.get(key) for key in _KEYS)
    if given is not None:
        messages = _messages(given, redactor)
        if messages is None:
            return None
        taken.input = messages
    if said is not None:
        messages = _messages(said, redactor)
        if messages is None:
            return None
        taken.output = messages
    if not (taken.input or taken.output):
        return None
    if tools is not None:
        taken.tools = _tools(tools, redactor)
    # An empty list is nothing that a chain could hold.
    gone = {
        key
        for key, some in zip(
            _KEYS, (taken.input, taken.output, taken.tools), strict=True
        )
        if some
    }
    for index in reversed(range(len(span.attributes))):
        if span.attributes[index].key in gone:
            del span.attributes[index]
    return taken


def _texts(attributes: Iterable[Any]) -> dict[str, str] | None:
    """Return the inline content by its key, None if one is there twice or no text."""
    found: dict[str, str] = {}
    for pair in attributes:
        if pair.key not in _KEYS:
            continue
        if pair.key in found or pair.value.WhichOneof("value") != "string_value":
            return None
        found[pair.key] = pair.value.string_value
    return found


def _messages(text: str, redactor: Redactor) -> list[Encoded] | None:
    """Split a JSON list of messages; None if it is anything else."""
    items = _split(text)
    if items is None or not all(_is_message(value) for _, value in items):
        return None
    return [_encoded(item, value, redactor) for item, value in items]


def _tools(text: str, redactor: Redactor) -> Encoded | None:
    try:
        value = _decoder.decode(text)
    except (ValueError, RecursionError):
        return None
    return _encoded(text, value, redactor) if isinstance(value, list) else None


def _encoded(text: str, value: Any, redactor: Redactor) -> Encoded:
    if not redactor.keeps(text):
        clean = redactor.value(value)
        if clean != value:
            text = to_json(clean)
    body = text.encode()
    return Encoded(content_hash(body), body)


def _is_message(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("role"), str):
        return False
    parts = value.get("parts")
    return isinstance(parts, list) and all(isinstance(part, dict) for part in parts)


def _split(text: str) -> list[tuple[str, Any]] | None:
    """Return the items of a JSON list, each as its text and its value.

    The texts, with commas between and in brackets, are the whole: what is blank
    between items belongs to them.
    """
    end = len(text) - 1
    if not (text.startswith("[") and text.endswith("]")) or end < 1:
        return None
    items: list[tuple[str, Any]] = []
    start = 1
    while True:
        try:
            value, at = _decoder.raw_decode(text, _skip(text, start))
        except (ValueError, RecursionError):
            return [] if not items and _skip(text, 1) == end else None
        at = _skip(text, at)
        items.append((text[start:at], value))
        if at == end:
            return items
        if text[at] != ",":
            return None
        start = at + 1


def _skip(text: str, at: int) -> int:
    blank = _blank.match(text, at)
    return at if blank is None else blank.end()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse)
