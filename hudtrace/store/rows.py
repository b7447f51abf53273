"""What one transaction writes: rows for each table, in plain tuples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hudtrace.store.outbox import Destination

Row = tuple[Any, ...]
EpisodeArgs = tuple[Any, ...]  # of fold.episode_of


@dataclass(slots=True)
class Source:
    """Resource and scope of spans, as OTLP bytes; `key` is their hash."""

    key: bytes
    resource: bytes
    scope: bytes
    schema_url: str | None


@dataclass(slots=True)
class Batch:
    """Everything that one commit adds.

    Rows have the columns of `store.COLUMNS`; in `spans` the source is the
    hash of one of `sources`. `opened` are start records, `closed` the ids of
    spans that have ended since theirs was written; `stamped` has one span for each
    trace and stamp, to be folded if the root is not in the batch. The spans are
    queued for each of `destinations`, as those of the process `writer`.
    """

    spans: list[Row] = field(default_factory=list)
    sources: dict[bytes, Source] = field(default_factory=dict)
    messages: dict[bytes, bytes] = field(default_factory=dict)
    nodes: dict[bytes, tuple[bytes | None, bytes]] = field(default_factory=dict)
    verdicts: list[Row] = field(default_factory=list)
    episodes: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    opened: list[Row] = field(default_factory=list)
    closed: list[bytes] = field(default_factory=list)
    stamped: dict[tuple[bytes, int], EpisodeArgs] = field(default_factory=dict)
    destinations: Sequence[Destination] = ()
    writer: str = ""

    def __bool__(self) -> bool:
        return bool(self.spans or self.opened or self.closed)
