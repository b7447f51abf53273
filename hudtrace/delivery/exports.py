"""The backends of one process: what goes to each, and what has become of it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from hudtrace.backends import Backend
from hudtrace.delivery.forwarder import Forwarder, destination_of
from hudtrace.delivery.ledger import ExportCount
from hudtrace.notices import notify_once
from hudtrace.settings import Content
from hudtrace.store.outbox import Destination, count_set_aside, count_waiting
from hudtrace.store.store import Store

Reader = Callable[[], AbstractContextManager[sqlite3.Connection]]


class Exports:
    """Sends what is queued in a store to each backend; falsy if there is none.

    `writer` is the id under which this process writes; `destinations` are what its
    spans are queued for.
    """

    def __init__(self, backends: Sequence[Backend], content: Content | None) -> None:
        self.writer = os.urandom(8).hex()
        self.destinations = tuple(map(destination_of, backends))
        self._backends = backends
        self._content = content
        self._forwarders: list[Forwarder] = []

    def __bool__(self) -> bool:
        return bool(self._backends)

    def notify(self, store: Store) -> None:
        """Say that spans have been queued in *store*; never waits."""
        if not self._forwarders:
            self._forwarders = [
                Forwarder(
                    backend,
                    store.outbox,
                    self.writer,
                    content=sends_content(backend, self._content),
                )
                for backend in self._backends
            ]
        for forwarder in self._forwarders:
            forwarder.notify()

    def counts(
        self, db: sqlite3.Connection, stored: int, trace_id: str | None
    ) -> dict[str, ExportCount]:
        """Return what became of *stored* spans: of this process, or of one trace."""
        trace = None if trace_id is None else bytes.fromhex(trace_id)
        mine = self.writer if trace is None else None
        found = {}
        for destination in self.destinations:
            key = destination.key
            waiting = count_waiting(db, key, writer=mine, trace_id=trace)
            aside = count_set_aside(db, key, writer=mine, trace_id=trace)
            sent = max(0, stored - waiting - aside)
            found[destination.name] = ExportCount(sent, waiting, aside)
        return found

    def flush(self, reader: Reader, deadline: float) -> bool:
        """Send now, until *deadline* (monotonic); say whether all has been taken."""
        done = True
        for forwarder in self._forwarders:
            key = forwarder.destination.key

            def waiting(key: bytes = key) -> int:
                with reader() as db:
                    return count_waiting(db, key, writer=self.writer)

            done = forwarder.flush(waiting, deadline - time.monotonic()) and done
            with reader() as db:
                done = not count_set_aside(db, key, writer=self.writer) and done
        return done

    def hurry(self, reader: Reader, deadline: float) -> None:
        """Send what waits while everything still works, until *deadline*.

        Gives up where a backend fails. What the sending imports may start threads, as
        the OTLP/gRPC exporter's modules do, so it is loaded in time for other threads
        that are still at work.
        """
        for forwarder in self._forwarders:
            key = forwarder.destination.key

            def waiting(key: bytes = key) -> int:
                with reader() as db:
                    return count_waiting(db, key, writer=self.writer)

            forwarder.hurry(waiting, deadline)
        others = (each for each in threading.enumerate() if not each.daemon)
        if not self._forwarders and any(
            each is not threading.main_thread() for each in others
        ):
            for backend in self._backends:
                with contextlib.suppress(Exception):
                    backend.open().close()

    def close(self, reader: Reader, timeout: float, durable: bool) -> None:
        """Send what can be sent within *timeout* seconds; say what waits then."""
        forwarders, self._forwarders = self._forwarders, []
        deadline = time.monotonic() + timeout
        for forwarder in forwarders:
            forwarder.close_soon(deadline)
        for forwarder in forwarders:
            forwarder.join(deadline)
            with reader() as db:
                key = forwarder.destination.key
                waiting = count_waiting(db, key, writer=self.writer)
            if waiting:
                _say_what_waits(forwarder.destination, waiting, durable)

    def abandon(self) -> None:
        """Let the threads end by themselves: their store cannot be written any more."""
        forwarders, self._forwarders = self._forwarders, []
        for forwarder in forwarders:
            forwarder.close_soon(time.monotonic())


def sends_content(backend: Backend, chosen: Content | None) -> bool:
    """Say whether content goes to *backend*.

    To this machine, and elsewhere only if somebody said so.
    """
    policy = backend.content or chosen
    if policy is None and not backend.local:
        notify_once(
            f"metadata-only-{backend.label}",
            f"only metadata goes to {backend.label}, since it is not on this machine; "
            f"set HUDTRACE_CONTENT=full to send prompts, answers and tool results too",
        )
    return policy == "full" or (policy is None and backend.local)


def _say_what_waits(destination: Destination, waiting: int, durable: bool) -> None:
    what = (
        "the next process that exports there sends them, or `hudtrace forward`"
        if durable
        else "they are lost, since there is no store"
    )
    notify_once(
        f"unsent-{destination.label}",
        f"{waiting} spans are not sent to {destination.label} yet: {what}",
    )
