"""An episode as Markdown: what anybody can read, and nothing that acts.

All that models, tools and users have said stands in fenced blocks, which no renderer
takes for markup.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hudtrace.messages import encodable
from hudtrace.progress import duration
from hudtrace.store import queries
from hudtrace.terminal import one_line, visible
from hudtrace.transcript import conversation
from hudtrace.transcript.facts import call_figures, facts, title
from hudtrace.transcript.parts import WHOLE, Plain

_ACTING = re.compile(r"([\\`*_\[\]<>#!|~&$@])")
_TICKS = re.compile("`+")


def text(db: sqlite3.Connection, trace_id: str) -> str:
    """Return an episode, or any other trace, as Markdown."""
    transcript = conversation.read(db, trace_id)
    episode = queries.episode(db, trace_id)
    lines = [f"# {inline(title(episode, transcript))}", "", "| | |", "|---|---|"]
    lines += [
        f"| {name} | {inline(value)} |" for name, value in facts(episode, transcript)
    ]
    for item in conversation.page(db, transcript, 0, len(transcript.entries), WHOLE):
        lines += ["", *_item(item)]
    return encodable("\n".join(lines)) + "\n"


def _item(item: Plain) -> Iterator[str]:
    kind = item["kind"]
    if kind == "call":
        yield from _call(item)
    elif kind == "tool":
        yield f"## {inline(item['name'])}{_took(item['duration'])}"
        yield from _tool_call(item["part"])
    elif kind == "reward":
        yield from _reward(item)
    elif kind == "error":
        yield f"## Error: {inline(item.get('type'))}"
        yield from fenced(item.get("stacktrace") or item.get("message"))
    else:
        yield f"## {kind.capitalize()}"
        yield from _parts(item["parts"])


def _call(item: Plain) -> Iterator[str]:
    where = [item["phase"] or "", f"turn {item['turn']}" if item["turn"] else ""]
    if item["thread"]:
        where.append(f"thread {item['thread']}")
    told = ", ".join(filter(None, where))
    yield f"## {inline(item['name'])}{f' — {told}' if told else ''}"
    yield ""
    yield inline("; ".join(call_figures(item)))
    if item["rewritten_at"] is not None:
        yield ""
        yield f"**History rewritten after message {item['rewritten_at']}**"
    for message in item["new"]:
        yield ""
        yield f"**{inline(message['role'])}** \\#{message['n']}"
        yield from _parts(message["parts"])
    if item["error"]:
        yield ""
        yield f"**Error: {inline(item['error']['type'])}**"
        yield from fenced(item["error"]["message"])


def _parts(parts: Iterable[Plain]) -> Iterator[str]:
    for part in parts:
        kind = part["type"]
        if kind == "tool_call":
            yield from _tool_call(part)
        elif kind == "tool_call_response":
            yield ""
            yield f"→ response to {inline(part['id'])}"
            yield from _parts(part["result"]["parts"])
        elif kind == "text":
            yield from fenced(part["text"])
        elif kind == "reasoning":
            yield ""
            yield "reasoning:"
            yield from fenced(part["text"])
        else:
            yield ""
            yield inline(_named(part))


def _tool_call(part: Plain) -> Iterator[str]:
    failed = ", failed" if part["error"] else ""
    yield ""
    yield f"→ {inline(part['name'])}{_took(part['duration'])}{failed}"
    arguments = part["arguments"]
    if isinstance(arguments, str):
        yield from fenced(arguments)
    else:
        given = json.dumps(arguments, ensure_ascii=False, indent=2)
        yield from fenced(given, "json")
    if part["result"] is None:
        yield ""
        yield "no result"
    else:
        n = part["result"]["n"]
        yield ""
        yield "← result" if n is None else f"← result \\#{n}"
        yield from _parts(part["result"]["parts"])


def _reward(item: Plain) -> Iterator[str]:
    value = "none" if item["value"] is None else f"{item['value']:g}"
    marks = [item["label"] or "", "later verdict" if item["late"] else ""]
    marks.append("" if item["effective"] else "superseded")
    told = ", ".join(filter(None, marks))
    yield f"## {inline(item['name'])}: {value}{f' ({inline(told)})' if told else ''}"
    if item["evaluator"]:
        yield ""
        yield f"by {inline(item['evaluator'])} ({inline(item['kind_of'] or 'unknown kind')})"
    if item["explanation"]:
        yield from fenced(item["explanation"])


def _named(part: Mapping[str, Any]) -> str:
    if part["type"] == "blob":
        what = part.get("mime_type") or part.get("modality") or "file"
        return f"[{what}, {part['size']} bytes]"
    if part["type"] == "uri":
        return f"[{part.get('modality') or 'file'}: {part['uri']}]"
    return f"[{part['type']}: {json.dumps(part.get('json'), ensure_ascii=False)}]"


def _took(nanoseconds: int | None) -> str:
    return "" if nanoseconds is None else f" ({duration(nanoseconds / 1e9)})"


def fenced(content: Any, kind: str = "text") -> Iterator[str]:
    """Return *content* between fences that are longer than any in it."""
    shown = visible(content if isinstance(content, str) else str(content))
    longest = max((len(ticks) for ticks in _TICKS.findall(shown)), default=0)
    fence = "`" * max(3, longest + 1)
    yield ""
    yield f"{fence}{kind}"
    yield shown
    yield fence


def inline(value: Any) -> str:
    """Return *value* on one line, with nothing in it that Markdown acts on."""
    return _ACTING.sub(r"\\\1", one_line(str(value)))
