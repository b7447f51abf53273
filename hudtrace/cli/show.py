"""`hudtrace show`: one episode, as a span tree and as a conversation."""

from __future__ import annotations

import argparse
import dataclasses
import json
import socket
import sqlite3
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from hudtrace import semconv, settings
from hudtrace.cli import text
from hudtrace.cli.reading import find, opened
from hudtrace.messages import Message, named, response_text
from hudtrace.runtime import DEFAULT_TRACE_URL
from hudtrace.store import queries
from hudtrace.store.queries import StoredSpan
from hudtrace.tree import describe, draw


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "trace", help="trace id, or its first digits; 'last' for the newest"
    )
    parser.add_argument("--full", action="store_true", help="do not shorten texts")
    parser.add_argument("--store", help="path of the store")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(
        run=lambda o: run(o.store, o.trace, full=o.full, as_json=o.json)
    )


def run(store: str | None, wanted: str, *, full: bool, as_json: bool) -> int:
    """Print the episode; return the exit code."""
    with opened(store) as db:
        trace_id = find(db, wanted)
        if as_json:
            print(json.dumps(_as_data(db, trace_id), default=_plain))
        else:
            print(episode_text(db, trace_id, full=full))
    return 0


def episode_text(db: sqlite3.Connection, trace_id: str, *, full: bool = False) -> str:
    """Return everything about an episode as text."""
    spans = queries.spans(db, trace_id)
    head = _head(queries.episode(db, trace_id), queries.verdicts(db, trace_id))
    parts = [*map(text.one_line, head), "", tree_text(spans, full=full)]
    chats = [span for span in spans if span.node is not None and _is_agent(span)]
    if chats:
        conversation = queries.conversation(db, chats[-1])
        if conversation is not None:
            messages = [*conversation.input, *conversation.output]
            parts += ["", *_conversation(messages, full=full)]
    parts += ["", where_to_look(trace_id)]
    return text.visible("\n".join(parts))


def tree_text(spans: Sequence[StoredSpan], *, full: bool = False) -> str:
    """Return the span tree, with durations, tool results, and what the grader read."""
    read = {
        link.span_id
        for span in spans
        for link in span.links
        if link.attributes.get(semconv.LINK_KIND) == "read"
    }
    width = 10_000 if full else max(40, text.screen_width() - 40)
    return draw(spans, lambda span: _line(span, read, width))


def where_to_look(trace_id: str) -> str:
    """Return where the trace can be opened, and how, if nothing answers there."""
    template = settings.load().trace_url or DEFAULT_TRACE_URL
    url = template.replace("{trace_id}", trace_id)
    if template == DEFAULT_TRACE_URL and not _answers(url):
        return (
            f"trace  {url}\n       (nothing listens there yet: {text.command('view')})"
        )
    return f"trace  {url}"


def _head(episode: Any, verdicts: Sequence[queries.Verdict]) -> list[str]:
    if episode is None:
        return ["not an episode of an eval"]
    tokens = f"{episode.input_tokens or 0} in, {episode.output_tokens or 0} out"
    cost = "-" if episode.cost is None else f"${episode.cost:.4f}"
    state = episode.outcome or episode.state
    lines = [
        f"{episode.label}  {state}  reward {text.number(episode.reward)}",
        f"started {text.clock(episode.start)}, took {text.duration(episode.seconds)}; "
        f"model {episode.model or '-'}, variant {episode.variant or '-'}; "
        f"{tokens} tokens, cost {cost}",
    ]
    if episode.stopped_by:
        lines.append(f"stopped by the limit on {episode.stopped_by}")
    for verdict in verdicts:
        if verdict.late:
            mark = "counts" if verdict.effective else "superseded"
            lines.append(
                f"later verdict {text.number(verdict.value)} by {verdict.evaluator} "
                f"({verdict.kind}, {mark})"
            )
    return lines


def _line(span: StoredSpan, read: set[str], width: int) -> str:
    line = describe(span)
    if span.end is None:
        line += f"  [{span.state}]"
    else:
        line += f"  {text.duration((span.end - span.start) / 1e9)}"
    attributes = span.attributes
    tokens = attributes.get(semconv.USAGE_INPUT)
    if tokens is not None and attributes.get(semconv.OPERATION) == semconv.OP_CHAT:
        line += f"  {tokens}+{attributes.get(semconv.USAGE_OUTPUT, 0)} tokens"
    result = attributes.get(semconv.TOOL_CALL_RESULT)
    if result is not None:
        asked = attributes.get(semconv.TOOL_CALL_ARGUMENTS, "")
        line += f"  {text.shorten(f'{asked} → {result}', width)}"
    explanation = attributes.get(semconv.EVALUATION_EXPLANATION)
    if explanation:
        line += f"  {text.shorten(explanation, width)}"
    if span.span_id in read:
        line += "  ◀ read by the grader"
    return line


def _conversation(messages: Sequence[Message], *, full: bool) -> list[str]:
    width = 1_000_000 if full else max(60, text.screen_width() - 12) * 3
    lines = []
    for message in messages:
        for part in message["parts"]:
            shown = _part(part)
            body = shown if full else text.shorten(shown, width)
            lines.append(f"{text.one_line(message['role']):>9}  {body}")
    return lines


def _part(part: Any) -> str:
    kind = part.get("type")
    if kind == "tool_call":
        return f"{part.get('name')}({json.dumps(part.get('arguments'), ensure_ascii=False)})"
    if kind == "tool_call_response":
        return f"→ {response_text(part.get('response'))}"
    if kind in ("blob", "uri", "file"):
        return named(part)
    content = part.get("content")
    return content if isinstance(content, str) else json.dumps(part, ensure_ascii=False)


def _as_data(db: sqlite3.Connection, trace_id: str) -> dict[str, Any]:
    episode = queries.episode(db, trace_id)
    spans = []
    for span in queries.spans(db, trace_id):
        conversation = queries.conversation(db, span)
        data = span.to_dict()
        if conversation is not None:
            data["conversation"] = dataclasses.asdict(conversation)
        spans.append(data)
    return {
        "episode": None if episode is None else episode.to_dict(),
        "verdicts": [dataclasses.asdict(v) for v in queries.verdicts(db, trace_id)],
        "spans": spans,
    }


def _is_agent(span: StoredSpan) -> bool:
    return span.attributes.get(semconv.PHASE) == semconv.PHASE_AGENT


def _plain(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _answers(url: str) -> bool:
    address = urlsplit(url)
    try:
        host, port = address.hostname or "127.0.0.1", address.port or 80
        with socket.create_connection((host, port), timeout=0.2):
            return True
    except OSError:
        return False
