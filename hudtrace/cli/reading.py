"""Opens the store for the commands that read it, and finds traces in it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from hudtrace import settings
from hudtrace.cli import text
from hudtrace.errors import ConfigurationError
from hudtrace.store import queries
from hudtrace.store.queries import StoredSpan
from hudtrace.store.store import read_only


def chosen_store(path: str | None) -> Path:
    """Return the store that was given, or the one that the settings name.

    Raises `ConfigurationError` if it is off or cannot be opened,
    `FileNotFoundError` if there is none.
    """
    chosen = Path(path).absolute() if path else settings.load().store
    if chosen is None:
        raise ConfigurationError(
            "the store is off (HUDTRACE_STORE=off), so there is nothing to read; give "
            "one with --store"
        )
    if chosen.is_dir():
        raise ConfigurationError(f"the store {chosen} is a directory, not a file")
    try:
        read_only(chosen).close()
    except sqlite3.Error as error:
        raise ConfigurationError(f"cannot read the store {chosen}: {error}") from error
    return chosen


@contextlib.contextmanager
def opened(path: str | None) -> Iterator[sqlite3.Connection]:
    """Open the chosen store, or the one that the settings name.

    Raises `ConfigurationError` if it is off or cannot be read,
    `FileNotFoundError` if there is none.
    """
    chosen = chosen_store(path)
    db = read_only(chosen)
    try:
        yield db
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(f"cannot read the store {chosen}: {error}") from error
    finally:
        db.close()


def find(db: sqlite3.Connection, wanted: str) -> str:
    """Return the one trace that *wanted* means: an id, a prefix of one, `last`.

    Raises `ConfigurationError` if there is none, or more than one.
    """
    if wanted == "last":
        newest = queries.episodes(db, limit=1)
        if not newest:
            raise ConfigurationError("the store has no episodes yet")
        return newest[0].trace_id
    found = queries.find_traces(db, wanted)
    if not found:
        raise ConfigurationError(
            f"no trace begins with {wanted!r}; see '{text.command('ls')}'"
        )
    if len(found) > 1:
        some = ", ".join(trace_id[:12] for trace_id in found[:4])
        raise ConfigurationError(
            f"{wanted!r} begins more than one trace ({some}, …); give more digits"
        )
    return found[0]


def find_span(db: sqlite3.Connection, trace_id: str, wanted: str) -> StoredSpan:
    """Return the one span of a trace whose id begins with *wanted*.

    Raises `ConfigurationError` if there is none, or more than one.
    """
    spans = queries.spans(db, trace_id)
    found = [span for span in spans if wanted and span.span_id.startswith(wanted)]
    if not found:
        raise ConfigurationError(
            f"no span of {trace_id[:12]} begins with {wanted!r}; there are {len(spans)}"
        )
    if len(found) > 1:
        some = ", ".join(span.span_id for span in found[:4])
        raise ConfigurationError(
            f"{wanted!r} begins more than one span ({some}, …); give more digits"
        )
    return found[0]


def find_job(db: sqlite3.Connection, wanted: str) -> str | None:
    """Return the one job whose id is, or begins with, *wanted*; None if there is none.

    Raises `ConfigurationError` if there is more than one.
    """
    rows = db.execute(
        "SELECT DISTINCT job_id FROM episodes WHERE job_id >= ? AND job_id < ? LIMIT 6",
        (wanted, f"{wanted}\U0010ffff"),
    )
    found = [str(job_id) for (job_id,) in rows]
    if wanted in found:
        return wanted
    if len(found) > 1:
        raise ConfigurationError(
            f"{wanted!r} begins more than one job ({', '.join(found[:4])}, …)"
        )
    return found[0] if found else None
