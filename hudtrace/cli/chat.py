"""A conversation on a terminal: each message once, each tool call with its result."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator

from hudtrace import semconv
from hudtrace.cli import text
from hudtrace.transcript import conversation
from hudtrace.transcript.parts import WHOLE, Plain

_BATCH = 50  # items that are read at once


def chat_lines(
    db: sqlite3.Connection, trace_id: str, *, full: bool = False
) -> Iterator[str]:
    """Return what was said in a trace; long texts are shortened but with *full*."""
    width = None if full else max(60, text.screen_width() - 12) * 3
    transcript = conversation.read(db, trace_id)
    place = (semconv.PHASE_AGENT, 0)
    for start in range(0, len(transcript.entries), _BATCH):
        for item in conversation.page(db, transcript, start, _BATCH, WHOLE):
            if item["kind"] == "call":
                here = (item["phase"] or semconv.PHASE_AGENT, item["thread"])
                if here != place:
                    place = here
                    told = f", thread {here[1]}" if here[1] else ""
                    yield f"{'':>9}  ── {here[0]}{told}: {text.one_line(item['name'])} ──"
            yield from _item(item, width)


def history_lines(
    db: sqlite3.Connection, trace_id: str, span_id: str, *, full: bool = False
) -> Iterator[str]:
    """Return all that one model call was given, and what it answered."""
    width = None if full else max(60, text.screen_width() - 12) * 3
    found = conversation.history(db, trace_id, span_id, 0, 100_000)
    for message in found[1] if found else ():
        yield from _message(message, width)


def _item(item: Plain, width: int | None) -> Iterator[str]:
    kind = item["kind"]
    if kind == "call":
        if item["rewritten_at"] is not None:
            after = f"after message {item['rewritten_at']}"
            yield f"{'':>9}  ── history rewritten {after} ──"
        for message in item["new"]:
            yield from _message(message, width)
        if item["error"] is not None:
            told = f"{item['error']['type']}: {item['error']['message']}"
            yield _line("error", told, width)
    elif kind == "tool":
        yield from _parts("tool", [item["part"]], width)
    elif kind == "prompt":
        yield from _parts("prompt", item["parts"], width)


def _message(message: Plain, width: int | None) -> Iterator[str]:
    yield from _parts(str(message["role"]), message["parts"], width)


def _parts(role: str, parts: Iterable[Plain], width: int | None) -> Iterator[str]:
    for part in parts:
        if part["type"] == "tool_call":
            arguments = json.dumps(part["arguments"], ensure_ascii=False)
            yield _line(role, f"{part['name']}({arguments})", width)
        if part["type"] in ("tool_call", "tool_call_response"):
            result = part["result"]
            if result is not None:
                said = "\n".join(map(_said, result["parts"]))
                yield _line("tool", f"→ {said}", width)
        else:
            yield _line(role, _said(part), width)


def _said(part: Plain) -> str:
    kind = part["type"]
    if kind in ("text", "reasoning"):
        return str(part["text"])
    if kind == "blob":
        mime = part.get("mime_type") or "unknown type"
        return f"[{part.get('modality') or 'file'}: {mime}, {part['size']} bytes]"
    if kind == "uri":
        return f"[{part.get('modality') or 'file'}: {part['uri']}]"
    return json.dumps(part, ensure_ascii=False)


def _line(role: str, said: str, width: int | None) -> str:
    body = said if width is None else text.shorten(said, width)
    return f"{text.one_line(role):>9}  {body}"
