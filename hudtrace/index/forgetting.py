"""Forgets the traces that the store has deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

_AT_ONCE = 200  # traces in one transaction
_SEEN_AT_ONCE = 5000
_THERE = (
    "SELECT trace_id FROM episodes WHERE trace_id IN ({0}) "
    "UNION SELECT trace_id FROM spans WHERE trace_id IN ({0}) "
    "UNION SELECT trace_id FROM open_spans WHERE trace_id IN ({0})"
)
_OF_A_TRACE = (
    "trace_services",
    "trace_operations",
    "trace_facts",
    "trace_tools",
    "trace_texts",
    "heads",
    "jobs",
    "listed",
)


def forget(index: sqlite3.Connection, store: sqlite3.Connection) -> int:
    """Delete what the index has of traces that are gone; return how many those were.

    They are looked for only if the store has fewer episodes than the list, or if its
    first span is gone.
    """
    (first,) = store.execute("SELECT coalesce(min(id), 0) FROM spans").fetchone()
    (there,) = store.execute("SELECT count(*) FROM episodes").fetchone()
    (listed,) = index.execute("SELECT count(*) FROM listed").fetchone()
    (before,) = index.execute("SELECT first FROM progress").fetchone()
    if listed <= there and before == first:
        return 0
    gone = 0
    last = 0
    while rows := index.execute(
        "SELECT id, trace_id FROM traces WHERE id > ? ORDER BY id LIMIT ?",
        (last, _SEEN_AT_ONCE),
    ).fetchall():
        last = rows[-1][0]
        numbers = _gone(store, rows)
        gone += len(numbers)
        for start in range(0, len(numbers), _AT_ONCE):
            _delete(index, numbers[start : start + _AT_ONCE])
    index.execute("UPDATE progress SET first = ?", (first,))
    return gone


def _gone(store: sqlite3.Connection, rows: Sequence[tuple[int, bytes]]) -> list[int]:
    marks = ",".join(f"?{number}" for number in range(1, len(rows) + 1))
    there = {
        key for (key,) in store.execute(_THERE.format(marks), [row[1] for row in rows])
    }
    return [number for number, key in rows if key not in there]


def _delete(index: sqlite3.Connection, numbers: Sequence[int]) -> None:
    marks = ",".join("?" * len(numbers))
    index.execute("BEGIN IMMEDIATE")
    try:
        texts = [
            text
            for (text,) in index.execute(
                f"SELECT DISTINCT text FROM trace_texts WHERE trace IN ({marks})",
                numbers,
            )
        ]
        for table in _OF_A_TRACE:
            index.execute(f"DELETE FROM {table} WHERE trace IN ({marks})", numbers)
        index.execute(f"DELETE FROM traces WHERE id IN ({marks})", numbers)
        _delete_unused(index, texts)
        index.execute("COMMIT")
    except BaseException:
        index.execute("ROLLBACK")
        raise


def _delete_unused(index: sqlite3.Connection, texts: Sequence[int]) -> None:
    """Delete those of *texts* that no trace has any more, and what no trace names."""
    for number in texts:
        row = index.execute(
            "SELECT text FROM texts WHERE id = ?1 "
            "AND NOT EXISTS (SELECT 1 FROM trace_texts WHERE text = ?1)",
            (number,),
        ).fetchone()
        if row is not None:
            index.execute(
                "INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)",
                (number, row[0]),
            )
            index.execute("DELETE FROM texts WHERE id = ?", (number,))
    index.execute(
        "DELETE FROM facts WHERE NOT EXISTS "
        "(SELECT 1 FROM trace_facts WHERE fact = facts.id)"
    )
    index.execute(
        "DELETE FROM operations WHERE NOT EXISTS "
        "(SELECT 1 FROM trace_operations WHERE operation = operations.id)"
    )
    index.execute(
        "DELETE FROM services WHERE NOT EXISTS "
        "(SELECT 1 FROM trace_services WHERE service = services.id)"
    )
