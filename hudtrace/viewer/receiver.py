"""Takes spans from any OpenTelemetry program into the store.

A request is answered when its spans are committed, so that what was acknowledged
survives `kill -9`. One thread writes: what waits for it is committed together, and
a commit costs the same for one request as for fifty. Our own work is never traced.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from hudtrace import settings as settings_module
from hudtrace.errors import ConfigurationError
from hudtrace.interchange.intake import Intake, Taken
from hudtrace.notices import internal_error, notify_once
from hudtrace.settings import Settings
from hudtrace.store.rows import Batch
from hudtrace.store.store import Store
from hudtrace.tracing.given_keys import given_keys
from hudtrace.tracing.redaction import Redactor
from hudtrace.viewer import otlp_bodies
from hudtrace.viewer.otlp_bodies import MAX_BYTES, Body, Refusal
from hudtrace.viewer.otlp_http import routes

__all__ = ["Counts", "Receiver", "routes"]

QUEUE_BYTES = 64 << 20
QUEUE_REQUESTS = 1024
GROUP_BYTES = 4 << 20  # of the bodies that are committed together
GROUP_SPANS = 8192
_STORE_FAILS = (sqlite3.OperationalError, OSError, ConfigurationError)


@dataclass(slots=True)
class Counts:
    """What a receiver has done.

    `spans` are in the store, `rejected` ones were not fit to be; `refused` are
    requests that got an error for an answer.
    """

    requests: int = 0
    spans: int = 0
    rejected: int = 0
    refused: int = 0
    commits: int = 0


class _Waiting(NamedTuple):
    body: Body
    done: Future[Taken]


class Receiver:
    """Writes the spans of OTLP requests to a store, in a thread of its own.

    `queue_bytes` bounds what is held for it, bodies that are still being read
    included; beyond that requests are refused with 503, and come again. Those that
    wait to be stored are at most `queue_requests`, then it is 429.
    """

    def __init__(
        self,
        store: Path,
        *,
        chosen: Settings | None = None,
        max_bytes: int = MAX_BYTES,
        queue_bytes: int = QUEUE_BYTES,
        queue_requests: int = QUEUE_REQUESTS,
    ) -> None:
        self.max_bytes = max_bytes
        self.counts = Counts()
        self._path = store
        self._settings = chosen or settings_module.load()
        self._queue_bytes = queue_bytes
        self._queue_requests = queue_requests
        self._held = 0
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._store: Store | None = None
        self._inode = 0
        self._secrets: frozenset[str] | None = None
        self._intake = Intake(Redactor())

    def start(self) -> None:
        """Open the store and begin.

        Raises `ConfigurationError`, `sqlite3.Error` or `OSError` if it cannot be used.
        """
        self._opened_store()
        self._closing = False
        self._thread = threading.Thread(
            target=self._run, name="hudtrace-receiver", daemon=True
        )
        self._thread.start()

    def close(self, timeout: float = 10.0) -> None:
        """Write what has been taken, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)

    # Called by those who listen -----------------------------------------------------

    def reserve(self, size: int) -> None:
        """Take room for *size* bytes; raises `Refusal` if there is none."""
        with self._changed:
            if self._held + size > self._queue_bytes:
                raise Refusal(
                    503, f"{self._held} bytes of spans wait to be stored; come again"
                )
            self._held += size

    def release(self, size: int) -> None:
        """Give room back that was reserved."""
        with self._changed:
            self._held -= size

    def submit(self, body: Body) -> Future[Taken]:
        """Have a request stored; done when it is, or failed with a `Refusal`.

        Its room is reserved by the caller, who keeps it until then.
        """
        with self._changed:
            if self._closing or self._thread is None:
                raise Refusal(503, "the receiver is closed")
            if len(self._waiting) >= self._queue_requests:
                why = f"{len(self._waiting)} requests wait to be stored; come again"
                raise Refusal(429, why)
            done: Future[Taken] = Future()
            self._waiting.append(_Waiting(body, done))
            self._changed.notify_all()
        return done

    # The thread ---------------------------------------------------------------------

    def _run(self) -> None:
        while self._wait():
            try:
                self._step()
            except Exception as error:
                internal_error("the receiver's thread", error)
        if self._store is not None:
            self._store.close()
            self._store = None

    def _wait(self) -> bool:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            return bool(self._waiting)

    def _step(self) -> None:
        """Commit what waits, as much as goes together."""
        batch, group, size = Batch(), list[tuple[_Waiting, Taken]](), 0
        self._learn()
        while self._waiting and size < GROUP_BYTES and len(batch.spans) < GROUP_SPANS:
            waiting = self._waiting.popleft()
            if not waiting.done.set_running_or_notify_cancel():
                continue  # the client has gone, and will come again
            self.counts.requests += 1
            taken = self._read(batch, waiting)
            if taken is not None:
                size += taken.size
                group.append((waiting, taken))
        try:
            self._write(batch)
        except _STORE_FAILS as error:
            self._fail([waiting for waiting, _ in group], error)
        except Exception as error:
            internal_error("storing spans that were received", error)
            self._write_singly([waiting for waiting, _ in group])
        else:
            for waiting, taken in group:
                self._settle(waiting, taken)

    def _read(self, batch: Batch, waiting: _Waiting) -> Taken | None:
        try:
            return self._intake.add(
                batch, otlp_bodies.read(waiting.body, self.max_bytes)
            )
        except Refusal as refusal:
            waiting.done.set_exception(refusal)
        except Exception as error:
            internal_error("reading a request that was received", error)
            waiting.done.set_exception(Refusal(400, "the body cannot be read"))
        return None

    def _write(self, batch: Batch) -> None:
        if batch:
            self._opened_store().write(batch)
            self.counts.commits += 1

    def _write_singly(self, group: list[_Waiting]) -> None:
        """Store each request by itself: one of them is at fault."""
        for waiting in group:
            batch = Batch()
            taken = self._read(batch, waiting)
            if taken is None:
                continue
            try:
                self._write(batch)
            except _STORE_FAILS as error:
                self._fail([waiting], error)
            except Exception as error:
                why = f"it cannot be stored: {error}"
                waiting.done.set_exception(Refusal(400, why))
            else:
                self._settle(waiting, taken)

    def _settle(self, waiting: _Waiting, taken: Taken) -> None:
        self.counts.spans += taken.accepted
        self.counts.rejected += taken.rejected
        waiting.done.set_result(taken)

    def _fail(self, group: list[_Waiting], error: Exception) -> None:
        why = f"the store cannot be written: {error}"
        notify_once(
            "receiver-store", f"{why}; spans that are sent are refused till then"
        )
        for waiting in group:
            waiting.done.set_exception(Refusal(503, why))

    def _learn(self) -> None:
        secrets = settings_module.secret_values() | given_keys()
        if secrets != self._secrets:
            self._secrets = secrets
            redactor = Redactor(secrets, self._settings.redact)
            content = self._settings.content != "none"
            self._intake = Intake(redactor, content=content)

    def _opened_store(self) -> Store:
        """Return the store; a new one where its file has been taken away."""
        inode = 0
        with contextlib.suppress(OSError):
            inode = self._path.stat().st_ino
        if self._store is not None and inode != self._inode:
            self._store.close()
            self._store = None
        if self._store is None:
            self._store = Store(self._path)
            self._inode = self._path.stat().st_ino
        return self._store
