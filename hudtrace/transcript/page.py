"""An episode as one HTML file, which needs nothing else and runs nothing.

Whatever models and tools have said is text in it, and its policy lets it load nothing
from anywhere.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from hudtrace import semconv
from hudtrace.messages import encodable, encodable_data, named_numbers
from hudtrace.progress import duration
from hudtrace.store import queries
from hudtrace.transcript import conversation
from hudtrace.transcript.conversation import Transcript
from hudtrace.transcript.facts import facts, title
from hudtrace.transcript.page_items import escaped, items_html
from hudtrace.transcript.page_style import STYLE
from hudtrace.transcript.parts import WHOLE, Plain
from hudtrace.transcript.rows import Row

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
_KINDS = {
    semconv.OP_EVALUATE: "eval",
    semconv.OP_INVOKE_AGENT: "agent",
    semconv.OP_EXECUTE_TOOL: "tool",
    semconv.OP_CHAT: "model",
    semconv.OP_TEXT_COMPLETION: "model",
    semconv.OP_GENERATE_CONTENT: "model",
}
_SCRIPT = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def html(db: sqlite3.Connection, trace_id: str) -> str:
    """Return an episode, or any other trace, as one HTML file."""
    transcript = conversation.read(db, trace_id)
    episode = queries.episode(db, trace_id)
    items = conversation.page(db, transcript, 0, len(transcript.entries), WHOLE)
    name = escaped(title(episode, transcript))
    pieces = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escaped(_POLICY)}">',
        '<meta name="viewport" content="width=device-width">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{name}</title><style>{STYLE}</style></head><body>",
        f"<header><h1>{name}</h1>{_verdicts(items)}<dl>",
        *(
            f"<div><dt>{escaped(key)}</dt><dd>{escaped(value)}</dd></div>"
            for key, value in facts(episode, transcript)
        ),
        "</dl></header><main><h2>Conversation</h2>",
        *items_html(items, transcript.source),
        "<h2>Spans</h2>",
        *_spans(transcript),
        "</main>",
        '<script type="application/json" id="data">',
        _data(db, trace_id, episode, items).translate(_SCRIPT),
        "</script></body></html>\n",
    ]
    return encodable("".join(pieces))


def _verdicts(items: Sequence[Plain]) -> str:
    """Return the rewards that count, with their explanations."""
    shown = []
    for item in items:
        if item["kind"] == "reward" and item["effective"]:
            value = "none" if item["value"] is None else f"{item['value']:g}"
            kind = "good" if (item["value"] or 0) >= 1 else "bad"
            why = escaped(item["explanation"] or "")
            shown.append(
                f'<p class="verdict"><b class="{kind}">{escaped(item["name"])} '
                f"{value}</b> {why}</p>"
            )
    return "".join(shown)


def _spans(transcript: Transcript) -> Iterator[str]:
    spans = sorted(transcript.spans, key=lambda row: row.start)
    base = min((row.start for row in spans), default=0)
    last = max((row.end or row.start for row in spans), default=0)
    depths = _depths(spans)
    yield (
        "<table><thead><tr><th>span</th><th>starts</th><th>takes</th>"
        "<th>when</th></tr></thead><tbody>"
    )
    for row in spans:
        end = last if row.end is None else row.end
        whole = max(1, last - base)
        left, width = (
            100 * share / whole for share in (row.start - base, end - row.start)
        )
        takes = row.state if row.end is None else duration((end - row.start) / 1e9)
        failed = " failed" if row.status == 2 else ""
        item = transcript.item_of_span(row.span_id)
        name = escaped(row.name) + (f" {row.turn}" if row.name == "turn" else "")
        yield (
            f'<tr id="s{row.span_id}" class="{kind_of(row)}{failed}">'
            f'<td style="padding-left:{min(depths[row.span_id], 20)}em">'
            + (name if item is None else f'<a href="#i{item}">{name}</a>')
            + f"{' ✗' if failed else ''}</td>"
            f"<td>{duration((row.start - base) / 1e9)}</td><td>{takes}</td>"
            f'<td class="bar"><i style="left:{left:.3f}%;width:{width:.3f}%"></i></td>'
            "</tr>"
        )
    yield "</tbody></table>"


def _depths(spans: Sequence[Row]) -> dict[str, int]:
    """Return how deep each span is; parents begin before their children."""
    found: dict[str, int] = {}
    for row in spans:
        above = found.get(row.parent_id or "")
        found[row.span_id] = 0 if above is None else above + 1
    return found


def kind_of(row: Row) -> str:
    """Return what kind of span a row is, in a word."""
    word = row.name.split(" ")[0]
    if word in (semconv.SPAN_REWARD, semconv.SPAN_SETUP, semconv.SPAN_TURN):
        return word
    return _KINDS.get(row.operation or "", "other")


def _data(
    db: sqlite3.Connection,
    trace_id: str,
    episode: queries.Episode | None,
    items: Sequence[Plain],
) -> str:
    data: dict[str, Any] = {
        "episode": None if episode is None else episode.to_dict(),
        "verdicts": [dataclasses.asdict(v) for v in queries.verdicts(db, trace_id)],
        "items": items,
        "spans": [span.to_dict() for span in queries.spans(db, trace_id)],
    }
    plain = encodable_data(named_numbers(data))
    return json.dumps(plain, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
