"""`hudtrace tail`: what evals do, a line each, while they do it."""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hudtrace import semconv
from hudtrace.cli import text
from hudtrace.cli.arguments import count
from hudtrace.cli.reading import chosen_store, opened
from hudtrace.errors import ConfigurationError
from hudtrace.index import jobs, open_index
from hudtrace.store import queries
from hudtrace.store.decode import decode_span

_PAUSE = 0.5  # seconds between looks
_AT_ONCE = 1_000  # spans that are read at once
_BACK = 20_000  # spans that are looked through for what was before
_SHOWN = (semconv.OP_CHAT, semconv.OP_EXECUTE_TOOL, semconv.OP_EVALUATE)


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Print a line for each model call, tool call, reward and episode as it ends, "
        "of all evals that write to the store or of one job, until that ends."
    )
    parser.add_argument("job", nargs="?", help="a job's id; its end is that of this")
    parser.add_argument(
        "-n", "--lines", type=count, default=10, help="lines from before (10)"
    )
    parser.add_argument("--store", help="path of the store")
    parser.add_argument("--json", action="store_true", help="print JSON, one per line")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print lines until the job ends, or for ever; return the exit code."""
    with opened(options.store) as db:
        own = None if options.job is None else _trace_of(options.store, options.job)
        last = _last(db)
        before = _seen(db, max(0, last - _BACK), last, options.job)
        for line in deque(before, options.lines):
            _print(line, as_json=options.json)
        while True:
            state = "running" if options.job is None else _state(db, own, options.job)
            newest = _last(db)
            for line in _seen(db, last, newest, options.job):
                _print(line, as_json=options.json)
            last = newest
            if state != "running":
                print(f"job {text.one_line(options.job)}: {state}", file=sys.stderr)
                return 0 if state == "done" else 1
            time.sleep(_PAUSE)


@dataclass(frozen=True, slots=True)
class Line:
    """Something that ended."""

    span_id: str
    trace_id: str
    name: str
    start: int
    end: int
    status: int
    attributes: dict[str, Any]

    def as_text(self) -> str:
        """Return it for people."""
        known = self.attributes
        told = [text.clock(self.end), self.trace_id[:12]]
        told += [self.name, text.duration((self.end - self.start) / 1e9)]
        tokens = known.get(semconv.USAGE_INPUT)
        if tokens is not None:
            told.append(f"{tokens}+{known.get(semconv.USAGE_OUTPUT, 0)} tokens")
        for key, label in _LABELS.items():
            if key in known:
                told.append(f"{label}{text.shorten(str(known[key]), 80)}")
        if self.status == 2:
            told.append(f"✗ {known.get(semconv.ERROR_TYPE, 'error')}")
        return text.one_line("  ".join(told))

    def as_data(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "name": self.name,
            "start": self.start,
            "end": self.end,
            "status": self.status,
            "attributes": self.attributes,
        }


_LABELS = {
    semconv.TOOL_CALL_ARGUMENTS: "",
    semconv.TOOL_CALL_RESULT: "→ ",
    semconv.EVALUATION_SCORE: "score ",
    semconv.OUTCOME: "",
    semconv.REWARD: "reward ",
    semconv.STOPPED_BY: "stopped by ",
}


def _print(line: Line, *, as_json: bool) -> None:
    shown = json.dumps(line.as_data(), default=str) if as_json else line.as_text()
    print(shown, flush=True)


def _last(db: sqlite3.Connection) -> int:
    (last,) = db.execute("SELECT coalesce(max(id), 0) FROM spans").fetchone()
    return int(last)


def _seen(
    db: sqlite3.Connection, after: int, last: int, job: str | None
) -> Iterator[Line]:
    """Return what ended, by the numbers of the store; of a job, if one is given."""
    marks = ",".join("?" * len(_SHOWN))
    while after < last:
        rows = db.execute(
            'SELECT id, span_id, trace_id, name, start, "end", status, operation, body '
            f"FROM spans WHERE id > ? AND id <= ? AND (operation IN ({marks}) OR "
            "(operation IS NULL AND name LIKE 'reward%')) ORDER BY id LIMIT ?",
            (after, last, *_SHOWN, _AT_ONCE),
        ).fetchall()
        for _, span_id, trace_id, name, start, end, status, _, body in rows:
            attributes = decode_span(body).attributes
            if job is None or attributes.get(semconv.JOB_ID) == job:
                ids = span_id.hex(), trace_id.hex()
                yield Line(*ids, name, start, end, status, attributes)
        if len(rows) < _AT_ONCE:
            return
        after = rows[-1][0]


def _trace_of(store: str | None, job: str) -> str | None:
    """Return the trace of a job, None if it has none; raises if there is no such job."""
    with open_index(chosen_store(store)) as index:
        index.catch_up()
        found = jobs.job(index, job)
    if found is None:
        raise ConfigurationError(
            f"no job {job!r} in the store; '{text.command('ls jobs')}' lists them"
        )
    return found.trace_id


def _state(db: sqlite3.Connection, trace_id: str | None, job: str) -> str:
    """Return whether a job is running, done, or was interrupted."""
    if trace_id is None:
        states = {e.state for e in queries.episodes(db, limit=1_000, job=job)}
        return "running" if "running" in states else "done"
    found = [s for s in queries.spans(db, trace_id) if s.name == semconv.SPAN_JOB]
    if not found:
        return "running"  # it has begun, but is not yet written
    return str(found[0].state)
