"""Trace and span ids that no `random.seed()` in user code can repeat."""

from __future__ import annotations

import os

from opentelemetry.sdk.trace.id_generator import IdGenerator

_BLOCK = 128  # span ids taken from the system at a time

_span_ids: list[int] = []


def _fill() -> None:
    block = os.urandom(8 * _BLOCK)
    _span_ids.extend(
        int.from_bytes(block[i : i + 8], "big") or 1 for i in range(0, len(block), 8)
    )


# A forked child must not hand out the ids that its parent still holds.
os.register_at_fork(after_in_child=_span_ids.clear)


class RandomIds(IdGenerator):
    """Ids from the system's random source, whatever the state of `random`."""

    def generate_span_id(self) -> int:
        """Return a new 64-bit id, never zero."""
        while True:
            try:
                return _span_ids.pop()
            except IndexError:
                _fill()

    def generate_trace_id(self) -> int:
        """Return a new 128-bit id, never zero."""
        return int.from_bytes(os.urandom(16), "big") or 1

    def is_trace_id_random(self) -> bool:
        """Say that every bit of a trace id is random (W3C trace context, level 2)."""
        return True
