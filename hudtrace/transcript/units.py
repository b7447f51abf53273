"""An episode as a list of what was said and done, to compare it with another."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hudtrace.transcript import conversation
from hudtrace.transcript.conversation import Transcript
from hudtrace.transcript.parts import WHOLE, Plain

_BATCH = 50  # items that are read at once
_KEPT = 20_480  # characters of a text that are kept
_BUDGET = 64 << 20  # characters of an episode that are, before it is only the first


@dataclass(slots=True)
class Unit:
    """One thing that was said or done; `digest` stands for all of its text."""

    what: str  # prompt, text, answer, reasoning, tool_call, result, reward, error
    role: str
    name: str
    text: str
    length: int
    digest: bytes
    n: int | None = None
    span_id: str | None = None
    turn: int | None = None
    arguments: Any = None

    @property
    def kind(self) -> tuple[str, str, str]:
        """What it is, whatever it says."""
        return self.what, self.role, self.name

    @property
    def key(self) -> tuple[str, str, str, bytes]:
        """What it is, and all it says."""
        return *self.kind, self.digest

    def side(self, longest: int) -> Plain:
        """Return it as plain data, at most *longest* characters of its text."""
        return {
            "n": self.n,
            "span_id": self.span_id,
            "turn": self.turn,
            "role": self.role,
            "name": self.name,
            "text": self.text[:longest],
            "length": self.length,
        }


def units(db: sqlite3.Connection, transcript: Transcript) -> list[Unit]:
    """Return everything that was said and done in an episode, in order."""
    found: list[Unit] = []
    left = _BUDGET
    for start in range(0, len(transcript.entries), _BATCH):
        for item in conversation.page(db, transcript, start, _BATCH, WHOLE):
            for unit in _of_item(item):
                unit.text = unit.text[: _KEPT if left > 0 else 200]
                left -= len(unit.text)
                found.append(unit)
    return found


def _of_item(item: Plain) -> Iterator[Unit]:
    for unit in _said(item):
        unit.span_id = unit.span_id or item.get("span_id")
        unit.turn = item.get("turn")
        yield unit


def _said(item: Plain) -> Iterator[Unit]:
    kind = item["kind"]
    if kind == "call":
        for message in item["new"]:
            given = message["role"] in ("system", "developer", "user")
            what = "prompt" if given and not message["output"] else "text"
            yield from _of_parts(message["parts"], what, message["role"], message["n"])
        if item["error"]:
            yield _error(item["error"])
    elif kind == "tool":
        yield from _of_parts([item["part"]], "tool_call", "tool", None)
    elif kind == "reward":
        value = "none" if item["value"] is None else f"{item['value']:g}"
        told = f"{value}\n{item['explanation'] or ''}".strip()
        yield _unit("reward", "", str(item["name"]), told)
    elif kind == "error":
        yield _error(item)
    else:
        what = kind if kind in ("prompt", "answer") else "text"
        yield from _of_parts(item["parts"], what, kind, None)


def _of_parts(
    parts: list[Plain], what: str, role: str, n: int | None
) -> Iterator[Unit]:
    for part in parts:
        if part["type"] == "tool_call":
            yield from _of_call(part, n)
        elif part["type"] == "tool_call_response":
            yield _unit("result", "tool", "", _words(part["result"]["parts"]), n)
        else:
            kind = "reasoning" if part["type"] == "reasoning" else what
            yield _unit(kind, str(role), "", _words([part]), n)


def _of_call(part: Plain, n: int | None) -> Iterator[Unit]:
    arguments = part["arguments"]
    given = arguments if isinstance(arguments, str) else _json(arguments)
    asked = _unit("tool_call", "assistant", str(part["name"]), given, n)
    asked.arguments, asked.span_id = arguments, part["span_id"]
    yield asked
    if part["result"] is not None:
        said = _words(part["result"]["parts"])
        result = _unit("result", "tool", str(part["name"]), said, part["result"]["n"])
        result.span_id = part["span_id"]
        yield result


def _error(error: Plain) -> Unit:
    told = f"{error.get('type')}: {error.get('message')}"
    return _unit("error", "", str(error.get("type")), told)


def _unit(what: str, role: str, name: str, text: str, n: int | None = None) -> Unit:
    digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()[:16]
    return Unit(what, role, name, text, len(text), digest, n)


def _words(parts: list[Plain]) -> str:
    said = []
    for part in parts:
        if "text" in part:
            said.append(str(part["text"]))
        else:
            rest = {key: value for key, value in part.items() if key != "href"}
            said.append(_json(rest))
    return "\n".join(said)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1)
