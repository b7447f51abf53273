"""What Jaeger says of spans whose times do not fit into those of their parents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Timed(NamedTuple):
    """A span's place and time in ns; `host` is what tells its clock from others."""

    id: str
    parent: str
    host: str
    start: int
    duration: int


class Skews(NamedTuple):
    """By position: how far clocks seem to be off, and whose parent is not there."""

    deltas: dict[int, int]
    orphans: list[int]


def find(spans: Sequence[Timed]) -> Skews:
    """Compare each span with its parent, from the roots down.

    A span of the same host as its parent has the skew of the parent.
    """
    by_id = {span.id: position for position, span in enumerate(spans)}
    children: dict[int, list[int]] = {}
    roots, orphans = [], []
    for position, span in enumerate(spans):
        parent = by_id.get(span.parent) if span.parent else None
        if parent is not None:
            children.setdefault(parent, []).append(position)
            continue
        roots.append(position)
        if span.parent:
            orphans.append(position)
    deltas: dict[int, int] = {}
    waiting = [(root, spans[root].host, 0) for root in roots]
    while waiting:
        position, host, delta = waiting.pop()
        if delta:
            deltas[position] = delta
        for child in children.get(position, ()):
            own, known = spans[child].host, delta
            if own != host or not own:
                known = _delta(spans[child], spans[position])
            waiting.append((child, own, known))
    return Skews(deltas, orphans)


def _delta(child: Timed, parent: Timed) -> int:
    early = parent.start - child.start
    if child.duration > parent.duration:
        return max(early, 0)
    late = child.start + child.duration > parent.start + parent.duration
    if early <= 0 and not late:
        return 0
    return early + (parent.duration - child.duration) // 2
