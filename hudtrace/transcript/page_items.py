"""The items of a conversation as HTML: text, and images of kinds that only are images."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Iterator
from typing import Any

from hudtrace.messages import encodable
from hudtrace.progress import duration
from hudtrace.terminal import visible
from hudtrace.transcript import parts
from hudtrace.transcript.calls import Messages
from hudtrace.transcript.facts import call_figures
from hudtrace.transcript.parts import Plain

_IMAGES = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"}
)
_LARGEST_IMAGE = 4 << 20


def escaped(value: Any) -> str:
    """Return *value* as text of HTML, control characters spelled out."""
    return html.escape(visible(encodable(str(value))))


def items_html(items: Iterable[Plain], source: Messages) -> Iterator[str]:
    """Return the items one after the other, each an article with an id."""
    for item in items:
        yield f'<article id="i{item["index"]}" class="{item["kind"]}">'
        yield from _Item(source).item(item)
        yield "</article>"


class _Item:
    def __init__(self, source: Messages) -> None:
        self._source = source

    def item(self, item: Plain) -> Iterator[str]:
        kind = item["kind"]
        if kind == "call":
            yield from self._call(item)
        elif kind == "tool":
            yield f"<h3>{_span_link(item['name'], item['span_id'])}</h3>"
            yield from self._asked(item["part"])
        elif kind == "reward":
            yield from _reward(item)
        elif kind == "error":
            yield f'<h3 class="bad">Error: {escaped(item.get("type"))}</h3>'
            yield _pre(item.get("stacktrace") or item.get("message") or "")
        else:
            yield f"<h3>{kind.capitalize()}</h3>"
            yield from self._parts(item["parts"])

    def _call(self, item: Plain) -> Iterator[str]:
        yield f"<h3>{_span_link(item['name'], item['span_id'])}</h3>"
        yield f'<div class="mut">{escaped(" · ".join(_figures(item)))}</div>'
        if item["rewritten_at"] is not None:
            at = item["rewritten_at"]
            yield f'<div class="rewritten">history rewritten after message {at}</div>'
        for message in item["new"]:
            said = " output" if message["output"] else ""
            n = message["n"]
            yield f'<section id="m{n}" class="message{said}">'
            yield f"<b>{escaped(message['role'])} #{n}</b>"
            yield from self._parts(message["parts"])
            yield "</section>"
        if item["error"]:
            told = f"{item['error']['type']}: {item['error']['message']}"
            yield f'<p class="bad">{escaped(told)}</p>'

    def _parts(self, shown: Iterable[Plain]) -> Iterator[str]:
        for part in shown:
            kind = part["type"]
            if kind == "text":
                yield _pre(part["text"])
            elif kind == "reasoning":
                yield f'<div class="mut">reasoning</div>{_pre(part["text"])}'
            elif kind == "tool_call":
                yield from self._asked(part)
            elif kind == "tool_call_response":
                yield f'<div class="mut">response to {escaped(part["id"])}</div>'
                yield from self._parts(part["result"]["parts"])
            elif kind == "blob":
                yield self._blob(part)
            elif kind == "uri":
                told = f"{part.get('modality') or 'file'}: {part['uri']}"
                yield f'<p class="mut">{escaped(told)}</p>'
            else:
                data = json.dumps(part.get("json"), ensure_ascii=False, indent=2)
                yield f'<div class="mut">{escaped(kind)}</div>{_pre(data)}'

    def _asked(self, part: Plain) -> Iterator[str]:
        name = _span_link(part["name"], part["span_id"])
        took = "" if part["duration"] is None else duration(part["duration"] / 1e9)
        failed = ' <span class="bad">failed</span>' if part["error"] else ""
        yield f'<div class="asked"><b>{name}</b> <span class="mut">{took}</span>{failed}'
        arguments = part["arguments"]
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False, indent=2)
        yield _pre(arguments)
        if part["result"] is None:
            yield '<div class="mut">no result</div>'
        else:
            n = part["result"]["n"]
            yield (
                '<div class="mut">result</div>'
                if n is None
                else (f'<div class="mut" id="m{n}">result #{n}</div>')
            )
            yield from self._parts(part["result"]["parts"])
        yield "</div>"

    def _blob(self, part: Plain) -> str:
        mime = str(part.get("mime_type") or part.get("modality") or "file")
        told = escaped(f"[{mime}, {part['size']} bytes]")
        if mime not in _IMAGES or part["size"] > _LARGEST_IMAGE:
            return f'<p class="mut">{told}</p>'
        found = self._source.blob(part["href"])
        if found is None:
            return f'<p class="mut">{told}</p>'
        data = base64.b64encode(found).decode()
        return f'<img alt="{told}" src="data:{mime};base64,{data}">'


def _figures(item: Plain) -> Iterator[str]:
    yield item["phase"] or "model call"
    if item["turn"]:
        yield f"turn {item['turn']}"
    if item["thread"]:
        yield f"thread {item['thread']}"
    yield from call_figures(item)


def _reward(item: Plain) -> Iterator[str]:
    value = "none" if item["value"] is None else f"{item['value']:g}"
    marks = [item["label"] or "", "later verdict" if item["late"] else ""]
    marks.append("" if item["effective"] else "superseded")
    told = ", ".join(filter(None, marks))
    yield f"<h3>{escaped(item['name'])} {value} <span class=mut>{escaped(told)}</span></h3>"
    if item["evaluator"]:
        yield f'<div class="mut">by {escaped(item["evaluator"])} ({escaped(item["kind_of"] or "unknown kind")})</div>'
    if item["explanation"]:
        yield _pre(item["explanation"])


def _span_link(name: Any, span_id: str | None) -> str:
    if span_id is None:
        return escaped(name)
    return f'<a href="#s{span_id}">{escaped(name)}</a>'


def _pre(content: Any) -> str:
    text = content if isinstance(content, str) else parts.json_text(content)
    return f"<pre>\n{escaped(text)}</pre>"
