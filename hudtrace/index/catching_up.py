"""Reads the spans that the store has had since, some in each transaction.

A transaction moves the place up to which the store was read together with what was
found there, so it does not matter where one is stopped, or how many processes do it.
"""

from __future__ import annotations

import sqlite3

from hudtrace.index.gathering import Gathering, SpanRow

_SPANS_AT_ONCE = 2000
_BYTES_AT_ONCE = 8 * 10**6
_TABLES = (
    "traces",
    "services",
    "trace_services",
    "operations",
    "trace_operations",
    "listed",
    "facts",
    "trace_facts",
    "trace_tools",
    "jobs",
    "texts",
    "trace_texts",
    "heads",
)
_SELECT = (
    "SELECT id, trace_id, span_id, parent_id, name, start, end, status, operation, "
    f"model, phase, turn, node, source, body FROM spans WHERE id > ? ORDER BY id LIMIT {_SPANS_AT_ONCE}"
)


def read_batch(index: sqlite3.Connection, store: sqlite3.Connection) -> int:
    """Read the next spans; return how many there were, 0 for none."""
    index.execute("BEGIN IMMEDIATE")
    try:
        (at,) = index.execute("SELECT spans FROM progress").fetchone()
        gathered, size = Gathering(index, store), 0
        read, last = 0, None
        for row in store.execute(_SELECT, (at,)):
            last = SpanRow(*row)
            gathered.add(last)
            read += 1
            size += len(last.body)
            if size > _BYTES_AT_ONCE:
                break
        if last is not None:
            gathered.write()
            index.execute(
                "UPDATE progress SET spans = ?, span_id = ?", (last.id, last.span_id)
            )
        index.execute("COMMIT")
    except BaseException:
        index.execute("ROLLBACK")
        raise
    return read


def is_of_another_store(index: sqlite3.Connection, store: sqlite3.Connection) -> bool:
    """Say whether the store is not the one that was read, or has begun to count anew.

    The last span that was read has to be there still, or later ones.
    """
    at, listed, span_id = index.execute(
        "SELECT spans, episodes, span_id FROM progress"
    ).fetchone()
    (newest,) = store.execute("SELECT coalesce(max(id), 0) FROM spans").fetchone()
    if newest < max(at, listed):
        return True
    row = store.execute("SELECT span_id FROM spans WHERE id = ?", (at,)).fetchone()
    return row is not None and row[0] != span_id


def start_anew(index: sqlite3.Connection) -> None:
    """Forget everything, in one transaction, while others may read."""
    index.execute("BEGIN IMMEDIATE")
    try:
        index.execute("INSERT INTO words (words) VALUES ('delete-all')")
        for table in _TABLES:
            index.execute(f"DELETE FROM {table}")
        index.execute(
            "UPDATE progress SET episodes = 0, begun = NULL, copied_start = NULL, "
            "copied_trace = NULL, spans = 0, span_id = NULL, first = 0"
        )
        index.execute("COMMIT")
    except BaseException:
        index.execute("ROLLBACK")
        raise
