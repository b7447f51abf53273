"""From ended spans to the store: one queue, one thread, one account.

A span that was committed survives `kill -9`. Nothing here blocks an event
loop, hangs at exit, or raises into user code.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hudtrace import settings as settings_module
from hudtrace.backends import Backend
from hudtrace.delivery import endings, open_spans
from hudtrace.delivery.batch import BatchWriter
from hudtrace.delivery.exports import Exports
from hudtrace.delivery.ledger import DeliveryReport, Ledger
from hudtrace.delivery.open_spans import OpenSpans, Stored
from hudtrace.delivery.queue import SpanQueue
from hudtrace.delivery.readable import as_readable
from hudtrace.errors import ConfigurationError
from hudtrace.notices import internal_error, notify_once
from hudtrace.settings import Settings
from hudtrace.store.forks import in_use
from hudtrace.store.rows import Batch
from hudtrace.store.store import Store, read_only
from hudtrace.store.writers import Writer
from hudtrace.tracing.given_keys import given_keys
from hudtrace.tracing.redaction import Redactor

COMMIT_SECONDS = 0.25
URGENT_SECONDS = 0.01  # the same, where somebody waits for the commit
BATCH_SPANS = 2048
BATCH_BYTES = 8 << 20
HURRY_SPANS = 1024
# Spans are read and encoded a few at a time: a span holds many objects, its row
# one, and objects that pile up have the garbage collector run through the heap.
GATHER_SPANS = 16
HEARTBEAT_SECONDS = 5.0
EXIT_SECONDS = 10.0

HandOver = Callable[[Any], None]


class Pipeline:
    """Takes spans as they start and end, and writes them.

    What is committed is also queued for each of *backends*. `hand_over` gets each
    span of ours for the processors of the user's own provider.
    """

    def __init__(self, chosen: Settings, backends: Sequence[Backend] = ()) -> None:
        self.settings = chosen
        self._backends = tuple(backends)
        self.hand_over: HandOver | None = None
        self.start_afresh()
        endings.watch(self)

    def start_afresh(self) -> None:
        """Set up everything that a forked child must not share with its parent."""
        self._queue = SpanQueue()
        self._ledger = Ledger(durable=self.settings.store is not None)
        self.taps: list[Callable[[Any], None]] = []
        self._exports = Exports(self._backends, self.settings.content)
        self._exit_seconds = self.settings.exit_timeout
        self._open = OpenSpans()
        self._secrets: frozenset[str] | None = None
        self._redactor = Redactor()
        self._thread: threading.Thread | None = None
        self._thread_lock = threading.Lock()
        self._store: Store | None = None
        self._writer: Writer | None = None
        self._last_beat = 0.0
        self._rows = BatchWriter(
            self._redactor, content=self.settings.content != "none"
        )
        self._gathered = self._nothing()
        self._written = threading.Condition()
        self._handled = 0  # spans that have been through a step, to its end
        self._flushing = 0
        self._idle = True
        self._closing = False

    # What the tracer calls ---------------------------------------------------

    def started(self, span: Any) -> None:
        """Take note of a span that has begun."""
        ids = span.context
        self._ledger.started(ids.trace_id)
        self._open.young[ids.span_id] = span
        if self._idle:
            self._wake()

    def ended(self, span: Any) -> None:
        """Take over a span that has ended."""
        ids = span.context
        self._ledger.ended(ids.trace_id)
        self._open.young.pop(ids.span_id, None)
        for tap in self.taps:
            tap(span)
        size = getattr(span, "size", None) or _foreign_size(span)
        if not self._queue.put(span, size):
            self._ledger.dropped(ids.trace_id)
            notify_once(
                "queue-full",
                "spans are dropped: the store does not keep up and 256 MiB are "
                "waiting; see hudtrace's delivery report for how many",
            )
            return
        if self._idle or len(self._queue) % GATHER_SPANS == 0:
            self._wake()

    async def secure(self, span: Any) -> None:
        """Have the start record of an open span stored now, not in a second.

        A store that is too slow, or off, is not waited for.
        """
        if not self._ledger.durable:
            return
        stored = self._open.ask(span)
        self._wake()
        await open_spans.wait_for(stored)

    async def room(self) -> None:
        """Wait until there is room for more spans; at once in nearly every case."""
        if self._queue.bytes > self._queue.soft:
            await self._queue.room()

    # What the rest of the process asks ---------------------------------------

    def started_count(self, trace_id: str) -> int:
        """Return how many spans of a trace (hex id) have been started."""
        return self._ledger.started_count(int(trace_id, 16))

    def report(self, trace_id: str | None = None) -> DeliveryReport:
        """Return the account of one trace (hex id), or of everything."""
        report = self._ledger.report(None if trace_id is None else int(trace_id, 16))
        if not self._exports:
            return report
        with self._reader() as db:
            counts = self._exports.counts(db, report.stored, trace_id)
        return dataclasses.replace(report, exporters=counts)

    @contextlib.contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """Read the store as it is now, from any thread."""
        store, path = self._store, self.settings.store
        if store is not None and store.path is None:
            with store.guard:
                yield store.reader()
        else:
            there = path is not None and path.exists()
            with in_use:
                db = read_only(path) if there and path else Store(None).reader()
                with contextlib.closing(db):
                    yield db

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until what has ended so far is stored and exported; bounded.

        Returns whether it is, and no span was dropped or refused.
        """
        deadline = time.monotonic() + timeout
        stored = self._flush_store(deadline)
        return self._exports.flush(self._reader, deadline) and stored

    def _flush_store(self, deadline: float) -> bool:
        before = self._ledger.total
        target, dropped = before.ended, before.dropped
        self._flushing += 1
        try:
            with self._written:
                while self._settled() < target and time.monotonic() < deadline:
                    self._wake()
                    self._written.wait(0.02)
        finally:
            self._flushing -= 1
        lost = self._ledger.total.dropped - dropped
        return self._settled() >= target and not lost and self._all_stored(target)

    def _all_stored(self, target: int) -> bool:
        total = self._ledger.total
        return total.stored + total.dropped >= target

    def hurry(self, timeout: float = EXIT_SECONDS) -> None:
        """Write and send what there is, as the main thread is at its end.

        Other threads may go on; `close` comes after them, with what is then left of
        `exit_timeout`.
        """
        self._flush_store(time.monotonic() + timeout)
        if not self._exports:
            return
        begun = time.monotonic()
        with contextlib.suppress(sqlite3.Error, OSError):
            self._exports.hurry(self._reader, begun + self._exit_seconds)
        self._exit_seconds = max(0.0, self._exit_seconds - (time.monotonic() - begun))

    def close(self, timeout: float = EXIT_SECONDS) -> None:
        """Write what is left, within *timeout* seconds each, and end the threads.

        Exporters get `exit_timeout` together; the store keeps what is not sent.
        """
        self._flush_store(time.monotonic() + timeout)
        with contextlib.suppress(sqlite3.Error, OSError):
            self._exports.close(self._reader, self._exit_seconds, self._ledger.durable)
        thread = self._thread
        if thread is not None:
            self._closing = True
            self._queue.wake.set()
            thread.join(timeout)
            # A span that ends later starts a thread again.
            self._thread, self._closing = None, False

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read the store, with everything in it that has ended so far."""
        self.flush()
        store = self._opened_store()
        db = store.reader()
        try:
            yield db
        finally:
            if store.path is not None:
                db.close()

    # The writer thread -------------------------------------------------------

    def _wake(self) -> None:
        self._idle = False
        if self._thread is None:
            self._start_thread()
        self._queue.wake.set()

    def _start_thread(self) -> None:
        with self._thread_lock:
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(
                    target=self._run, name="hudtrace-writer", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        wake = self._queue.wake
        while not self._closing:
            self._idle = not self._open.young and not len(self._queue)
            if self._idle and (self._open.young or len(self._queue)):
                self._idle = False  # something came in between
            if self._idle:
                wake.wait()
                wake.clear()
            self._linger()
            self._guarded_step()
        self._guarded_step()
        self._say_goodbye()

    def _linger(self) -> None:
        """Let rows gather: a commit costs the same for one as for a thousand."""
        begun = time.monotonic()
        while not (self._hasty or self._gathered.spans >= HURRY_SPANS):
            longest = URGENT_SECONDS if self._open.asked else COMMIT_SECONDS
            left = begun + longest - time.monotonic()
            if left <= 0 or not self._queue.wake.wait(left):
                return
            self._queue.wake.clear()
            if len(self._queue) >= GATHER_SPANS:
                self._gather()

    def _guarded_step(self) -> None:
        try:
            while self._step():
                pass
        except Exception as error:
            internal_error("the writer thread", error)
        with self._written:
            self._written.notify_all()

    def _step(self) -> bool:
        """Write one batch; return whether the next is due without a pause."""
        self._gather()
        gathered, self._gathered = self._gathered, self._nothing()
        try:
            self._write(gathered)
        except Exception as error:
            internal_error("writing spans (they are counted as dropped)", error)
            for trace_id in gathered.traces:
                self._ledger.dropped(trace_id)
        finally:
            self._queue.done(gathered.size)
            self._handled += gathered.spans
            open_spans.tell(gathered.waiting)
            with self._written:
                self._written.notify_all()
        return len(self._queue) >= (1 if self._hasty else HURRY_SPANS)

    @property
    def _hasty(self) -> bool:
        return self._closing or self._flushing > 0

    def _nothing(self) -> _Gathered:
        exports = self._exports
        return _Gathered(
            Batch(destinations=exports.destinations, writer=exports.writer)
        )

    def _gather(self) -> None:
        """Turn what has ended into rows of the next batch, and let go of it."""
        gathered = self._gathered
        room = BATCH_SPANS - gathered.spans, BATCH_BYTES - gathered.size
        spans, size = self._queue.take(*room)
        gathered.size += size
        gathered.traces += [span.context.trace_id for span in spans]
        secrets = _secret_values()
        spans.reverse()
        while spans:
            self._add(gathered, spans.pop(), secrets)

    def _add(self, gathered: _Gathered, span: Any, secrets: frozenset[str]) -> None:
        try:
            self._learn(secrets)
            written = self._rows.add(gathered.batch, span)
            # Ours are not seen there, but for those that have a twin.
            if self.hand_over and not getattr(span, "twin", True):
                full = self.settings.content == "full"
                readable = as_readable(written, self._redactor, full)
                gathered.handed_over.append(readable)
        except Exception as error:
            internal_error("encoding a span", error)
            self._ledger.dropped(span.context.trace_id)
        if self._open.has_record(span):
            gathered.batch.closed.append(span.context.span_id.to_bytes(8, "big"))

    def _write(self, gathered: _Gathered) -> None:
        batch = gathered.batch
        self._learn(_secret_values())
        due, gathered.waiting = self._open.take_due()
        for span in due:
            self._rows.open(batch, span, self._identity().id)
        self._rows.finish(batch)
        if batch:
            self._commit(batch)
            self._hand_over(gathered.handed_over)

    def _commit(self, batch: Batch) -> None:
        store = self._opened_store()
        try:
            self._beat(store)
            store.write(batch)
        except sqlite3.Error as error:
            store = self._degrade(error)
            self._beat(store)
            store.write(batch)
        self._rows.committed(batch)
        stored: dict[int, int] = {}
        for row in batch.spans:
            trace_id = int.from_bytes(row[0], "big")
            stored[trace_id] = stored.get(trace_id, 0) + 1
        self._ledger.stored(stored)
        if batch.spans:
            self._exports.notify(store)

    def _hand_over(self, spans: list[Any]) -> None:
        for span in spans:
            try:
                if self.hand_over:
                    self.hand_over(span)
            except Exception as error:
                internal_error("handing spans to the global provider", error)

    def _learn(self, secrets: frozenset[str]) -> None:
        if secrets is not self._secrets and secrets != self._secrets:
            self._redactor = Redactor(secrets, self.settings.redact)
            self._rows.use(self._redactor)
        self._secrets = secrets

    def _settled(self) -> int:
        return self._handled + self._queue.refused

    # The store ---------------------------------------------------------------

    def _opened_store(self) -> Store:
        if self._store is None:
            self._store = self._open_store()
        return self._store

    def _open_store(self) -> Store:
        path = self.settings.store
        try:
            store = Store(path)
        except (OSError, sqlite3.Error, ConfigurationError) as error:
            return self._memory(f"cannot open the trace store {path}: {error}")
        if path is not None and store.journal != "wal":
            notify_once(
                "no-wal",
                f"the file system of {path} has no shared memory for WAL; the store "
                f"uses a rollback journal, which is slower; put it on a local disk",
            )
        try:
            store.tidy()
        except sqlite3.Error as error:
            internal_error("deleting old traces", error)
        return store

    def _degrade(self, error: sqlite3.Error) -> Store:
        path = self.settings.store
        if self._store is not None:
            with contextlib.suppress(sqlite3.Error):
                self._store.close()
        self._store = self._memory(f"cannot write the trace store {path}: {error}")
        self._exports.abandon()  # what it sends from is the file
        return self._store

    def _memory(self, why: str) -> Store:
        notify_once(
            "store-in-memory",
            f"{why}; from here on spans are kept in memory only and are lost when "
            f"this process ends. Free the disk or set HUDTRACE_STORE",
        )
        self._ledger.durable = False
        return Store(None)

    def _identity(self) -> Writer:
        if self._writer is None:
            self._writer = dataclasses.replace(
                Writer.this_process(), id=self._exports.writer
            )
        return self._writer

    def _beat(self, store: Store, closed: int | None = None) -> None:
        now = time.monotonic()
        if closed is None and now - self._last_beat < HEARTBEAT_SECONDS:
            return
        self._last_beat = now
        w = self._identity()
        beat = time.time_ns()
        store.write_heartbeat(
            (w.id, w.host, w.boot_id, w.pid, w.process_start, beat, closed)
        )

    def _say_goodbye(self) -> None:
        if self._store is None:
            return
        try:
            self._beat(self._store, closed=time.time_ns())
            if self._store.path is not None:
                self._store.close()
                self._store = None
        except sqlite3.Error as error:
            internal_error("closing the store", error)


@dataclasses.dataclass(slots=True)
class _Gathered:
    """Rows that wait for their commit, and what is to be said of their spans.

    `handed_over` are the spans for the processors of the user's provider, if
    there are any; `waiting` are set when the rows are committed, or lost.
    """

    batch: Batch
    size: int = 0  # bytes, as the queue counts them
    traces: list[int] = dataclasses.field(default_factory=list)
    handed_over: list[Any] = dataclasses.field(default_factory=list)
    waiting: list[Stored] = dataclasses.field(default_factory=list)

    @property
    def spans(self) -> int:
        """How many spans have been taken from the queue."""
        return len(self.traces)


def _secret_values() -> frozenset[str]:
    return settings_module.secret_values() | given_keys()


def _foreign_size(span: Any) -> int:
    attributes = span.attributes or {}
    return 3200 + sum(len(v) for v in attributes.values() if isinstance(v, str))
