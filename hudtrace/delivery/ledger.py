"""The account of every span: started, ended, stored, exported, or lost and why."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

_KEPT_TRACES = 20_000


@dataclass(frozen=True, slots=True)
class ExportCount:
    """What has become of stored spans at one exporter.

    `waiting` are not sent yet; they stay in the store until they are.
    `set_aside` were refused for good, and stay in the store too.
    """

    exported: int = 0
    waiting: int = 0
    set_aside: int = 0


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What has become of spans so far: of one trace, or of all.

    `durable` is False where the store is in memory only. A span is pending
    until it is stored or dropped, and until each exporter has had it.
    """

    started: int = 0
    ended: int = 0
    stored: int = 0
    dropped: int = 0
    durable: bool = True
    exporters: Mapping[str, ExportCount] = field(default_factory=dict)

    @property
    def pending(self) -> int:
        """Spans that have ended but are not stored yet."""
        return self.ended - self.stored - self.dropped

    @property
    def complete(self) -> bool:
        """Whether every started span has ended, is stored, and has been exported."""
        return self.started == self.ended == self.stored and all(
            count.exported == self.ended for count in self.exporters.values()
        )

    def __str__(self) -> str:
        text = f"{self.started} started, {self.stored} stored, {self.dropped} dropped"
        for name, count in self.exporters.items():
            text += f"; {name}: {count.exported} exported"
            if count.waiting:
                text += f", {count.waiting} waiting"
            if count.set_aside:
                text += f", {count.set_aside} set aside"
        return text


class _Count:
    __slots__ = ("dropped", "ended", "started", "stored")

    def __init__(self) -> None:
        self.started = self.ended = self.stored = self.dropped = 0


class Ledger:
    """Counts spans by trace and in total; settled traces are forgotten in time."""

    def __init__(self, durable: bool) -> None:
        self.durable = durable
        self.total = _Count()
        self._traces: dict[int, _Count] = {}
        self._lock = threading.Lock()

    def started(self, trace_id: int) -> None:
        """Count a span that has begun."""
        with self._lock:
            count = self._traces.get(trace_id)
            if count is None:
                count = self._traces[trace_id] = _Count()
            count.started += 1
            self.total.started += 1

    def ended(self, trace_id: int) -> None:
        """Count a span that has ended."""
        with self._lock:
            self._of(trace_id).ended += 1
            self.total.ended += 1

    def dropped(self, trace_id: int) -> None:
        """Count a span that was lost."""
        with self._lock:
            self._of(trace_id).dropped += 1
            self.total.dropped += 1

    def stored(self, traces: Mapping[int, int]) -> None:
        """Count spans that were committed: trace id → number."""
        with self._lock:
            for trace_id, number in traces.items():
                self._of(trace_id).stored += number
                self.total.stored += number
            if len(self._traces) > _KEPT_TRACES:
                self._forget()

    def started_count(self, trace_id: int) -> int:
        """Return how many spans of a trace have been started."""
        count = self._traces.get(trace_id)
        return 0 if count is None else count.started

    def report(self, trace_id: int | None = None) -> DeliveryReport:
        """Return the account of one trace, or of everything; no exporters."""
        with self._lock:
            found = self.total if trace_id is None else self._traces.get(trace_id)
            count = found or _Count()
            return DeliveryReport(
                count.started, count.ended, count.stored, count.dropped, self.durable
            )

    def _of(self, trace_id: int) -> _Count:
        count = self._traces.get(trace_id)
        if count is None:
            count = self._traces[trace_id] = _Count()
        return count

    def _forget(self) -> None:
        settled = [
            trace_id
            for trace_id, count in self._traces.items()
            if count.started == count.ended == count.stored + count.dropped
        ]
        for trace_id in settled[: len(self._traces) - _KEPT_TRACES // 2]:
            del self._traces[trace_id]
