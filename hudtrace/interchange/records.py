"""Episodes as plain records: for tables, for scripts, for training."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hudtrace import semconv
from hudtrace.dialects import openai_chat
from hudtrace.messages import Message
from hudtrace.store import queries
from hudtrace.store.queries import Conversation, Episode, StoredSpan
from hudtrace.transcript import conversation as transcript
from hudtrace.transcript import foreign
from hudtrace.transcript.calls import Call

SCHEMA = "hudtrace.episode/1"
_AGENT = (semconv.PHASE_AGENT, None)
_COLUMNS = ("label", "seconds", *queries.EPISODE_COLUMNS, "state", "prompt", "answer")


def json_lines(db: sqlite3.Connection, trace_ids: Iterable[str]) -> Iterator[str]:
    """Yield each episode as a line of JSON: its facts, verdicts and conversations."""
    for trace_id, episode, root in _episodes(db, trace_ids):
        verdicts = queries.verdicts(db, trace_id)
        record = {
            "schema": SCHEMA,
            **_facts(episode, root),
            "args": _loaded(episode.args),
            "verdicts": [dataclasses.asdict(verdict) for verdict in verdicts],
            "conversations": [
                {"span_id": span.span_id, **dataclasses.asdict(said)}
                for span, said in _conversations(db, trace_id)
            ],
        }
        yield _line(record)


def csv_lines(db: sqlite3.Connection, trace_ids: Iterable[str]) -> Iterator[str]:
    """Yield each episode as a line of a table, the names of the columns first."""
    yield _row(_COLUMNS)
    for _, episode, root in _episodes(db, trace_ids):
        facts = _facts(episode, root)
        yield _row([facts[column] for column in _COLUMNS])


def openai_lines(db: sqlite3.Connection, trace_ids: Iterable[str]) -> Iterator[str]:
    """Yield each conversation of an agent as OpenAI's `messages`, a line of JSON each.

    An agent that has rewritten its history has had more than one.
    """
    for trace_id in trace_ids:
        episode = queries.episode(db, trace_id)
        for span, said in _conversations(db, trace_id):
            record: dict[str, Any] = {
                "messages": _written([*said.input, *said.output]),
            }
            if said.tools:
                record["tools"] = [_tool(tool) for tool in said.tools]
            facts = {
                "trace_id": trace_id,
                "span_id": span.span_id,
                "model": span.attributes.get(semconv.REQUEST_MODEL),
                "reward": None if episode is None else episode.reward,
                "task_id": None if episode is None else episode.task_id,
            }
            yield _line({**record, "metadata": facts})


def _episodes(
    db: sqlite3.Connection, trace_ids: Iterable[str]
) -> Iterator[tuple[str, Episode, StoredSpan | None]]:
    for trace_id in trace_ids:
        episode = queries.episode(db, trace_id)
        if episode is not None:
            spans = queries.spans(db, trace_id)
            yield trace_id, episode, next((s for s in spans if not s.parent_id), None)


def _facts(episode: Episode, root: StoredSpan | None) -> dict[str, Any]:
    said = {} if root is None else root.attributes
    return {
        **episode.to_dict(),
        "label": episode.label,
        "seconds": episode.seconds,
        "prompt": said.get(semconv.INPUT_VALUE),
        "answer": said.get(semconv.ANSWER),
    }


def _conversations(
    db: sqlite3.Connection, trace_id: str
) -> Iterator[tuple[StoredSpan, Conversation]]:
    """Yield the last call of each conversation of the agent, with all that was said."""
    wanted = _last_calls(transcript.read(db, trace_id).calls)
    for span in queries.spans(db, trace_id):
        said = _said(db, span) if span.span_id in wanted else None
        if said is not None:
            yield span, said


def _said(db: sqlite3.Connection, span: StoredSpan) -> Conversation | None:
    """Return the conversation of a model call, whoever has recorded it."""
    own = queries.conversation(db, span)
    if own is not None and semconv.SYSTEM_INSTRUCTIONS not in span.attributes:
        return own
    beside = foreign.messages_of(span.attributes, span.events)
    if beside is None:
        return own
    if own is None:
        return Conversation(*map(list, beside))
    return Conversation([*beside[0], *own.input], own.output, own.tools)


def _last_calls(calls: Sequence[Call]) -> set[str]:
    found: set[str] = set()
    latest: dict[int, str] = {}
    for call in calls:
        if call.row.node is None or call.row.phase not in _AGENT:
            continue
        if call.rewritten_at is not None and call.thread in latest:
            found.add(latest[call.thread])
        latest[call.thread] = call.row.span_id
    return found | set(latest.values())


def _written(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return openai_chat.write_messages(messages)


def _tool(definition: Any) -> Any:
    """Return a tool's definition in OpenAI's form."""
    if not isinstance(definition, dict) or "function" in definition:
        return definition
    known = {key: value for key, value in definition.items() if key != "type"}
    return {"type": "function", "function": known}


def _loaded(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text


def _row(cells: Sequence[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()


def _line(record: Any) -> str:
    return json.dumps(record, ensure_ascii=False, default=str)
