"""The three questions of a list of runs, at a million spans, beside a bare SELECT.

The store of a million spans is kept in the cache folder of the user.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.rounds import cache_folder, print_rows
from hudtrace.store import fold, queries
from hudtrace.store.rows import Batch, Source
from hudtrace.store.store import VERSION, Store, read_only

TRACES, SPANS = 50_000, 20
MODELS = ("gpt-4o", "gpt-4o-mini", "claude", "gemini")


def fill(path: Path) -> None:
    """Write a million spans in fifty thousand episodes."""
    from hudtrace.delivery.otlp import SpanEncoder

    body = SpanEncoder().attributes({f"key.{n}": f"value {n}" for n in range(12)})
    store, pick = Store(path), random.Random(1)
    source = Source(b"s" * 16, b"", b"", None)
    for first in range(0, TRACES, 500):
        batch = Batch(sources={source.key: source})
        for number in range(first, first + 500):
            trace, start = os.urandom(16), 10**18 + number * 10**9
            for span in range(SPANS):
                row = (trace, os.urandom(8), None, f"span {span % 5}", start + span)
                rest = (start + span + 1, 0, None, None, None, None, None, None, None)
                batch.spans.append((*row, *rest, source.key, body))
            reward = float(pick.random() < 0.7)
            facts: dict[str, Any] = dict.fromkeys(fold.COLUMNS)
            facts |= {"trace_id": trace, "root_id": b"r" * 8, "name": "trivia:initials"}
            facts |= {
                "start": start,
                "end": start + 10**9,
                "model": pick.choice(MODELS),
            }
            facts |= {"first_reward": reward, "outcome": "scored", "cost": 0.01}
            batch.episodes[trace] = facts
        store.write(batch)
        done = first + 500
        print(f"\rfilling: {done}/{TRACES} episodes", end="", file=sys.stderr)
    print(file=sys.stderr)
    store.close()


def filled() -> Path:
    """Return the store of a million spans, made where it is missing."""
    path = cache_folder("benchmarks") / f"million-spans-{VERSION}.db"
    if not path.exists():
        unfinished = path.with_suffix(f".{os.getpid()}")
        fill(unfinished)
        unfinished.rename(path)
        unfinished.with_name(f"{unfinished.name}.lock").unlink()
    return path


def middles(
    ours: Callable[[], Any], bare: Callable[[], Any], rounds: int = 101
) -> tuple[float, float]:
    """Return the median times of both, taken in turns, in milliseconds."""
    taken: dict[Callable[[], Any], list[float]] = {ours: [], bare: []}
    for _ in range(rounds):
        for work in (ours, bare):
            began = time.perf_counter()
            work()
            taken[work].append(time.perf_counter() - began)
    mine, theirs = map(statistics.median, taken.values())
    return mine * 1000, theirs * 1000


def main() -> None:
    """Print the table."""
    db = read_only(filled())
    (trace,) = db.execute("SELECT trace_id FROM episodes LIMIT 1 OFFSET 777").fetchone()
    columns = ", ".join(queries.EPISODE_COLUMNS)
    goal = "<= 2, by an index"
    one_trace = (
        "SELECT span_id, parent_id, name, start, end, status, node, replies, tools, "
        "body FROM spans WHERE trace_id = ? ORDER BY start, id"
    )
    asked: list[tuple[str, Callable[[], Any], str, tuple[Any, ...], str]] = [
        (
            "newest 50 episodes",
            lambda: queries.episodes(db, limit=50),
            f"SELECT {columns} FROM episodes ORDER BY start DESC LIMIT 50",
            (),
            goal,
        ),
        (
            "one trace",
            lambda: queries.spans(db, trace.hex()),
            one_trace,
            (trace,),
            goal,
        ),
        (
            "one trace, and the attributes of its spans",
            lambda: [span.attributes for span in queries.spans(db, trace.hex())],
            one_trace,
            (trace,),
            "-",
        ),
        (
            "newest 50 of a model with a reward below 0.5",
            lambda: queries.episodes(db, limit=50, model="gpt-4o", below=0.5),
            f"SELECT {columns} FROM episodes WHERE model = ? AND reward < ? "
            "ORDER BY start DESC LIMIT 50",
            ("gpt-4o", 0.5),
            goal,
        ),
    ]
    rows = []
    for what, ours, sql, values, goal in asked:
        plan = " ".join(r[3] for r in db.execute(f"EXPLAIN QUERY PLAN {sql}", values))
        took, bare = middles(ours, lambda s=sql, v=values: db.execute(s, v).fetchall())  # type: ignore[misc]
        index = plan.partition("INDEX ")[2].split(" ")[0] or "no index"
        figure = f"{took / bare:.2f}; {took:.2f} to {bare:.2f} ms by {index}"
        rows.append((what, figure, goal))
    print_rows("Questions to a store of 1,000,000 spans", rows)
    db.close()


if __name__ == "__main__":
    main()
