"""What a number of spans add to the index, put together and written at once."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from hudtrace import semconv
from hudtrace.index.content import Job, Text, Told, told_by
from hudtrace.index.copying import USED, numbers_of
from hudtrace.index.speech import Speech
from hudtrace.index.wording import Wording
from hudtrace.notices import internal_error
from hudtrace.store.services import MISSING, service_of
from hudtrace.store.so_far import NOTHING, sum_of, used_by

_ERROR = 2
_ROOT = -1
_LONGEST = 2**62  # ns, more than any sum of durations that are true
_MERGE_TRACE = """
INSERT INTO traces (trace_id, start, end, spans, errors, name, service, named_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (trace_id) DO UPDATE SET
 start = min(start, excluded.start), end = max(coalesce(end, 0), excluded.end),
 spans = spans + excluded.spans, errors = errors + excluded.errors,
 name = iif(named_at IS NULL OR named_at > excluded.named_at, excluded.name, name),
 service = iif(named_at IS NULL OR named_at > excluded.named_at, excluded.service, service),
 named_at = min(coalesce(named_at, excluded.named_at), excluded.named_at)
"""
_MERGE_SERVICE = """
INSERT INTO trace_services VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (service, trace) DO UPDATE SET
 start = min(start, excluded.start), end = max(end, excluded.end),
 spans = spans + excluded.spans, errors = errors + excluded.errors
"""


_MERGE_TOOL = """
INSERT INTO trace_tools VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (tool, trace) DO UPDATE SET
 calls = calls + excluded.calls, failed = failed + excluded.failed,
 took = took + excluded.took, longest = max(longest, excluded.longest)
"""
_MERGE_JOB = """
INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (job_id) DO UPDATE SET
 start = min(start, excluded.start), end = coalesce(excluded.end, end)
"""


_MERGE_USED = (
    f"INSERT INTO listed (trace, start, {', '.join(USED)}) "
    f"VALUES ({', '.join('?' * (2 + len(USED)))}) ON CONFLICT (trace) DO UPDATE SET "
    "model = coalesce(model, excluded.model), "
    "turns = max(coalesce(turns, excluded.turns), coalesce(excluded.turns, turns)), "
    + ", ".join(
        f"{c} = iif({c} IS NULL OR excluded.{c} IS NULL, coalesce({c}, excluded.{c}), "
        f"{c} + excluded.{c})"
        for c in USED
        if c not in ("model", "turns")
    )
    + " WHERE end IS NULL"
)


class SpanRow(NamedTuple):
    """A span as it is stored."""

    id: int
    trace_id: bytes
    span_id: bytes
    parent_id: bytes | None
    name: str
    start: int
    end: int
    status: int
    operation: str | None
    model: str | None
    phase: str | None
    turn: int | None
    node: bytes | None
    source: int
    body: bytes


class _Sum:
    """Spans of one trace, or of one service in it."""

    def __init__(self, start: int) -> None:
        self.start, self.end = start, 0
        self.spans = self.errors = 0
        self.name = self.service = ""
        self.named_at: int | None = None

    def add(self, row: SpanRow, service: str) -> None:
        self.start, self.end = min(self.start, row.start), max(self.end, row.end)
        self.spans += 1
        self.errors += row.status == _ERROR
        named_at = _ROOT if row.parent_id is None else row.start
        if self.named_at is None or named_at < self.named_at:
            self.name, self.service, self.named_at = row.name, service, named_at


class _Calls:
    """Calls of one tool in one trace."""

    def __init__(self) -> None:
        self.calls = self.failed = self.took = self.longest = 0

    def add(self, took: int, *, failed: bool) -> None:
        self.calls += 1
        self.failed += failed
        self.took = min(self.took + took, _LONGEST)
        self.longest = max(self.longest, took)


class Gathering:
    """What spans of one transaction tell, until `write` writes it."""

    def __init__(self, index: sqlite3.Connection, store: sqlite3.Connection) -> None:
        self._index, self._store = index, store
        self._services: dict[int, str] = {}
        self._traces: dict[bytes, _Sum] = {}
        self._in_service: dict[tuple[bytes, str], _Sum] = {}
        self._operations: set[tuple[bytes, str, str, int]] = set()
        self._facts: set[tuple[bytes, str, str]] = set()
        self._texts: list[tuple[bytes, bytes, Text]] = []
        self._calls: list[SpanRow] = []
        self._tools: dict[tuple[bytes, str], _Calls] = {}
        self._jobs: list[tuple[SpanRow, Job]] = []
        self._by_agents: dict[bytes, list[SpanRow]] = {}

    def add(self, row: SpanRow) -> None:
        """Take in one span."""
        service = self._service(row.source)
        trace = self._traces.setdefault(row.trace_id, _Sum(row.start))
        trace.add(row, service)
        key = row.trace_id, service
        self._in_service.setdefault(key, _Sum(row.start)).add(row, service)
        self._operations.add((row.trace_id, service, row.name, _kind(row.body)))
        told = _told_by(row)
        if told.tool is not None:
            calls = self._tools.setdefault((row.trace_id, told.tool), _Calls())
            calls.add(max(0, row.end - row.start), failed=told.failed)
        if told.job is not None:
            self._jobs.append((row, told.job))
        about = told.judged or row.trace_id
        self._facts.update((about, *fact) for fact in told.facts)
        if row.model is not None:
            self._facts.add((row.trace_id, "model", row.model))
        self._texts += [(about, row.span_id, text) for text in told.texts]
        if row.node is not None:
            self._calls.append(row)
        if row.phase == semconv.PHASE_AGENT:
            self._by_agents.setdefault(row.trace_id, []).append(row)

    def write(self) -> None:
        """Write it to the index."""
        index = self._index
        index.executemany(
            _MERGE_TRACE,
            [
                (key, s.start, s.end, s.spans, s.errors, s.name, s.service, s.named_at)
                for key, s in self._traces.items()
            ],
        )
        judged = {key for key, *_ in self._facts} | {key for key, *_ in self._texts}
        numbers = numbers_of(index, self._traces.keys() | judged)
        self._write_services(numbers)
        self._write_facts(numbers)
        self._write_jobs(numbers)
        self._write_used(numbers)
        wording = Wording(index)
        for key, span_id, text in self._texts:
            if key in numbers:
                wording.add(numbers[key], span_id, text)
        speech = Speech(index, self._store)
        for row in self._calls:
            number = numbers[row.trace_id]
            for text in speech.new_in(number, row.node or b""):
                wording.add(number, row.span_id, text)
        wording.write()

    def _write_services(self, numbers: dict[bytes, int]) -> None:
        names = {service for _, service in self._in_service}
        self._index.executemany(
            "INSERT INTO services (name) VALUES (?) ON CONFLICT DO NOTHING",
            [(name,) for name in names],
        )
        ids = dict(self._index.execute("SELECT name, id FROM services"))
        self._index.executemany(
            _MERGE_SERVICE,
            [
                (ids[service], numbers[key], s.start, s.end, s.spans, s.errors)
                for (key, service), s in self._in_service.items()
            ],
        )
        kinds = {
            (ids[service], name, kind) for _, service, name, kind in self._operations
        }
        known = {
            each: _number(self._index, "operations", "service, name, kind", each)
            for each in kinds
        }
        self._index.executemany(
            "INSERT INTO trace_operations VALUES (?, ?) ON CONFLICT DO NOTHING",
            [
                (known[ids[service], name, kind], numbers[key])
                for key, service, name, kind in self._operations
            ],
        )

    def _write_facts(self, numbers: dict[bytes, int]) -> None:
        kinds = {(kind, value) for _, kind, value in self._facts}
        known = {
            each: _number(self._index, "facts", "kind, value", each) for each in kinds
        }
        self._index.executemany(
            "INSERT INTO trace_facts VALUES (?, ?) ON CONFLICT DO NOTHING",
            [
                (known[kind, value], numbers[key])
                for key, kind, value in self._facts
                if key in numbers
            ],
        )
        self._index.executemany(
            _MERGE_TOOL,
            [
                (
                    known["tool", name],
                    numbers[key],
                    s.calls,
                    s.failed,
                    s.took,
                    s.longest,
                )
                for (key, name), s in self._tools.items()
            ],
        )

    def _write_jobs(self, numbers: dict[bytes, int]) -> None:
        for row, job in self._jobs:
            end = row.end if row.name == semconv.SPAN_JOB else None
            number = numbers[row.trace_id]
            self._index.execute(
                _MERGE_JOB, (job.job_id, number, job.name, job.planned, row.start, end)
            )

    def _write_used(self, numbers: dict[bytes, int]) -> None:
        """Add up what episodes that have not ended use; the others say it themselves."""
        for key in _unended(self._store, list(self._by_agents)):
            rows = self._by_agents[key]
            use = NOTHING
            for row in sorted(rows, key=lambda row: row.start):
                use = use.plus(
                    used_by(
                        row.operation,
                        row.model,
                        row.phase,
                        row.turn,
                        row.status,
                        row.body,
                    )
                )
            start = min(row.start for row in rows)
            both = sum_of(use.input_tokens, use.output_tokens)
            self._index.execute(_MERGE_USED, (numbers[key], start, *use, both))

    def _service(self, source: int) -> str:
        if source not in self._services:
            self._services[source] = _service_of(self._store, source)
        return self._services[source]


def _number(
    index: sqlite3.Connection, table: str, columns: str, values: tuple[object, ...]
) -> int:
    """Return the id of a row, which is made if it is not there."""
    same = " AND ".join(f"{column} = ?" for column in columns.split(", "))
    row = index.execute(f"SELECT id FROM {table} WHERE {same}", values).fetchone()
    if row is None:
        marks = ", ".join("?" * len(values))
        row = index.execute(
            f"INSERT INTO {table} ({columns}) VALUES ({marks}) RETURNING id", values
        ).fetchone()
    return int(row[0])


def _unended(store: sqlite3.Connection, keys: list[bytes]) -> list[bytes]:
    marks = ",".join("?" * len(keys))
    rows = store.execute(
        f"SELECT trace_id FROM episodes WHERE trace_id IN ({marks}) AND end IS NULL",
        keys,
    )
    return [key for (key,) in rows]


def _told_by(row: SpanRow) -> Told:
    """Return what a span tells; one that cannot be read tells nothing."""
    try:
        return told_by(
            row.body, row.status, row.operation, has_conversation=row.node is not None
        )
    except Exception as error:
        internal_error("indexing a span", error)
        return Told()


def _kind(body: bytes) -> int:
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    try:
        return int(Span.FromString(body).kind)
    except DecodeError:
        return 0


def _service_of(store: sqlite3.Connection, source: int) -> str:
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

    row = store.execute(
        "SELECT resource FROM sources WHERE id = ?", (source,)
    ).fetchone()
    return (
        MISSING
        if row is None
        else service_of(ResourceSpans.FromString(row[0]).resource)
    )
