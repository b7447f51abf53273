"""Stores that are not there, not readable, or not ours: each is said."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from made_stores import Call, Filled, Made
from viewer_kit import API, Events, Served, python, until, viewing

from hudtrace.viewer.problems import Problem

View = Callable[..., Served]


@pytest.mark.parametrize("read_only", [True, False])
def test_the_viewer_came_first(tmp_path: Path, view: View, read_only: bool) -> None:
    """Without a store all is empty; the first eval's episode appears by itself."""
    store = tmp_path / "not" / "yet" / "t.db"
    served = view(store, read_only=read_only)
    assert served.api("/episodes")["total"] == 0
    setup = served.api("/setup")
    assert setup["store"]["episodes"] == 0
    assert store.exists() != read_only
    with Events(served.origin) as events:
        with python(store, "-m", "hudtrace.cli", "demo") as running:
            running.communicate(timeout=60)
        until(lambda: served.api("/episodes")["total"] == 24)
        until(lambda: len(events.seen) > 1)
    assert served.api("/setup")["store"]["exists"]


def test_a_newer_store(tmp_path: Path, demo_store: Path, view: View) -> None:
    """The version is said, and what to do."""
    store = tmp_path / "t.db"
    shutil.copy(demo_store, store)
    with contextlib.closing(sqlite3.connect(store)) as db:
        db.execute("PRAGMA user_version = 99")
    served = view(store, read_only=True)
    problem = served.api("/episodes", 503)
    assert "has version 99" in problem["detail"]
    assert "upgrade hudtrace" in problem["detail"]
    assert served.get("/").status_code == 200
    with contextlib.closing(sqlite3.connect(store)) as db:
        db.execute("PRAGMA user_version = 1")
    assert "store migrate" in served.api("/setup", 503)["detail"]


def test_no_store_at_all(tmp_path: Path, view: View) -> None:
    """A file that is none is said to be none, and its owner's business."""
    store = tmp_path / "t.db"
    store.write_bytes(b"a text, and no database" * 100)
    served = view(store, read_only=True)
    problem = served.api("/episodes", 503)
    assert "not a database" in problem["detail"]
    assert str(store) in problem["detail"]
    store.unlink()
    assert served.api("/episodes")["total"] == 0


def test_a_locked_store(tmp_path: Path, demo_store: Path, view: View) -> None:
    """A reader that is kept out is told so, and may come again."""
    store = tmp_path / "t.db"
    shutil.copy(demo_store, store)
    with contextlib.closing(sqlite3.connect(store, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("BEGIN EXCLUSIVE")
        served = view(store, read_only=True)
        problem = served.api("/setup", 503)
        assert problem["title"] == "Store is locked"
        db.execute("ROLLBACK")
    assert served.api("/episodes")["total"] == 24


def test_slow_answers_hold_nobody_up(demo_store: Path, view: View) -> None:
    """While three answers take long, others are given; a closing viewer waits for none."""
    served = view(demo_store, read_only=True)
    readers = served.viewer.readers
    begun, told = threading.Semaphore(0), list[str]()

    def count(reading: object) -> None:
        begun.release()
        reading.db.execute(  # type: ignore[attr-defined]
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
            "SELECT count(*) FROM n"
        ).fetchone()

    def wait() -> None:
        with pytest.raises(Problem) as caught:
            asyncio.run(readers.ask(count))
        told.append(caught.value.detail)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in threads:
        begun.acquire()
    assert served.api("/episodes")["total"] == 24
    readers.close()
    for thread in threads:
        thread.join(20)
    assert len(told) == 3
    assert all("longer than" in detail for detail in told)


def test_an_index_elsewhere(tmp_path: Path, demo_store: Path, view: View) -> None:
    """Where no index can be beside the store, there is one in a temporary folder."""
    store = tmp_path / "t.db"
    shutil.copy(demo_store, store)
    (tmp_path / "t.index.db").mkdir()
    served = view(store)
    for _ in range(8):  # whichever thread answers
        assert served.api("/episodes", q="reward:1")["total"] > 0
        assert served.api("/search", q="initials")["total"] > 0
    path = Path(served.api("/setup")["index"]["path"])
    assert path.parent != tmp_path
    assert path.exists()


def test_an_index_that_is_deleted(tmp_path: Path, demo_store: Path, view: View) -> None:
    """It is made again from the store, at the latest when something is added to that."""
    store = tmp_path / "t.db"
    shutil.copy(demo_store, store)
    served = view(store)
    assert served.api("/episodes")["total"] == 24
    for file in tmp_path.glob("t.index.db*"):
        file.unlink()
    with python(store, "-m", "hudtrace.cli", "demo") as running:
        running.communicate(timeout=60)
    until(lambda: served.api("/episodes")["total"] == 48)
    assert served.api("/search", q="initials")["total"] > 0


def test_what_waits_to_be_sent(tmp_path: Path, view: View) -> None:
    """Where a backend is away, it is said how much of a trace waits for it."""
    store = tmp_path / "t.db"
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}
    with python(store, "-m", "hudtrace.cli", "demo", **endpoint) as running:
        running.communicate(timeout=100)
    served = view(store, read_only=True)
    for row in served.api("/episodes", limit=3)["rows"]:
        delivery = served.api(f"/trace/{row['trace_id']}")["delivery"]
        (waiting,) = delivery["destinations"]
        assert str(port) in waiting["label"]
        assert waiting["waiting"] == delivery["stored"] == row["span_count"]
        assert waiting["set_aside"] == 0


def test_the_log_of_a_store_is_bounded_while_it_is_looked_at(tmp_path: Path) -> None:
    """Whoever reads is done now and then, so SQLite begins its log anew."""
    filled = Filled(tmp_path / "t.db")
    filled.store._db.execute("PRAGMA wal_autocheckpoint = 50")
    log, largest, said = tmp_path / "t.db-wal", 0, 12_000
    with viewing(filled.path) as running, httpx.Client() as client:
        for number in range(600):
            filled.add([Made(calls=[Call("look", result=f"{number} " * said)])])
            largest = max(largest, log.stat().st_size)
            if number % 20 == 0:
                for page in ("episodes", "traces", "jobs"):
                    client.get(f"{running.url.rstrip('/')}{API}/{page}", timeout=30)
        busy, *_ = filled.store._db.execute(
            "PRAGMA wal_checkpoint(TRUNCATE)"
        ).fetchone()
    assert (busy, log.stat().st_size) == (0, 0)
    assert largest < filled.path.stat().st_size / 2
    filled.store.close()
