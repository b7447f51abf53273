"""`hudtrace import`: traces from files of others, and from our own exports."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hudtrace import settings
from hudtrace.cli import text
from hudtrace.errors import ConfigurationError
from hudtrace.interchange import files
from hudtrace.interchange.intake import Intake
from hudtrace.progress import Progress
from hudtrace.store.rows import Batch
from hudtrace.store.store import Store
from hudtrace.tracing.redaction import Redactor

_AT_ONCE = 4096  # spans in one commit


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Add traces to the store: OTLP as JSON (also a line for each request, as the "
        "collector writes it) or protobuf, and Jaeger's JSON, gzip or not; what a file "
        "is is seen from its content. What the store has already stays as it is."
    )
    parser.add_argument("files", nargs="+", metavar="FILE", type=Path)
    parser.add_argument("--store", help="path of the store; it need not be there yet")
    parser.set_defaults(run=lambda o: run(o.store, o.files))


def run(store: str | None, paths: Sequence[Path]) -> int:
    """Read the files; return 1 if spans of them were refused, else 0."""
    chosen = settings.load(store=store)
    if chosen.store is None:
        raise ConfigurationError(
            "the store is off (HUDTRACE_STORE=off), so there is nothing to import to; "
            "give one with --store"
        )
    for path in paths:
        if not path.exists() or path.is_dir():
            raise ConfigurationError(f"there is no file {path}")
    redactor = Redactor(settings.secret_values(), chosen.redact)
    importer = _Importer(
        Store(chosen.store), Intake(redactor, content=chosen.content != "none")
    )
    try:
        for path in paths:
            importer.read(path)
    finally:
        importer.store.close()
    print(text.visible(importer.summary()))
    return 1 if importer.refused else 0


class _Importer:
    def __init__(self, store: Store, intake: Intake) -> None:
        self.store = store
        self.refused = 0
        self._intake = intake
        self._traces: set[bytes] = set()
        self._spans = 0
        self._new = 0

    def read(self, path: Path) -> None:
        """Import a file; what comes before a damaged place is in the store."""
        bar = Progress(path.stat().st_size, f"bytes of {path.name}")
        batch, before = Batch(), 0

        def told(position: int) -> None:
            nonlocal before
            bar.advance(position - before)
            before = position

        try:
            for request in files.requests(path, told):
                self._add(batch, request, path)
                if len(batch.spans) >= _AT_ONCE:
                    self._write(batch)
                    batch = Batch()
        finally:
            self._write(batch)
            bar.close(quiet=True)

    def summary(self) -> str:
        """Say what there is more in the store than before."""
        known = self._spans - self._new
        line = _counted(self._new, "new span")
        if known:
            line += f", {known} were there already"
        if self.refused:
            line += f", {self.refused} refused"
        return f"{line}; {_counted(len(self._traces), 'trace')}"

    def _add(self, batch: Batch, request: Any, path: Path) -> None:
        taken = self._intake.add(batch, request)
        self.refused += taken.rejected
        if taken.rejected:
            print(text.visible(f"{path}: {taken.message}"), file=sys.stderr)

    def _write(self, batch: Batch) -> None:
        if not batch.spans:
            return
        db = self.store.reader()
        ids = [row[:2] for row in batch.spans]
        try:
            there = sum(_known(db, some) for some in _chunks(ids))
        finally:
            db.close()
        self._traces.update(trace_id for trace_id, _ in ids)
        self._spans += len(ids)
        self._new += len(set(ids)) - there
        self.store.write(batch)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _chunks(ids: Sequence[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    unique = list(dict.fromkeys(ids))
    for start in range(0, len(unique), 400):
        yield unique[start : start + 400]


def _known(db: sqlite3.Connection, ids: Sequence[tuple[bytes, bytes]]) -> int:
    """Return how many of these spans the store has."""
    marks = ",".join(["(?,?)"] * len(ids))
    (count,) = db.execute(
        f"SELECT count(*) FROM spans WHERE (trace_id, span_id) IN (VALUES {marks})",
        [part for pair in ids for part in pair],
    ).fetchone()
    return int(count)
