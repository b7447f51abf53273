"""Owns the SQLite file: opens it, writes batches, keeps it bounded."""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from hudtrace.errors import ConfigurationError
from hudtrace.store import fold
from hudtrace.store.forks import in_use
from hudtrace.store.outbox import Destination, Outbox, add_range, drop_transient
from hudtrace.store.rows import Batch, Row, Source
from hudtrace.store.writers import Writer

_SCRIPTS = ("schema.sql", "outbox.sql")  # one for each version
VERSION = len(_SCRIPTS)
BUSY_SECONDS = 60.0
MAX_BYTES = 5 * 10**9
_DAY_NS = 86_400 * 10**9
MAX_AGE_NS = 90 * _DAY_NS
_DELETABLE = """pinned = 0 AND NOT EXISTS (
    SELECT 1 FROM spans AS s JOIN outbox AS o ON s.id BETWEEN o.first AND o.last
    WHERE s.trace_id = episodes.trace_id)"""
_CHUNKS = (1024, 256, 64, 16, 4, 1)

COLUMNS: dict[str, tuple[str, ...]] = {
    "spans": (
        "trace_id",
        "span_id",
        "parent_id",
        "name",
        "start",
        "end",
        "status",
        "operation",
        "model",
        "phase",
        "turn",
        "node",
        "replies",
        "tools",
        "source",
        "body",
    ),
    "messages": ("hash", "body"),
    "nodes": ("hash", "parent", "message"),
    "verdicts": (
        "span_id",
        "trace_id",
        "name",
        "value",
        "label",
        "kind",
        "evaluator",
        "version",
        "supersedes",
        "at",
        "late",
    ),
    "open_spans": (
        "span_id",
        "trace_id",
        "parent_id",
        "name",
        "start",
        "writer",
        "body",
    ),
    "episodes": fold.COLUMNS,
}
_SOURCE = COLUMNS["spans"].index("source")


class Store:
    """The writing side of the store; use it from one thread at a time.

    `path` None keeps everything in memory. Raises
    `ConfigurationError` for a file of a newer version, `sqlite3.Error` and
    `OSError` if the file cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.uri = ":memory:" if path is None else path.as_uri()
        self.guard: contextlib.AbstractContextManager[Any] = (
            threading.RLock() if path is None else in_use
        )
        self._sources: dict[bytes, int] = {}
        self._statements: dict[tuple[str, int], str] = {}
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._connection: sqlite3.Connection | None = None
        with self.guard:
            limit = self._db.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        self._max_variables = limit
        if path is not None:
            in_use.keep(self)

    @property
    def _db(self) -> sqlite3.Connection:
        """The connection, which is opened anew after a fork."""
        if self._connection is None:
            self._connection = self._connect()
            # Not at exit: where a fork could not wait, it is the parent's.
            weakref.finalize(self, self._connection.close).atexit = False
        return self._connection

    def let_go(self) -> None:
        """Close the file until it is used again."""
        if self._connection is not None and self.path is not None:
            self._connection.close()
            self._connection = None

    def write(self, batch: Batch) -> None:
        """Commit *batch*; spans that are there already are left as they are."""
        with self.guard:
            self._write(batch)

    def _write(self, batch: Batch) -> None:
        execute = self._db.execute
        execute("BEGIN IMMEDIATE")
        try:
            ids = {key: self._source_id(s) for key, s in batch.sources.items()}
            spans = [
                (*r[:_SOURCE], ids[r[_SOURCE]], r[_SOURCE + 1]) for r in batch.spans
            ]
            last = self._last_span() if batch.destinations else 0
            self._insert("spans", spans, "OR IGNORE")
            if batch.destinations:
                self._queue(batch, last + 1, self._last_span())
            self._insert("messages", batch.messages.items(), "OR IGNORE")
            nodes = ((node, *rest) for node, rest in batch.nodes.items())
            self._insert("nodes", nodes, "OR IGNORE")
            self._insert("verdicts", batch.verdicts, "OR REPLACE")
            self._insert_episodes(batch)
            self._insert("open_spans", batch.opened, "OR REPLACE")
            self._delete_open(batch.closed)
            execute("COMMIT")
        except BaseException:
            self._sources.clear()
            with contextlib.suppress(sqlite3.Error):
                execute("ROLLBACK")
            raise

    def write_heartbeat(self, writer: Row) -> None:
        """Say that a writer lives: id, host, boot id, pid, start, now, closed."""
        with self.guard:
            self._db.execute(
                "INSERT OR REPLACE INTO writers VALUES (?,?,?,?,?,?,?)", writer
            )

    def retain(self, max_bytes: int = MAX_BYTES, max_age: int = MAX_AGE_NS) -> int:
        """Delete the oldest traces until the store is within its bounds.

        Pinned episodes and those that wait to be sent stay. Returns how many traces were deleted.
        """
        deleted = self._delete_before(time.time_ns() - max_age)
        while self._bytes() > max_bytes:
            oldest = self._db.execute(
                f"SELECT trace_id FROM episodes WHERE {_DELETABLE} "
                f"ORDER BY start LIMIT 200"
            ).fetchall()
            if not oldest:
                break
            self._delete([trace_id for (trace_id,) in oldest])
            deleted += len(oldest)
        if deleted:
            self._delete_unused_content()
        return deleted

    def count_old(self, max_age: int) -> int:
        """Return how many traces `retain` would delete for their age alone."""
        (count,) = self._db.execute(
            f"SELECT count(*) FROM episodes WHERE {_DELETABLE} AND start < ?",
            (time.time_ns() - max_age,),
        ).fetchone()
        return int(count)

    def used_bytes(self) -> int:
        """Return how much the store holds, without what it keeps free."""
        return self._bytes()

    def compact(self) -> None:
        """Give the space of what was deleted back to the file system."""
        self._db.execute("VACUUM")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def tidy(self) -> int:
        """Call `retain` if this is the day's first process here, and alone."""
        with self.guard:
            return self._tidy()

    def _tidy(self) -> int:
        found = self._db.execute(
            "SELECT id, host, boot_id, pid, process_start, heartbeat, closed FROM writers"
        )
        writers = [Writer(*row) for row in found]
        latest = max((writer.heartbeat for writer in writers), default=time.time_ns())
        if latest // _DAY_NS >= time.time_ns() // _DAY_NS:
            return 0
        if any(writer.alive for writer in writers):
            return 0
        drop_transient(self._db)
        return self.retain()

    def reader(self) -> sqlite3.Connection:
        """Return a connection to read with; the caller closes it if `path` is set."""
        return self._db if self.path is None else read_only(self.path)

    def outbox(self, destination: Destination) -> Outbox:
        """Return the outbox of *destination*, for another thread to work on."""
        if self.path is None:
            return Outbox(lambda: self._db, destination, self.guard)
        return Outbox(functools.partial(connect, self.path), destination)

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()

    # Opening -----------------------------------------------------------------

    def _connect(self) -> sqlite3.Connection:
        if self.path is not None and not self.path.exists():
            self.path.touch(0o600)  # what SQLite puts beside it is as it is then
        db = open_uri(self.uri)
        try:
            with self._creation_lock():
                self._prepare(db)
        except BaseException:
            db.close()
            raise
        if self.path is not None:
            with contextlib.suppress(OSError):
                self.path.chmod(0o600)
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA page_size = 8192")
        mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        self.journal = str(mode)
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA wal_autocheckpoint = 4000")
        db.execute("PRAGMA cache_size = -2000")
        self._migrate(db)

    @contextlib.contextmanager
    def _creation_lock(self) -> Iterator[None]:
        if self.path is None:
            yield
            return
        import fcntl

        file = self.path.with_name(f"{self.path.name}.lock")
        with file.open("w") as lock:
            file.chmod(0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _migrate(self, db: sqlite3.Connection) -> None:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise ConfigurationError(
                f"the store {self.path} has version {version}, but this hudtrace reads "
                f"up to {VERSION}; upgrade hudtrace, or set HUDTRACE_STORE to a new file"
            )
        folder = resources.files("hudtrace.store")
        for number, name in enumerate(_SCRIPTS[version:], version + 1):
            script = folder.joinpath(name).read_text("utf-8")
            db.executescript(
                f"BEGIN; {script}; PRAGMA user_version = {number}; COMMIT;"
            )

    # Writing -----------------------------------------------------------------

    def _insert(
        self, table: str, rows: Iterable[Sequence[Any]], verb: str = ""
    ) -> None:
        """Insert with as few statements as there can be.

        Never executemany: it lets go of the GIL for each row, and waits a
        switch interval for it each time while another thread computes.
        """
        pending = list(rows)
        width = len(COLUMNS[table])
        tail = fold.UPSERT if table == "episodes" else ""
        position = 0
        for size in _CHUNKS:
            while (
                len(pending) - position >= size and size * width <= self._max_variables
            ):
                statement = self._statement(table, size, verb, tail)
                values: list[Any] = []
                for row in pending[position : position + size]:
                    values += row
                self._db.execute(statement, values)
                position += size

    def _statement(self, table: str, size: int, verb: str, tail: str) -> str:
        found = self._statements.get((table, size))
        if found is None:
            columns = COLUMNS[table]
            marks = f"({','.join('?' * len(columns))})"
            # "ON CONFLICT" needs no WHERE after VALUES, unlike after SELECT.
            found = (
                f"INSERT {verb} INTO {table} ({','.join(columns)}) VALUES "
                f"{','.join([marks] * size)}{tail}"
            )
            self._statements[table, size] = found
        return found

    def _last_span(self) -> int:
        (last,) = self._db.execute("SELECT coalesce(max(id), 0) FROM spans").fetchone()
        return int(last)

    def _queue(self, batch: Batch, first: int, last: int) -> None:
        if last >= first:
            for destination in batch.destinations:
                add_range(self._db, destination, first, last, batch.writer)

    def _insert_episodes(self, batch: Batch) -> None:
        rows = [tuple(row[c] for c in fold.COLUMNS) for row in batch.episodes.values()]
        self._insert("episodes", rows)
        ended = {key for key, row in batch.episodes.items() if row["end"] is not None}
        touched = list(ended | {verdict[1] for verdict in batch.verdicts})
        for start in range(0, len(touched), 500):
            some = touched[start : start + 500]
            self._db.execute(fold.settle_rewards(len(some)), some)

    def _delete_open(self, span_ids: Sequence[bytes]) -> None:
        for start in range(0, len(span_ids), 500):
            some = span_ids[start : start + 500]
            marks = ",".join("?" * len(some))
            self._db.execute(f"DELETE FROM open_spans WHERE span_id IN ({marks})", some)

    def _source_id(self, source: Source) -> int:
        known = self._sources.get(source.key)
        if known is None:
            self._db.execute(
                "INSERT OR IGNORE INTO sources (hash, resource, scope, schema_url) "
                "VALUES (?,?,?,?)",
                (source.key, source.resource, source.scope, source.schema_url),
            )
            (known,) = self._db.execute(
                "SELECT id FROM sources WHERE hash = ?", (source.key,)
            ).fetchone()
            self._sources[source.key] = known
        return int(known)

    # Retention ---------------------------------------------------------------

    def _bytes(self) -> int:
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
        (size,) = self._db.execute("PRAGMA page_size").fetchone()
        return int((pages - free) * size)

    def _delete_before(self, time_ns: int) -> int:
        old = self._db.execute(
            f"SELECT trace_id FROM episodes WHERE {_DELETABLE} AND start < ?",
            (time_ns,),
        ).fetchall()
        self._delete([trace_id for (trace_id,) in old])
        return len(old)

    def _delete(self, trace_ids: Sequence[bytes]) -> None:
        for start in range(0, len(trace_ids), 200):
            some = trace_ids[start : start + 200]
            marks = ",".join("?" * len(some))
            self._db.execute("BEGIN IMMEDIATE")
            for table in ("spans", "open_spans", "verdicts", "episodes"):
                self._db.execute(
                    f"DELETE FROM {table} WHERE trace_id IN ({marks})", some
                )
            self._db.execute("COMMIT")

    def _delete_unused_content(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute(
            "WITH RECURSIVE used(hash) AS ("
            " SELECT node FROM spans WHERE node IS NOT NULL"
            " UNION SELECT parent FROM nodes JOIN used USING (hash)"
            " WHERE parent IS NOT NULL) "
            "DELETE FROM nodes WHERE hash NOT IN (SELECT hash FROM used)"
        )
        self._db.execute(
            "DELETE FROM messages WHERE hash NOT IN (SELECT message FROM nodes) AND "
            "hash NOT IN (SELECT tools FROM spans WHERE tools IS NOT NULL)"
        )
        self._db.execute("COMMIT")


def connect(path: Path) -> sqlite3.Connection:
    """Open a store that is there, to read and to write; not to make or migrate it."""
    db = open_uri(path.as_uri())
    db.execute("PRAGMA synchronous = NORMAL")
    return db


def open_uri(uri: str, timeout: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Open a database file by its URI, for whichever thread, without transactions.

    *timeout* is how many seconds to wait for another process that locks it.
    """
    return sqlite3.connect(
        uri,
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=timeout,
    )


def reading_uri(path: Path) -> str:
    """Return how SQLite opens *path* only to read it, be its folder read-only or not."""
    log = path.with_name(f"{path.name}-wal")
    # Only a file that nobody can be writing to is read without its log.
    alone = not os.access(path.parent, os.W_OK) and not log.exists()
    return f"{path.as_uri()}?mode=ro{'&immutable=1' if alone else ''}"


def bytes_on_disk(path: Path) -> int:
    """Return how many bytes a store takes, what is not yet in its file included."""
    parts = (path, path.with_name(f"{path.name}-wal"))
    return sum(part.stat().st_size for part in parts if part.exists())


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return what tells one file from another at *path*; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def read_only(path: Path) -> sqlite3.Connection:
    """Open the store for reading; raises `FileNotFoundError` if there is none."""
    if not path.exists():
        raise FileNotFoundError(
            f"no trace store at {path}; run an eval first, or set HUDTRACE_STORE"
        )
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
    db.execute("PRAGMA query_only = 1")
    return db
