"""Runs contenders side by side and prints ratios: medians of interleaved rounds.

Each contender is a process that waits for a line on stdin, does a round, and
answers with a JSON line of figures. It is started again every few rounds: where
things happen to lie in its memory makes one process a tenth faster than another.
Rounds are longer than three commits of the store, so that no work falls after them.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Figures = dict[str, float]
_LIFE = 4  # rounds of one process


def serve(contenders: Mapping[str, Callable[[], Callable[[], Figures]]]) -> None:
    """Be the contender named on the command line: set up, then a round a line."""
    run = contenders[sys.argv[2]]()
    for _ in sys.stdin:
        print(json.dumps(run()), flush=True)


def race(
    module: str,
    names: Sequence[str],
    rounds: int,
    pythons: Mapping[str, str] | None = None,
) -> dict[str, list[Figures]]:
    """Run *rounds* of each contender, in random order, one more to warm up each process.

    *pythons* names the interpreters of those that do not run in this one.
    """
    results: dict[str, list[Figures]] = {name: [] for name in names}
    for first in range(0, rounds, _LIFE):
        running = _start(module, names, pythons or {})
        try:
            for number in range(first, min(first + _LIFE, rounds) + 1):
                for name in random.sample(list(names), len(names)):
                    figures = _round(running[name])
                    if number > first:
                        results[name].append(figures)
                print(f"\r{module}: round {number}/{rounds}", end="", file=sys.stderr)
        finally:
            for process in running.values():
                assert process.stdin is not None
                process.stdin.close()
                process.wait(60)
    print(file=sys.stderr)
    return results


def _start(
    module: str, names: Sequence[str], of: Mapping[str, str]
) -> dict[str, subprocess.Popen[str]]:
    return {
        name: subprocess.Popen(
            [of.get(name, sys.executable), "-m", module, "contender", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    }


def _round(process: subprocess.Popen[str]) -> Figures:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args} ended")
    figures: Figures = json.loads(line)
    return figures


def cache_folder(name: str) -> Path:
    """Return a folder of the user's cache, made where it is missing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "hudtrace" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def environment(folder: Path, packages: Sequence[str]) -> Path:
    """Return the programs of an environment with *packages*, made where it is missing."""
    programs = folder / "bin"
    if not (folder / "ready").exists():
        print(f"installing {packages[0]} …", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        command = [str(programs / "python"), "-m", "pip", "install", "-q", *packages]
        subprocess.run([*command, "--disable-pip-version-check"], check=True)
        (folder / "ready").touch()
    return programs


def ratio(ours: Sequence[Figures], base: Sequence[Figures], key: str) -> str:
    """Return the median (and quartiles) of the rounds' ratios of one figure."""
    ratios = [a[key] / b[key] for a, b in zip(ours, base, strict=True)]
    low, mid, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return f"{mid:.2f} ({low:.2f} to {high:.2f})"


def middle(rounds: Sequence[Figures], key: str) -> float:
    """Return the median of one figure."""
    return statistics.median(figures[key] for figures in rounds)


def lower(rounds: Sequence[Figures], key: str) -> float:
    """Return the lower quartile of one figure: what else runs only adds to it."""
    figures = [each[key] for each in rounds]
    return statistics.quantiles(figures, n=4, method="inclusive")[0]


def print_rows(title: str, rows: Sequence[tuple[str, str, str]]) -> None:
    """Print a table: what was measured, the figure, and the goal."""
    width = max(len(row[0]) for row in rows)
    middle_width = max(len(row[1]) for row in rows)
    print(f"\n{title}")
    for what, figure, goal in rows:
        print(f"  {what.ljust(width)}  {figure.ljust(middle_width)}  goal {goal}")
