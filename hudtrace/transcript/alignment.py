"""Which elements of two sequences go together, in a time that is bounded.

What stands once in both is an anchor, and what is between anchors is looked at by
itself. Long stretches without an anchor are taken as replaced: an exact answer would
take the square of their length.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from difflib import SequenceMatcher

_SMALL = 150  # a side of a stretch that is compared exactly

Stretch = tuple[int, int, int, int]  # from and to in one, from and to in the other


def matches(one: Sequence[Hashable], other: Sequence[Hashable]) -> list[Stretch]:
    """Return the stretches that are the same, in order: `one[a:b] == other[c:d]`."""
    found: list[Stretch] = []
    for a, c in sorted(_pairs(one, other)):
        if found and found[-1][1] == a and found[-1][3] == c:
            start, _, from_, _ = found.pop()
            found.append((start, a + 1, from_, c + 1))
        else:
            found.append((a, a + 1, c, c + 1))
    return found


def gaps(
    found: Sequence[Stretch], one: Sequence[object], other: Sequence[object]
) -> Iterator[tuple[bool, Stretch]]:
    """Return everything in order: whether a stretch is the same, and the stretch."""
    a = c = 0
    for stretch in (*found, (len(one), len(one), len(other), len(other))):
        if stretch[0] > a or stretch[2] > c:
            yield False, (a, stretch[0], c, stretch[2])
        if stretch[1] > stretch[0]:
            yield True, stretch
        a, c = stretch[1], stretch[3]


def _pairs(
    one: Sequence[Hashable], other: Sequence[Hashable]
) -> Iterator[tuple[int, int]]:
    waiting: list[Stretch] = [(0, len(one), 0, len(other))]
    while waiting:
        a, b, c, d = waiting.pop()
        while a < b and c < d and one[a] == other[c]:
            yield a, c
            a, c = a + 1, c + 1
        while a < b and c < d and one[b - 1] == other[d - 1]:
            b, d = b - 1, d - 1
            yield b, d
        if a == b or c == d:
            continue
        if b - a <= _SMALL and d - c <= _SMALL:
            yield from _exact(one[a:b], other[c:d], a, c)
            continue
        anchors = _anchors(one[a:b], other[c:d])
        if not anchors:
            continue
        at, to = a, c
        for x, y in (*((a + x, c + y) for x, y in anchors), (b, d)):
            waiting.append((at, x, to, y))
            if x < b:
                yield x, y
            at, to = x + 1, y + 1


def _exact(
    one: Sequence[Hashable], other: Sequence[Hashable], a: int, c: int
) -> Iterator[tuple[int, int]]:
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    for block in matcher.get_matching_blocks():
        for offset in range(block.size):
            yield a + block.a + offset, c + block.b + offset


def _anchors(
    one: Sequence[Hashable], other: Sequence[Hashable]
) -> list[tuple[int, int]]:
    """Return the places of what is once in each, as many as are in the same order."""
    places = _once(one)
    there = _once(other)
    shared = [(at, there[key]) for key, at in places.items() if key in there]
    return _rising(shared)


def _once(sequence: Sequence[Hashable]) -> dict[Hashable, int]:
    counted = Counter(sequence)
    return {key: at for at, key in enumerate(sequence) if counted[key] == 1}


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest run of pairs that rises in both numbers."""
    tails: list[int] = []  # the least second number that a run of a length ends with
    ends: list[int] = []  # and which pair that is
    before: list[int] = []
    for index, (_, y) in enumerate(pairs):
        length = bisect_left(tails, y)
        before.append(ends[length - 1] if length else -1)
        if length == len(tails):
            tails.append(y)
            ends.append(index)
        else:
            tails[length], ends[length] = y, index
    run = []
    at = ends[-1] if ends else -1
    while at >= 0:
        run.append(pairs[at])
        at = before[at]
    run.reverse()
    return run
