"""Model calls and tools that other instrumentors have recorded, as if they were ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from hudtrace import semconv
from hudtrace.messages import Message, to_json, tool_calls_of
from hudtrace.store.decode import Decoded, decode_span
from hudtrace.tracing.content import content_hash
from hudtrace.transcript import foreign
from hudtrace.transcript.parts import API
from hudtrace.transcript.rows import Row, detail

#: A node of a conversation: its hash, that of its parent, and that of its message.
Link = tuple[bytes, bytes | None, bytes]


class Received:
    """The conversations that are in spans' own attributes, as chains of messages.

    `nodes` has the parent and the message of each node, `places` the span and the
    number of each message in it, by their hashes.
    """

    def __init__(self, db: sqlite3.Connection, trace_id: str) -> None:
        self.nodes: dict[bytes, tuple[bytes | None, bytes]] = {}
        self.places: dict[bytes, tuple[str, int]] = {}
        self.db = db
        self._trace_id = trace_id
        self._requests: dict[bytes, Message] = {}
        self._last: tuple[str, list[Message]] = ("", [])

    def adopt(self, spans: Sequence[Row]) -> list[Row]:
        """Return *spans* with the model calls and tools of others told as ours are."""
        bodies = _candidates(self.db, self._trace_id)
        if not bodies:
            return list(spans)
        own = [row for row in spans if row.node is not None]
        adopted = []
        for row in spans:
            if row.span_id in bodies:
                row = self._adopted(row, decode_span(bodies.pop(row.span_id)), own)
            adopted.append(row)
        return _innermost(adopted, {row.span_id for row in own})

    def chain(self, node: bytes | None, count: int) -> list[Link]:
        """Return *node* and those that lead to it, the last first, at most *count*."""
        found: list[Link] = []
        while node is not None and len(found) < count:
            parent, message = self.nodes[node]
            found.append((node, parent, message))
            node = parent
        return found

    def read(self, hashes: Iterable[bytes]) -> dict[bytes, Message]:
        """Return those of the messages that are in spans."""
        places = {key: self.places[key] for key in hashes if key in self.places}
        return {
            key: self._messages_of(span_id)[number]
            for key, (span_id, number) in places.items()
        }

    def message(self, span_id: str, number: int) -> Message | None:
        """Return one message of a span, None if it has none of that number."""
        every = self._messages_of(span_id)
        return every[number] if number < len(every) else None

    def asking(self, hashes: Iterable[bytes]) -> dict[bytes, Message]:
        """Return those of the messages that ask for tools."""
        return {key: self._requests[key] for key in hashes if key in self._requests}

    def href(self, key: bytes) -> str:
        """Return where a message is to be had."""
        span_id, number = self.places[key]
        return f"{API}/trace/{self._trace_id}/span/{span_id}/message/{number}"

    def instructions(self, row: Row) -> list[bytes]:
        """Return what a span with a stored conversation says beside it to the model."""
        if row.phase is not None or row.node is None or row.node in self.nodes:
            return []
        known = detail(self.db, self._trace_id, row.span_id)
        if semconv.SYSTEM_INSTRUCTIONS not in known.attributes:
            return []
        messages = _all(known)
        return [self._keep(row.span_id, 0, messages[0])] if messages else []

    def _adopted(self, row: Row, known: Decoded, own: Sequence[Row]) -> Row:
        tool = foreign.tool_of(known.attributes)
        if tool is not None:
            name = f"{semconv.OP_EXECUTE_TOOL} {tool.name}"
            call_id = None if tool.id is None else str(tool.id)
            operation = semconv.OP_EXECUTE_TOOL
            return row._replace(operation=operation, name=name, call_id=call_id)
        if not foreign.is_call(known.attributes):
            return row._replace(operation=row.operation or "")
        if any(_is_twin(row, each) for each in own):
            return row._replace(operation="")
        said = foreign.messages_of(known.attributes, known.events)
        node: bytes | None = None
        replies = 0
        for number, message in enumerate([*said[0], *said[1]] if said else ()):
            key = self._keep(row.span_id, number, message)
            parent, node = node, content_hash(node or b"", key)
            self.nodes[node] = (parent, key)
        if said:
            replies = len(said[1])
        model = row.model or foreign.model_of(known.attributes)
        return row._replace(
            operation=semconv.OP_CHAT, node=node, replies=replies, model=model
        )

    def _keep(self, span_id: str, number: int, message: Message) -> bytes:
        key = content_hash(to_json(message).encode())
        self.places.setdefault(key, (span_id, number))
        if tool_calls_of(message):
            self._requests[key] = message
        return key

    def _messages_of(self, span_id: str) -> list[Message]:
        if self._last[0] != span_id:
            known = detail(self.db, self._trace_id, span_id)
            self._last = span_id, _all(known)
        return self._last[1]


def _all(known: Decoded) -> list[Message]:
    said = foreign.messages_of(known.attributes, known.events)
    return [*said[0], *said[1]] if said else []


def _candidates(db: sqlite3.Connection, trace_id: str) -> dict[str, bytes]:
    operations = sorted(foreign.OPERATIONS)
    wanted = f"operation IN ({','.join('?' * len(operations))})"
    marks = " OR ".join("instr(body, ?)" for _ in foreign.MARKS)
    rows = db.execute(
        "SELECT span_id, body FROM spans WHERE trace_id = ? AND node IS NULL AND "
        f"({wanted} OR (phase IS NULL AND operation IS NULL AND ({marks})))",
        (
            bytes.fromhex(trace_id),
            *operations,
            *(mark.encode() for mark in foreign.MARKS),
        ),
    )
    return {span_id.hex(): body for span_id, body in rows}


def _is_twin(row: Row, own: Row) -> bool:
    """Say whether one span is within the other: they tell of the same call."""
    if row.end is None or own.end is None:
        return False
    within = row.start <= own.start and own.end <= row.end
    around = own.start <= row.start and row.end <= own.end
    return within or around


def _innermost(spans: Sequence[Row], own: set[str]) -> list[Row]:
    """Let only the innermost of nested model calls be one, if it has messages."""
    by_id = {row.span_id: row for row in spans}
    calls = [row for row in spans if row.operation in foreign.OPERATIONS]
    around: set[str] = set()
    inside: set[str] = set()
    for row in calls:
        at, seen = row.parent_id, {row.span_id}
        while at in by_id and at not in seen:
            seen.add(at)
            if by_id[at].operation in foreign.OPERATIONS and at not in own:
                (around if row.node else inside).add(at if row.node else row.span_id)
            at = by_id[at].parent_id
    hidden = around | inside
    return [
        row._replace(operation="", node=None) if row.span_id in hidden else row
        for row in spans
    ]
