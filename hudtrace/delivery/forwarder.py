"""Sends what waits in the outbox to one backend, on a thread of its own.

An outage only delays. What a backend refuses for good is set aside span by span,
so that the rest arrives.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from hudtrace.backends import (
    Backend,
    Misconfigured,
    Parcel,
    Refused,
    Sender,
    TooLarge,
    TryLater,
    Undelivered,
)
from hudtrace.delivery.parcels import Packed, Packer
from hudtrace.notices import internal_error, notify_once
from hudtrace.store.outbox import Destination, Outbox, Segment

GATHER_SECONDS = 1.0  # a small request costs more than a commit
LEASE_SECONDS = 30.0
POLL_SECONDS = 0.5  # while another process sends
FIRST_BACKOFF, HURRIED_BACKOFF, LONGEST_BACKOFF = 0.5, 1.0, 30.0
_READ_AT_ONCE = 256

OpenOutbox = Callable[[Destination], Outbox]


class _Failed(TryLater):
    """What sends has raised something else, which says nothing of the backend."""


class Forwarder:
    """Delivers to one backend, for one process; `start` and then `notify` it.

    `open_outbox` gives an outbox for this thread; `writer` is the id of the process
    in the store.
    """

    def __init__(
        self, backend: Backend, open_outbox: OpenOutbox, writer: str, *, content: bool
    ) -> None:
        self.backend = backend
        self.destination = destination_of(backend)
        self.failing: str | None = None
        self._open_outbox = open_outbox
        self._writer = writer
        self._content = content
        self._wake = threading.Event()
        self._changed = threading.Condition()
        self._hurry = 0
        self._closing = False
        self._deadline: float | None = None
        self._thread: threading.Thread | None = None
        self._sender: Sender | None = None
        self._rounds = 0

    def notify(self) -> None:
        """Say that there is something to send; never waits."""
        if self._thread is None and not self._closing:
            self._thread = threading.Thread(
                target=self._run, name=f"hudtrace-{self.backend.name}", daemon=True
            )
            self._thread.start()
        self._wake.set()

    def flush(self, waiting: Callable[[], int], timeout: float) -> bool:
        """Send now; wait up to *timeout* seconds until nothing is *waiting*."""
        deadline = time.monotonic() + timeout
        self._hurry += 1
        try:
            while waiting():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self.notify()
                with self._changed:
                    self._changed.wait(min(left, 0.05))
        finally:
            self._hurry -= 1
        return True

    def hurry(self, waiting: Callable[[], int], deadline: float) -> None:
        """Send now, until nothing is *waiting*, a failure, or *deadline* (monotonic)."""
        self._hurry += 1
        try:
            while self.failing is None and waiting() and time.monotonic() < deadline:
                self.notify()
                with self._changed:
                    self._changed.wait(0.05)
        finally:
            self._hurry -= 1

    def close_soon(self, deadline: float) -> None:
        """Ask the thread to end by *deadline* (monotonic); the outbox keeps the rest."""
        self._deadline = deadline
        self._closing = True
        self._wake.set()

    def join(self, deadline: float) -> None:
        """Wait for the thread's end until *deadline*."""
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))

    # The thread --------------------------------------------------------------

    def _run(self) -> None:
        outbox: Outbox | None = None
        backoff, wait, asked = FIRST_BACKOFF, 0.0, False
        while True:
            self._pause(wait, asked=asked)
            closing, asked = self._closing, False
            try:
                if outbox is None:
                    outbox = self._open_outbox(self.destination)
                wait = self._drain(outbox)
                backoff = FIRST_BACKOFF
            except TryLater as error:
                self._fails(error)
                if error.after is not None:
                    wait, asked = error.after, True
                else:
                    wait = backoff * random.uniform(0.5, 1.0)
                    backoff = min(2 * backoff, LONGEST_BACKOFF)
                self._hang_up()
            except Exception as error:
                internal_error(f"sending to {self.backend.label}", error)
                outbox, wait = None, LONGEST_BACKOFF
                self._hang_up()
            with self._changed:
                self._rounds += 1
                self._changed.notify_all()
            if closing:
                break
        self._hang_up()
        if outbox is not None:
            with contextlib.suppress(sqlite3.Error):
                outbox.release(self._writer)
                outbox.close()

    def _pause(self, backoff: float, *, asked: bool) -> None:
        """Wait for something to send; after a failure at least *backoff* seconds.

        A flush shortens that to a second, unless the backend has *asked* for it.
        """
        since = time.monotonic()
        while not self._closing:
            hurried = self._hurry and not asked
            until = since + (min(backoff, HURRIED_BACKOFF) if hurried else backoff)
            left = until - time.monotonic()
            if left <= 0:
                break
            self._wake.wait(left)
            if not self._closing:
                self._wake.clear()
        if backoff:
            return
        self._wake.wait()
        self._wake.clear()
        until = time.monotonic() + GATHER_SECONDS
        while not (self._closing or self._hurry):
            left = until - time.monotonic()
            if left <= 0 or not self._wake.wait(left):
                return
            self._wake.clear()

    def _drain(self, outbox: Outbox) -> float:
        """Send everything; return the seconds after which to look again, or 0."""
        if outbox.is_empty():
            return 0.0
        if not outbox.hold(self._writer, LEASE_SECONDS):
            return POLL_SECONDS
        try:
            packer = Packer(outbox, self.backend, content=self._content)
            while waiting := outbox.next(_READ_AT_ONCE):
                packed = packer.pack(waiting)
                outbox.hold(self._writer, LEASE_SECONDS)
                self._deliver(outbox, packer, packed)
                if self._closing and time.monotonic() >= (self._deadline or 0.0):
                    break
            else:
                outbox.prune()
        finally:
            outbox.release(self._writer)
        return 0.0

    def _deliver(
        self, outbox: Outbox, packer: Packer, packed: Sequence[Packed]
    ) -> None:
        """Send spans, in parts where they are not taken together."""
        segments = merged(each.segment for each in packed)
        try:
            receipt = self._send(packer.parcel(packed))
        except (TooLarge, Refused) as error:
            if len(packed) == 1:
                self._set_aside(outbox, segments, 1, str(error))
                return
            half = len(packed) // 2
            self._deliver(outbox, packer, packed[:half])
            self._deliver(outbox, packer, packed[half:])
            return
        self._works()
        if receipt.rejected:
            reason = receipt.reason or "rejected, and no reason given"
            self._set_aside(outbox, segments, receipt.rejected, reason)
        else:
            outbox.accepted(segments)
        with self._changed:
            self._changed.notify_all()

    def _send(self, parcel: Parcel) -> Any:
        try:
            if self._sender is None:
                self._sender = self.backend.open()
            return self._sender.send(parcel, self._left() if self._closing else None)
        except Undelivered:
            raise
        except Exception as error:
            raise _Failed(f"{type(error).__name__}: {error}") from error

    def _left(self) -> float:
        deadline = self._deadline
        left = 0.0 if deadline is None else deadline - time.monotonic()
        return max(left, 0.1)

    def _set_aside(
        self, outbox: Outbox, segments: Sequence[Segment], count: int, reason: str
    ) -> None:
        outbox.refused(segments, count, reason)
        notify_once(
            f"refused-{self.backend.label}",
            f"{self.backend.label} does not take some spans ({reason}); they stay in "
            f"the store: `hudtrace forward --list` shows how many and why",
        )

    def _fails(self, error: TryLater) -> None:
        self.failing = str(error)
        if isinstance(error, Misconfigured):
            notify_once(
                f"misconfigured-{self.backend.label}",
                f"{self.backend.label} does not let spans in: {error}. They wait in the "
                f"store; check the address and the headers",
            )
        elif isinstance(error, _Failed):
            notify_once(
                f"failed-{self.backend.label}",
                f"sending to {self.backend.label} has failed: {error}. Spans wait in "
                f"the store and are sent later",
            )
        else:
            notify_once(
                f"away-{self.backend.label}",
                f"{self.backend.label} cannot be reached: {error}. Spans wait in the "
                f"store and are sent when it is back",
            )

    def _works(self) -> None:
        self.failing = None

    def _hang_up(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            with contextlib.suppress(Exception):
                sender.close()


def destination_of(backend: Backend) -> Destination:
    """Return a backend as the store knows it."""
    return Destination(backend.key, backend.name, backend.label, backend.transient)


def merged(segments: Any) -> list[Segment]:
    """Join segments of the same row; they come in order."""
    rows: dict[int, Segment] = {}
    for segment in segments:
        known = rows.get(segment.row)
        first = segment.first if known is None else known.first
        rows[segment.row] = segment._replace(first=first)
    return list(rows.values())
