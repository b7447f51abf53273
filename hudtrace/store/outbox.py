"""What waits to be sent to one destination: who may send, what is next, what went.

The rows survive any process. One process at a time sends, by a lease; what it
has sent and what it notes of that are one transaction, so that a crash sends
a span twice at worst.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hudtrace.store.forks import in_use
from hudtrace.store.writers import Writer

_ROWS_AT_ONCE = 64
Connection = sqlite3.Connection


class Destination(NamedTuple):
    """Where spans go: `key` is 16 bytes, `label` names it to people.

    A *transient* one is gone with the process that sends to it.
    """

    key: bytes
    name: str
    label: str
    transient: bool = False


class Segment(NamedTuple):
    """Spans that are next in one outbox row: row ids, both included."""

    row: int
    first: int
    last: int
    writer: str


class Outgoing(NamedTuple):
    """One stored span, as the outbox hands it out."""

    id: int
    trace_id: bytes
    span_id: bytes
    parent_id: bytes | None
    name: str
    status: int
    operation: str | None
    node: bytes | None
    replies: int | None
    tools: bytes | None
    source: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much of a destination is unsent; counts of spans."""

    destination: Destination
    waiting: int
    set_aside: int
    reasons: Sequence[str]


class Outbox:
    """The outbox of one destination.

    `open` gives its connection, which is closed before a fork and opened again after
    it; with *guard* it is shared, and that is held around each use of it.
    """

    def __init__(
        self,
        open: Callable[[], sqlite3.Connection],
        destination: Destination,
        guard: contextlib.AbstractContextManager[Any] | None = None,
    ) -> None:
        self._open = open
        self._connection: sqlite3.Connection | None = None
        self._shared = guard is not None
        self.guard = guard or in_use
        with self._transaction():
            self.id = destination_id(self._db, destination)
        if not self._shared:
            in_use.keep(self)

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, to be used while `guard` is held."""
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    _db = connection

    def let_go(self) -> None:
        """Close the file until it is used again."""
        if self._connection is not None and not self._shared:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Close the connection, unless others use it."""
        self.let_go()

    def hold(self, holder: str, seconds: float) -> bool:
        """Take or renew the right to send; False while another process has it.

        One that is gone has it no more, however long it had taken it for.
        """
        now = time.time_ns()
        with self._transaction():
            current, until = self._db.execute(
                "SELECT holder, held_until FROM destinations WHERE id = ?", (self.id,)
            ).fetchone()
            if current not in (None, holder) and until > now and self._lives(current):
                return False
            self._db.execute(
                "UPDATE destinations SET holder = ?, held_until = ? WHERE id = ?",
                (holder, now + int(seconds * 1e9), self.id),
            )
            return True

    def _lives(self, holder: str) -> bool:
        row = self._db.execute(
            "SELECT id, host, boot_id, pid, process_start, heartbeat, closed "
            "FROM writers WHERE id = ?",
            (holder,),
        ).fetchone()
        return row is None or Writer(*row).alive

    def release(self, holder: str) -> None:
        """Give up the right to send."""
        with self._transaction():
            self._db.execute(
                "UPDATE destinations SET holder = NULL, held_until = 0 "
                "WHERE id = ? AND holder = ?",
                (self.id, holder),
            )

    def next(self, most: int) -> list[tuple[Segment, Outgoing]]:
        """Return up to *most* spans that wait, oldest first."""
        found: list[tuple[Segment, Outgoing]] = []
        with self.guard:
            rows = self._db.execute(
                "SELECT id, first, last, writer FROM outbox WHERE destination = ? "
                "ORDER BY first LIMIT ?",
                (self.id, _ROWS_AT_ONCE),
            ).fetchall()
            for row, first, last, writer in rows:
                for span in self._spans(first, last, most - len(found)):
                    found.append((Segment(row, span.id, span.id, writer), span))
                if len(found) >= most:
                    break
        return found

    def is_empty(self) -> bool:
        """Say whether nothing waits, for any process."""
        with self.guard:
            row = self._db.execute(
                "SELECT 1 FROM outbox WHERE destination = ? LIMIT 1", (self.id,)
            ).fetchone()
        return row is None

    def prune(self) -> None:
        """Take out what refers to spans that have been deleted."""
        with self._transaction():
            self._db.execute(
                "DELETE FROM outbox WHERE destination = ? AND NOT EXISTS ("
                "SELECT 1 FROM spans WHERE id BETWEEN first AND last)",
                (self.id,),
            )

    def accepted(self, segments: Sequence[Segment]) -> None:
        """Note that the spans of *segments* have been sent."""
        with self._transaction():
            self._take_out(segments)

    def refused(self, segments: Sequence[Segment], count: int, reason: str) -> None:
        """Note that *count* of the spans of *segments* were not taken, for good."""
        with self._transaction():
            self._take_out(segments)
            for position, segment in enumerate(segments):
                self._db.execute(
                    "INSERT INTO set_aside (destination, first, last, count, writer, "
                    "reason, at) VALUES (?,?,?,?,?,?,?)",
                    (
                        self.id,
                        segment.first,
                        segment.last,
                        count if position == 0 else 0,
                        segment.writer,
                        reason[:500],
                        time.time_ns(),
                    ),
                )

    def _spans(self, first: int, last: int, most: int) -> list[Outgoing]:
        rows = self._db.execute(
            "SELECT id, trace_id, span_id, parent_id, name, status, operation, node, "
            "replies, tools, source, body FROM spans WHERE id BETWEEN ? AND ? "
            "ORDER BY id LIMIT ?",
            (first, last, most),
        ).fetchall()
        return [Outgoing(*row) for row in rows]

    def _take_out(self, segments: Sequence[Segment]) -> None:
        for segment in segments:
            self._db.execute(
                "UPDATE outbox SET first = ? WHERE id = ? AND first <= ?",
                (segment.last + 1, segment.row, segment.last),
            )
        self._db.execute(
            "DELETE FROM outbox WHERE destination = ? AND first > last", (self.id,)
        )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self.guard, transaction(self._db):
            yield


def count_waiting(
    db: sqlite3.Connection,
    key: bytes,
    *,
    writer: str | None = None,
    trace_id: bytes | None = None,
) -> int:
    """Count the spans that wait for a destination: of a process, a trace, or all."""
    (count,) = db.execute(
        "SELECT count(*) FROM destinations AS d JOIN outbox AS o ON o.destination = d.id "
        "JOIN spans AS s ON s.id BETWEEN o.first AND o.last WHERE d.key = :key"
        + (" AND o.writer = :writer" if writer is not None else "")
        + (" AND s.trace_id = :trace" if trace_id is not None else ""),
        {"key": key, "writer": writer, "trace": trace_id},
    ).fetchone()
    return int(count)


def count_set_aside(
    db: sqlite3.Connection,
    key: bytes,
    *,
    writer: str | None = None,
    trace_id: bytes | None = None,
) -> int:
    """Count the spans that a destination has refused; of a trace, at most so many."""
    if trace_id is None:
        (count,) = db.execute(
            "SELECT coalesce(sum(a.count), 0) FROM destinations AS d "
            "JOIN set_aside AS a ON a.destination = d.id WHERE d.key = :key"
            + (" AND a.writer = :writer" if writer is not None else ""),
            {"key": key, "writer": writer},
        ).fetchone()
        return int(count)
    rows = db.execute(
        "SELECT a.count, count(s.id) FROM spans AS s JOIN destinations AS d "
        "ON d.key = ? JOIN set_aside AS a "
        "ON a.destination = d.id AND s.id BETWEEN a.first AND a.last "
        "WHERE s.trace_id = ? GROUP BY a.id",
        (key, trace_id),
    ).fetchall()
    return sum(min(row) for row in rows)


def backlog(db: sqlite3.Connection) -> list[Waiting]:
    """Return what waits and what is set aside, by destination."""
    found = []
    for id_, *destination in db.execute(
        "SELECT id, key, name, label FROM destinations WHERE NOT transient ORDER BY id"
    ).fetchall():
        where = Destination(*destination)
        reasons = db.execute(
            "SELECT reason, sum(count) FROM set_aside WHERE destination = ? "
            "GROUP BY reason ORDER BY max(at) DESC LIMIT 5",
            (id_,),
        ).fetchall()
        found.append(
            Waiting(
                where,
                count_waiting(db, where.key),
                count_set_aside(db, where.key),
                [f"{count} × {reason}" for reason, count in reasons if count],
            )
        )
    return found


def drop_transient(db: sqlite3.Connection) -> None:
    """Forget what was queued for destinations that are gone with their process."""
    gone = "SELECT id FROM destinations WHERE transient"
    with transaction(db):
        for table in ("outbox", "set_aside"):
            db.execute(f"DELETE FROM {table} WHERE destination IN ({gone})")
        db.execute("DELETE FROM destinations WHERE transient")


def add_range(
    db: sqlite3.Connection, destination: Destination, first: int, last: int, writer: str
) -> None:
    """Queue the spans of an unbroken range of row ids; in a transaction."""
    db.execute(
        "INSERT INTO outbox (destination, first, last, writer) VALUES (?,?,?,?)",
        (destination_id(db, destination), first, last, writer),
    )


def queue_since(
    db: sqlite3.Connection, destination: Destination, start: int, writer: str
) -> int:
    """Queue every span that began at *start* (unix ns) or later; return how many.

    Those that wait for the destination already are not queued twice.
    """
    with transaction(db):
        id_ = destination_id(db, destination)
        ids = [
            span
            for (span,) in db.execute(
                "SELECT id FROM spans AS s WHERE start >= ? AND NOT EXISTS ("
                "SELECT 1 FROM outbox WHERE destination = ? "
                "AND s.id BETWEEN first AND last) ORDER BY id",
                (start, id_),
            )
        ]
        for first, last in _runs(ids):
            add_range(db, destination, first, last, writer)
    return len(ids)


def queue_again(db: sqlite3.Connection, key: bytes) -> None:
    """Queue what a destination has refused; it may take it now."""
    with transaction(db):
        db.execute(
            "INSERT INTO outbox (destination, first, last, writer) "
            "SELECT a.destination, a.first, a.last, a.writer FROM set_aside AS a "
            "JOIN destinations AS d ON d.id = a.destination WHERE d.key = ?",
            (key,),
        )
        db.execute(
            "DELETE FROM set_aside WHERE destination IN "
            "(SELECT id FROM destinations WHERE key = ?)",
            (key,),
        )


def _runs(ids: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Return the unbroken runs of ascending numbers, by their ends."""
    first = last = None
    for number in ids:
        if last is not None and number == last + 1:
            last = number
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = number
    if first is not None and last is not None:
        yield first, last


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block does, or nothing of it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def destination_id(db: sqlite3.Connection, destination: Destination) -> int:
    """Return the row id of a destination, added if it is new; in a transaction."""
    db.execute(
        "INSERT OR IGNORE INTO destinations (key, name, label, transient) "
        "VALUES (?,?,?,?)",
        destination,
    )
    (found,) = db.execute(
        "SELECT id FROM destinations WHERE key = ?", (destination.key,)
    ).fetchone()
    return int(found)
