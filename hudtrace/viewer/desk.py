"""What an answer is made from: the store and the index as one thread reads them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hudtrace.index import Index
from hudtrace.viewer.nothing import EmptyStore
from hudtrace.viewer.options import ViewOptions
from hudtrace.viewer.reading import Readers, Reading

if TYPE_CHECKING:
    from hudtrace.viewer.links import Links
    from hudtrace.viewer.live import Live
    from hudtrace.viewer.receiver import Receiver

_PATIENCE = 3.0  # seconds for an index that is made for the first time


@dataclass
class Viewer:
    """What all requests share.

    `receivers` are where spans can be sent to; what is in `closing` is closed at the
    end. `url` is the viewer's address, `otlp_port` another on which only OTLP is spoken.
    """

    options: ViewOptions
    readers: Readers
    live: Live
    links: Links
    receiver: Receiver | None
    empty: EmptyStore
    receivers: list[dict[str, Any]] = field(default_factory=list)
    closing: list[Any] = field(default_factory=list)
    url: str = ""
    otlp_port: int | None = None

    def note_receivers(self, state: str) -> None:
        """Note of every receiver that it takes nothing, and why."""
        for receiver in self.receivers:
            receiver["state"] = state


@dataclass(frozen=True, slots=True)
class Desk:
    """The viewer, and what the calling thread reads."""

    viewer: Viewer
    reading: Reading

    @property
    def db(self) -> sqlite3.Connection:
        """The store, to read."""
        return self.reading.db

    @property
    def index(self) -> Index:
        """The index, once it is there for the first time."""
        live = self.viewer.live
        live.ready.wait(_PATIENCE)
        return self.reading.index(live.upkeep.path)
