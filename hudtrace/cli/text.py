"""How things look on a terminal: tables, durations, times, progress."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: str = "") -> str:
    """Return a table; *right* has an `r` for each column to align right."""
    columns = list(zip(head, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    lines = []
    for row in (head, *rows):
        cells = [
            cell.rjust(width) if right[i : i + 1] == "r" else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def command(arguments: str) -> str:
    """Return how to type `hudtrace ARGUMENTS` here, where it may not be on the PATH."""
    program = Path(sys.argv[0])
    if shutil.which("hudtrace") or program.name != "hudtrace":
        return f"hudtrace {arguments}"
    with contextlib.suppress(ValueError):  # it is elsewhere
        program = program.absolute().relative_to(Path.cwd())
    return f"{program} {arguments}"


def duration(seconds: float | None) -> str:
    """Return a duration in the unit that suits it, `-` for None."""
    if seconds is None:
        return "-"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)}:{int(seconds % 60):02d} min"


def clock(time_ns: int) -> str:
    """Return a time of unix ns in local time."""
    return datetime.fromtimestamp(time_ns / 1e9).strftime("%m-%d %H:%M:%S")


def number(value: float | None) -> str:
    """Return a number as short as it can be, `-` for None."""
    return "-" if value is None else f"{value:g}"


def shorten(text: str, width: int) -> str:
    """Return *text* on one line of at most *width* characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else f"{flat[: max(1, width - 1)]}…"


def screen_width() -> int:
    """Return how wide the terminal is, 100 where there is none."""
    return shutil.get_terminal_size((100, 24)).columns


class Progress:
    """A bar on stderr while work goes on; silent where nobody watches."""

    def __init__(self, total: int, what: str) -> None:
        self._total = total
        self._what = what
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

    def close(self) -> None:
        """Take the bar away and leave a line."""
        took = duration(time.monotonic() - self._started)
        clear = "\r\x1b[K" if self._shown else ""
        line = f"{clear}{self._done} {self._what} in {took}"
        print(line, file=sys.stderr, flush=True)
