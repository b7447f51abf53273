"""How things look on a terminal: tables, durations, times, progress."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from hudtrace.progress import duration as duration
from hudtrace.terminal import one_line as one_line
from hudtrace.terminal import visible as visible


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: str = "") -> str:
    """Return a table, a line for each row; *right* has an `r` to align a column right."""
    rows = [[one_line(cell) for cell in row] for row in rows]
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


def clock(time_ns: int) -> str:
    """Return a time of unix ns in local time."""
    return datetime.fromtimestamp(time_ns / 1e9).strftime("%m-%d %H:%M:%S")


def number(value: float | None) -> str:
    """Return a number as short as it can be, a whole one in full; `-` for None."""
    if isinstance(value, int):
        return str(value)
    return "-" if value is None else f"{value:g}"


def shorten(text: str, width: int) -> str:
    """Return *text* on one line of at most *width* characters, none of which acts."""
    flat = one_line(" ".join(text.split()))
    return flat if len(flat) <= width else f"{flat[: max(1, width - 1)]}…"


def screen_width() -> int:
    """Return how wide the terminal is, 100 where there is none."""
    return shutil.get_terminal_size((100, 24)).columns
