"""Progress of long work, on stderr, where somebody watches."""

from __future__ import annotations

import sys
import time

from hudtrace.terminal import one_line


class Progress:
    """A bar while work goes on; where nobody watches, nothing but a last line."""

    def __init__(self, total: int, what: str) -> None:
        self._total = total
        self._what = one_line(what)
        self._done = 0
        self._started = time.monotonic()
        self._shown = sys.stderr.isatty()

    def advance(self, count: int = 1) -> None:
        """Say that *count* more are done."""
        self._done += count
        if self._shown:
            filled = 30 * self._done // self._total
            bar = "█" * filled + "░" * (30 - filled)
            line = f"\r{bar} {self._done}/{self._total} {self._what}"
            print(line, end="", file=sys.stderr, flush=True)

    def close(self, *, quiet: bool = False) -> None:
        """Take the bar away and leave a line, unless *quiet*."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        if not quiet:
            took = duration(time.monotonic() - self._started)
            print(f"{self._done} {self._what} in {took}", file=sys.stderr, flush=True)


def duration(seconds: float | None) -> str:
    """Return a duration in the unit that suits it, `-` for None."""
    if seconds is None:
        return "-"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)}:{int(seconds % 60):02d} min"
