"""`hudtrace store`: what the store holds, and what keeps it in order."""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from hudtrace.cli import text
from hudtrace.cli.arguments import positive
from hudtrace.cli.reading import chosen_store
from hudtrace.index import forget_deleted
from hudtrace.store import outbox, queries
from hudtrace.store.store import (
    MAX_AGE_NS,
    MAX_BYTES,
    VERSION,
    Store,
    bytes_on_disk,
    read_only,
)

_DAY_NS = 86_400 * 10**9
_OLDEST = 36_500.0  # days, and megabytes: more than there can be
_MOST = 1e12
_DANGLING = {
    "nodes without their message": (
        "SELECT count(*) FROM nodes WHERE message NOT IN (SELECT hash FROM messages)"
    ),
    "nodes without their parent": (
        "SELECT count(*) FROM nodes WHERE parent IS NOT NULL "
        "AND parent NOT IN (SELECT hash FROM nodes)"
    ),
    "model calls without their conversation": (
        "SELECT count(*) FROM spans WHERE node IS NOT NULL "
        "AND node NOT IN (SELECT hash FROM nodes)"
    ),
    "spans without their source": (
        "SELECT count(*) FROM spans WHERE source NOT IN (SELECT id FROM sources)"
    ),
}


_ACTIONS = {
    "info": "what it holds",
    "gc": "delete old traces, and what nothing refers to",
    "check": "look for damage",
    "migrate": "bring it to this version of hudtrace",
}


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    made = {}
    for name, does in _ACTIONS.items():
        made[name] = actions.add_parser(name, help=does)
        made[name].add_argument("--store", help="path of the store")
    made["info"].add_argument("--json", action="store_true", help="print JSON")
    made["gc"].add_argument("--days", type=positive, help="keep so many (90)")
    made["gc"].add_argument("--megabytes", type=positive, help="keep so many (5000)")
    made["gc"].add_argument(
        "--dry-run", action="store_true", help="only say what would go"
    )
    made["info"].set_defaults(run=lambda o: info(o.store, as_json=o.json))
    made["gc"].set_defaults(
        run=lambda o: collect(
            o.store, days=o.days, megabytes=o.megabytes, dry_run=o.dry_run
        )
    )
    made["check"].set_defaults(run=lambda o: check(o.store))
    made["migrate"].set_defaults(run=lambda o: migrate(o.store))


def info(store: str | None, *, as_json: bool) -> int:
    """Print what the store holds; return the exit code."""
    path = chosen_store(store)
    with closing(read_only(path)) as db:
        facts = _facts(db, path)
    if as_json:
        print(json.dumps(facts))
        return 0
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):<12} {value}")
    return 0


def _facts(db: sqlite3.Connection, path: Path) -> dict[str, Any]:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    facts: dict[str, Any] = {"path": str(path), "version": version}
    facts["bytes"] = bytes_on_disk(path)
    for table in ("episodes", "spans", "messages"):
        (facts[table],) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
    oldest, newest = db.execute(
        "SELECT min(start), max(start) FROM episodes"
    ).fetchone()
    facts["oldest"] = _when(oldest)
    facts["newest"] = _when(newest)
    facts["writing"] = sum(writer.alive for writer in queries.writers(db))
    if version >= 2:
        waiting = outbox.backlog(db)
        facts["waiting"] = sum(each.waiting for each in waiting)
        facts["set_aside"] = sum(each.set_aside for each in waiting)
    return facts


def _when(time_ns: int | None) -> str | None:
    if time_ns is None:
        return None
    return datetime.fromtimestamp(time_ns / 1e9).isoformat(timespec="seconds")


def collect(
    store: str | None,
    *,
    days: float | None,
    megabytes: float | None,
    dry_run: bool = False,
) -> int:
    """Delete old traces and what nothing refers to; return the exit code.

    With *dry_run* nothing is deleted: what would be is printed.
    """
    path = chosen_store(store)
    max_bytes = MAX_BYTES if megabytes is None else int(min(megabytes, _MOST) * 1e6)
    max_age = MAX_AGE_NS if days is None else int(min(days, _OLDEST) * _DAY_NS)
    before = path.stat().st_size
    opened = Store(path)
    try:
        if dry_run:
            old, size = opened.count_old(max_age), opened.used_bytes()
            traces = "trace" if old == 1 else "traces"
            age = f"{max_age / _DAY_NS:g} days"
            print(f"{old} {traces} older than {age} would be deleted")
            if size > max_bytes:
                print(
                    f"then the oldest until the store has {max_bytes / 1e6:g} MB; now "
                    f"it has {size / 1e6:.1f} MB with the old ones"
                )
            return 0
        deleted = opened.retain(max_bytes, max_age)
        opened.compact()
    finally:
        opened.close()
    forget_deleted(path)
    after = path.stat().st_size
    print(f"{deleted} traces deleted; {before / 1e6:.1f} MB → {after / 1e6:.1f} MB")
    return 0


def check(store: str | None) -> int:
    """Look for damage; return 1 if there is some."""
    path = chosen_store(store)
    problems = []
    with closing(read_only(path)) as db:
        for (line,) in db.execute("PRAGMA integrity_check"):
            if line != "ok":
                problems.append(str(line))
        if not problems:
            for what, query in _DANGLING.items():
                (count,) = db.execute(query).fetchone()
                if count:
                    problems.append(f"{count} {what}")
    for problem in problems:
        print(problem)
    if not problems:
        print(f"{path}: no damage", file=sys.stderr)
    return 1 if problems else 0


def migrate(store: str | None) -> int:
    """Bring the store to this version of hudtrace; return the exit code."""
    path = chosen_store(store)
    with closing(read_only(path)) as db:
        (before,) = db.execute("PRAGMA user_version").fetchone()
    Store(path).close()
    change = "is" if before == VERSION else f"was {before} and is now"
    print(f"{path}: version {change} {VERSION}")
    if before == VERSION:
        print(f"see '{text.command('store info')}'", file=sys.stderr)
    return 0
