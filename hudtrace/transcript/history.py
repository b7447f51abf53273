"""All that one model call was given and answered, as it was: nothing joined, nothing new."""

from __future__ import annotations

import sqlite3

from hudtrace.store import queries
from hudtrace.transcript import foreign
from hudtrace.transcript.calls import Messages
from hudtrace.transcript.parts import API, SHORT, Plain
from hudtrace.transcript.rows import detail


def history(
    db: sqlite3.Connection, trace_id: str, span_id: str, start: int, count: int
) -> tuple[int, list[Plain]] | None:
    """Return how many messages a call has, and *count* of them from *start* on.

    None if the span is no model call whose messages are known.
    """
    row = db.execute(
        "SELECT node, replies FROM spans WHERE trace_id = ? AND span_id = ?",
        (bytes.fromhex(trace_id), bytes.fromhex(span_id)),
    ).fetchone()
    if row is None:
        return None
    if row[0] is None:
        return _foreign(db, trace_id, span_id, start, count)
    chain = queries.message_hashes(db, row[0])
    source = Messages(db, trace_id)
    shown = chain[start : start + count]
    read = source.read(shown)
    split = len(chain) - (row[1] or 0)
    return len(chain), [
        SHORT.message(read[key], source.href(key), n, output=n > split)
        for n, key in enumerate(shown, start + 1)
        if key in read
    ]


def _foreign(
    db: sqlite3.Connection, trace_id: str, span_id: str, start: int, count: int
) -> tuple[int, list[Plain]] | None:
    known = detail(db, trace_id, span_id)
    said = foreign.messages_of(known.attributes, known.events)
    if said is None:
        return None
    every = [*said[0], *said[1]]
    href = f"{API}/trace/{trace_id}/span/{span_id}/message"
    return len(every), [
        SHORT.message(message, f"{href}/{n - 1}", n, output=n > len(said[0]))
        for n, message in enumerate(every[start : start + count], start + 1)
    ]
