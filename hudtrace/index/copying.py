"""Keeps the list of episodes in the index like the one of the store.

An episode changes only when a span of its trace or a later verdict comes, or when it
begins; those are looked for, before any text is read.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence

from hudtrace.store.so_far import Used

_AT_ONCE = 2000  # traces in one transaction
_SPANS_AT_ONCE = 20_000
_COPIED = (
    "start",
    "end",
    "env",
    "scenario",
    "task_id",
    "job_id",
    "group_id",
    "model",
    "agent",
    "variant",
    "attempt",
    "outcome",
    "failure",
    "stopped_by",
    "reward",
    "input_tokens",
    "output_tokens",
    "cost",
    "turns",
    "tool_calls",
    "tool_errors",
)
_COLUMNS = ("trace", *_COPIED, "took", "tokens")
#: What is summed up from the spans of an episode until its end says it.
USED = (*Used._fields, "tokens")
_PUT = (
    f"INSERT INTO listed ({', '.join(_COLUMNS)}) "
    f"VALUES ({', '.join('?' * len(_COLUMNS))}) ON CONFLICT (trace) DO UPDATE SET "
    + ", ".join(
        f"{c} = iif(excluded.end IS NULL, coalesce(excluded.{c}, {c}), excluded.{c})"
        if c in USED
        else f"{c} = excluded.{c}"
        for c in _COLUMNS[1:]
    )
)
_CHANGED = (
    "SELECT trace_id FROM spans WHERE id > ?1 AND id <= ?2 UNION "
    "SELECT v.trace_id FROM spans AS s JOIN verdicts AS v ON v.span_id = s.span_id "
    "WHERE s.id > ?1 AND s.id <= ?2"
)


def copy_episodes(
    index: sqlite3.Connection, store: sqlite3.Connection, until: float | None = None
) -> bool:
    """Bring the list up to the store's newest span; return whether it is there.

    All of a large store are copied in steps, the newest first. After the moment *until*
    of the monotonic clock what is left of them is for another time.
    """
    (seen,) = index.execute("SELECT episodes FROM progress").fetchone()
    (newest,) = store.execute("SELECT coalesce(max(id), 0) FROM spans").fetchone()
    if seen == 0 and newest > _SPANS_AT_ONCE:
        while _copy_older(index, store, newest):
            if until is not None and time.monotonic() >= until:
                return False
        (seen,) = index.execute("SELECT episodes FROM progress").fetchone()
    while seen < newest:
        upto = min(newest, seen + _SPANS_AT_ONCE)
        changed = [key for (key,) in store.execute(_CHANGED, (seen, upto))]
        _copy(index, store, changed, upto)
        seen = upto
    _copy(index, store, _begun(index, store), None)
    return True


def _copy_older(
    index: sqlite3.Connection, store: sqlite3.Connection, newest: int
) -> bool:
    """Copy the next older episodes; return whether there may be more."""
    index.execute("UPDATE progress SET begun = coalesce(begun, ?)", (newest,))
    begun, start, trace = index.execute(
        "SELECT begun, copied_start, copied_trace FROM progress"
    ).fetchone()
    behind = "1" if start is None else "(start, trace_id) < (?, ?)"
    found = store.execute(
        f"SELECT trace_id, start FROM episodes WHERE {behind} "
        f"ORDER BY start DESC, trace_id DESC LIMIT {_AT_ONCE}",
        () if start is None else (start, trace),
    ).fetchall()
    if not found:
        index.execute("UPDATE progress SET episodes = max(episodes, ?)", (begun,))
        return False
    _copy(index, store, [key for key, _ in found], None)
    last, at = found[-1]
    index.execute("UPDATE progress SET copied_start = ?, copied_trace = ?", (at, last))
    return True


def _begun(index: sqlite3.Connection, store: sqlite3.Connection) -> list[bytes]:
    """Return the traces with open spans that the list does not have."""
    begun = {
        key for (key,) in store.execute("SELECT DISTINCT trace_id FROM open_spans")
    }
    if not begun:
        return []
    known = index.execute(
        "SELECT t.trace_id FROM listed AS e JOIN traces AS t ON t.id = e.trace "
        "WHERE e.end IS NULL"
    )
    return sorted(begun - {key for (key,) in known})


def _copy(
    index: sqlite3.Connection,
    store: sqlite3.Connection,
    keys: Sequence[bytes],
    upto: int | None,
) -> None:
    """Copy the episodes of *keys*; then the list has seen the spans *upto* there."""
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        index.execute("BEGIN IMMEDIATE")
        try:
            _copy_some(index, store, some)
            index.execute("COMMIT")
        except BaseException:
            index.execute("ROLLBACK")
            raise
    if upto is not None:
        index.execute("UPDATE progress SET episodes = max(episodes, ?)", (upto,))


def _copy_some(
    index: sqlite3.Connection, store: sqlite3.Connection, keys: Sequence[bytes]
) -> None:
    found = store.execute(
        f"SELECT trace_id, {', '.join(_COPIED)} FROM episodes "
        f"WHERE trace_id IN ({','.join('?' * len(keys))})",
        keys,
    ).fetchall()
    index.executemany(
        "INSERT INTO traces (trace_id, start) VALUES (?, ?) ON CONFLICT DO NOTHING",
        [(row[0], row[1]) for row in found],
    )
    numbers = numbers_of(index, [row[0] for row in found])
    index.executemany(
        _PUT, [(numbers[row[0]], *row[1:], *_derived(row[1:])) for row in found]
    )


def numbers_of(index: sqlite3.Connection, keys: Iterable[bytes]) -> dict[bytes, int]:
    """Return the number that the index has given each trace of *keys*."""
    wanted = list(keys)
    found: dict[bytes, int] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        marks = ",".join("?" * len(some))
        found |= index.execute(
            f"SELECT trace_id, id FROM traces WHERE trace_id IN ({marks})", some
        ).fetchall()
    return found


def _derived(row: Sequence[int | None]) -> tuple[int | None, int | None]:
    """Return how long an episode took, and its tokens together."""
    values = dict(zip(_COPIED, row, strict=True))
    start, end = values["start"], values["end"]
    took = None if end is None or start is None else end - start
    used = [values["input_tokens"], values["output_tokens"]]
    known = [tokens for tokens in used if tokens is not None]
    return took, sum(known) if known else None
