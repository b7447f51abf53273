"""Trace and span ids that no `random.seed()` in user code can repeat."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.id_generator import IdGenerator
else:
    IdGenerator = object  # its methods are what counts, and the import takes long

_BLOCK = 128  # numbers of 64 bits taken from the system at a time

_numbers: list[int] = []


def _fill() -> None:
    block = os.urandom(8 * _BLOCK)
    _numbers.extend(
        int.from_bytes(block[i : i + 8], "big") or 1 for i in range(0, len(block), 8)
    )


# A forked child must not hand out the ids that its parent still holds.
os.register_at_fork(after_in_child=_numbers.clear)


class RandomIds(IdGenerator):
    """Ids from the system's random source, whatever the state of `random`."""

    def generate_span_id(self) -> int:
        """Return a new 64-bit id, never zero."""
        while True:
            try:
                return _numbers.pop()
            except IndexError:
                _fill()

    def generate_trace_id(self) -> int:
        """Return a new 128-bit id, never zero."""
        return self.generate_span_id() << 64 | self.generate_span_id()

    def is_trace_id_random(self) -> bool:
        """Say that every bit of a trace id is random (W3C trace context, level 2)."""
        return True
