"""An episode as a conversation: what each model call adds, and what came of it.

`read` looks at every span, but at hardly any content; `page` reads the content of what
it shows. Items are in the order in which they ended, and messages are numbered by it,
so both keep their numbers while an episode runs.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from hudtrace import semconv
from hudtrace.messages import text_of
from hudtrace.store import queries
from hudtrace.transcript import foreign
from hudtrace.transcript.calls import Call, Messages
from hudtrace.transcript.history import history as history
from hudtrace.transcript.items import Items
from hudtrace.transcript.parts import SHORT, Parts, Plain
from hudtrace.transcript.rows import Row, detail, rows
from hudtrace.transcript.threads import Threads
from hudtrace.transcript.toolcalls import ToolCalls


class Entry(NamedTuple):
    """One item: its kind, and what it is about."""

    kind: str  # prompt | call | tool | answer | reward | error
    about: Any  # a Call, a Row, a Verdict; the root's Row


@dataclass
class Transcript:
    """The skeleton of an episode: everything but its content."""

    trace_id: str
    spans: list[Row]
    calls: list[Call]
    messages: int
    entries: list[Entry]
    tools: ToolCalls
    source: Messages = field(repr=False)

    @cached_property
    def _by_span(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for index, (kind, about) in enumerate(self.entries):
            row = about.row if kind == "call" else about
            found.setdefault(row.span_id, index)
            if kind == "call":
                for tool in self.tools.spans_of(about):
                    found.setdefault(tool, index)
        return found

    def item_of_span(self, span_id: str) -> int | None:
        """Return the number of the item that shows a span: a call, a tool, a reward."""
        return self._by_span.get(span_id)

    def item_of_message(self, n: int) -> int | None:
        """Return the number of the item that shows message *n*."""
        for call in self.calls:
            if call.first <= n < call.first + len(call.new):
                asker = self.tools.asker_of(call, n)
                return self._by_span[(asker or call).row.span_id]
        return None


def read(db: sqlite3.Connection, trace_id: str) -> Transcript:
    """Return the skeleton of a trace; an empty one if the store has no such trace."""
    source = Messages(db, trace_id)
    spans = source.received.adopt(rows(db, trace_id))
    calls = [Call(row) for row in spans if _is_call(row)]
    threads = Threads(source, spans)
    for call in calls:
        threads.place(call)
    tools = ToolCalls(source, calls, [row for row in spans if row.is_tool])
    entries = _entries(source, spans, calls, tools)
    return Transcript(trace_id, spans, calls, threads.total, entries, tools, source)


def page(
    db: sqlite3.Connection,
    transcript: Transcript,
    start: int,
    count: int,
    parts: Parts = SHORT,
) -> list[Plain]:
    """Return *count* items from *start* on, as plain data.

    *db* may be another connection than the one that the transcript was read with.
    """
    transcript.source.use(db)
    items = Items(transcript.source, transcript.tools, parts)
    shown = transcript.entries[max(0, start) : max(0, start) + max(0, count)]
    return [
        {"kind": entry.kind, "index": index, **items.item(entry.kind, entry.about)}
        for index, entry in enumerate(shown, max(0, start))
    ]


def _is_call(row: Row) -> bool:
    return row.node is not None or row.operation in foreign.OPERATIONS


def _entries(
    source: Messages, spans: list[Row], calls: list[Call], tools: ToolCalls
) -> list[Entry]:
    root = root_of(spans)
    said = _said_of(source, root, calls)
    body = [Entry("call", call) for call in calls]
    body += [Entry("tool", row) for row in tools.unasked]
    verdicts = queries.verdicts(source.db, source.trace_id)
    in_trace = {row.span_id: row for row in spans}
    body += [Entry("reward", v) for v in verdicts if v.span_id in in_trace]
    body.sort(key=lambda entry: _row(entry, in_trace).order)
    graded = [e for e in body if _row(e, in_trace).phase == semconv.PHASE_GRADE]
    before = [e for e in body if _row(e, in_trace).phase != semconv.PHASE_GRADE]
    late = [Entry("reward", v) for v in verdicts if v.span_id not in in_trace]
    return [
        *(Entry(kind, root) for kind in said if kind == "prompt"),
        *before,
        *(Entry(kind, root) for kind in said if kind == "answer"),
        *graded,
        *(Entry(kind, root) for kind in said if kind == "error"),
        *late,
    ]


def _row(entry: Entry, in_trace: dict[str, Row]) -> Row:
    if entry.kind == "call":
        return entry.about.row  # type: ignore[no-any-return]
    return in_trace[entry.about.span_id]


def root_of(spans: list[Row]) -> Row | None:
    """Return the span that the others are below: the eval, or the first without a parent."""
    ids = {row.span_id for row in spans}
    tops = [row for row in spans if row.parent_id not in ids]
    evals = [row for row in tops if row.operation == semconv.OP_EVALUATE]
    return min(evals or tops, key=lambda row: row.start, default=None)


def _said_of(source: Messages, root: Row | None, calls: list[Call]) -> list[str]:
    """Return what there is to say of the whole: a prompt, an answer, an error."""
    if root is None:
        return []
    known = detail(source.db, source.trace_id, root.span_id).attributes
    said = ["error"] if root.status == 2 else []
    if semconv.ANSWER in known:
        said.append("answer")
    if known.get(semconv.INPUT_VALUE):
        prompt = text_of(foreign.prompt_of(known))
        if not _is_asked(source, calls, prompt.splitlines()):
            said.append("prompt")
    return said


def _is_asked(source: Messages, calls: list[Call], prompt: list[str]) -> bool:
    """Say whether the agent's first call shows the prompt anyway."""
    agents = (c for c in calls if c.row.phase == semconv.PHASE_AGENT and c.new)
    first = next(agents, None)
    if first is None:
        return False
    messages = source.read(first.input).values()
    asked = "\n".join(text_of(m) for m in messages if m["role"] == "user")
    return all(line in asked for line in prompt)
