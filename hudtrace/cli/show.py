"""`hudtrace show`: one episode, as a span tree and as a conversation."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hudtrace.cli import text
from hudtrace.cli.addresses import where_to_look
from hudtrace.cli.chat import chat_lines, history_lines
from hudtrace.cli.reading import find, find_span, opened
from hudtrace.cli.timeline import timeline_text, tree_text
from hudtrace.store import queries
from hudtrace.store.queries import StoredSpan
from hudtrace.tree import describe


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "trace", help="trace id, or its first digits; 'last' for the newest"
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--chat", action="store_true", help="only the conversation")
    shown.add_argument(
        "--timeline", action="store_true", help="only the spans, along a line of time"
    )
    shown.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--span", metavar="ID", help="only this span, and all it holds")
    parser.add_argument("--full", action="store_true", help="do not shorten texts")
    parser.add_argument("--store", help="path of the store")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the episode, or one of its spans; return the exit code."""
    with opened(options.store) as db:
        trace_id = find(db, options.trace)
        if options.span is not None:
            span = find_span(db, trace_id, options.span)
            if options.json:
                print(json.dumps(_span_data(db, span), default=_plain))
            else:
                _print(span_lines(db, span, full=options.full))
        elif options.json:
            print(json.dumps(_as_data(db, trace_id), default=_plain))
        else:
            _print(_lines(db, trace_id, options))
    return 0


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(text.visible(line))


def _lines(
    db: sqlite3.Connection, trace_id: str, options: argparse.Namespace
) -> Iterator[str]:
    """Return what was asked for of an episode: all, its conversation, or its spans."""
    head = _head(queries.episode(db, trace_id), queries.verdicts(db, trace_id))
    yield from map(text.one_line, head)
    if not options.chat:
        spans = queries.spans(db, trace_id)
        yield ""
        yield (
            timeline_text(spans)
            if options.timeline
            else tree_text(spans, full=options.full)
        )
    if not options.timeline:
        chat = chat_lines(db, trace_id, full=options.full)
        for number, line in enumerate(chat):
            if number == 0:
                yield ""
            yield line
    yield ""
    yield where_to_look(trace_id)


def _head(episode: Any, verdicts: Sequence[queries.Verdict]) -> list[str]:
    if episode is None:
        return ["not an episode of an eval"]
    used = (episode.input_tokens, episode.output_tokens)
    tokens = f"{text.number(used[0])} in, {text.number(used[1])} out"
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


def span_lines(
    db: sqlite3.Connection, span: StoredSpan, *, full: bool = False
) -> Iterator[str]:
    """Return all that there is of one span."""
    width = 1_000_000 if full else max(60, text.screen_width() - 4)
    took = None if span.end is None else (span.end - span.start) / 1e9
    state = "error" if span.status == 2 else span.state
    yield text.one_line(f"{describe(span)}  {state}")
    yield f"span {span.span_id} of {span.trace_id}, below {span.parent_id or '-'}"
    yield f"started {text.clock(span.start)}, took {text.duration(took)}"
    if span.status_message:
        yield text.shorten(span.status_message, width)
    for key, value in sorted(span.attributes.items()):
        yield f"  {text.one_line(key)} = {text.shorten(str(value), width)}"
    for event in span.events:
        yield f"event {text.one_line(event.name)} at {text.clock(event.timestamp)}"
        for key, value in sorted(event.attributes.items()):
            told = str(value) if full else text.shorten(str(value), width)
            yield f"  {text.one_line(key)} = {told}"
    for link in span.links:
        told = ", ".join(f"{key}={value}" for key, value in link.attributes.items())
        yield text.one_line(f"link to {link.span_id} of {link.trace_id}  {told}")
    yield from history_lines(db, span.trace_id, span.span_id, full=full)


def _span_data(db: sqlite3.Connection, span: StoredSpan) -> dict[str, Any]:
    conversation = queries.conversation(db, span)
    data = span.to_dict()
    if conversation is not None:
        data["conversation"] = dataclasses.asdict(conversation)
    return data


def _as_data(db: sqlite3.Connection, trace_id: str) -> dict[str, Any]:
    episode = queries.episode(db, trace_id)
    spans = [_span_data(db, span) for span in queries.spans(db, trace_id)]
    return {
        "episode": None if episode is None else episode.to_dict(),
        "verdicts": [dataclasses.asdict(v) for v in queries.verdicts(db, trace_id)],
        "spans": spans,
    }


def _plain(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
