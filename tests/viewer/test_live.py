"""What browsers are told as it happens, by a process that evals and one that views."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from viewer_kit import Events, Served, python, recording, until, viewing

from hudtrace.viewer.live import Live
from hudtrace.viewer.nothing import EmptyStore
from hudtrace.viewer.watch import Sighting

View = Callable[..., Served]


def test_from_waiting_to_done(tmp_path: Path, view: View) -> None:
    """An address that was printed before the first span comes to life by itself."""
    store = tmp_path / "t.db"
    served = view(store)
    with Events(served.origin) as events, recording(store) as running:
        state = served.api(f"/trace/{running.trace}")["state"]
        assert state in ("waiting", "running")  # the first record takes a second
        until(lambda: "running" in events.states(running.trace))
        head = served.api(f"/trace/{running.trace}")
        assert (head["state"], head["ended"], head["seconds"]) == (
            "running",
            None,
            None,
        )
        assert head["delivery"]["writers"] == 1
        spans = until(lambda: with_open_spans(served, running.trace))
        assert set(spans["spans"]["state"]) <= {"running", "done"}
        running.step()
        running.step()
        until(lambda: "done" in events.states(running.trace))
        assert "interrupted" not in events.states(running.trace)
        (last,) = (
            trace
            for _, _, data in events.seen[-1:]
            for trace in data["traces"]
            if trace["id"] == running.trace
        )
        assert (last["reward"], last["outcome"]) == (1.0, "scored")
        assert any("by-steps" in data["jobs"] for _, _, data in events.seen if data)
        later = served.api(f"/trace/{running.trace}/spans", after=spans["seq"])
        known = set(spans["spans"]["id"])
        ended = {
            id
            for id, state in zip(*map(spans["spans"].get, ("id", "state")), strict=True)
            if state == "done"
        }
        assert not ended & set(later["spans"]["id"])
        assert known - ended <= set(later["spans"]["id"])
        head = served.api(f"/trace/{running.trace}")
        assert (head["state"], head["episode"]["reward"]) == ("done", 1.0)
        assert running.wait(20) == 0
    assert events.seen[0][1] <= events.seen[-1][1]


def test_a_process_that_is_killed_at_once(tmp_path: Path, view: View) -> None:
    """Before it is written that its spans are open, and while another one writes."""
    store = tmp_path / "t.db"
    served = view(store)
    with recording(store), Events(served.origin) as events, recording(store) as short:
        until(lambda: "running" in events.states(short.trace))
        short.send_signal(signal.SIGKILL)
        short.wait(20)
        until(lambda: "interrupted" in events.states(short.trace))
        assert served.api(f"/trace/{short.trace}")["state"] == "interrupted"


def test_a_process_that_is_killed(tmp_path: Path, view: View) -> None:
    """`kill -9` makes its evals interrupted, though nothing is written any more."""
    store = tmp_path / "t.db"
    served = view(store)
    with Events(served.origin) as events, recording(store) as running:
        until(lambda: "running" in events.states(running.trace))
        until(lambda: with_open_spans(served, running.trace))
        running.send_signal(signal.SIGKILL)
        running.wait(20)
        until(lambda: "interrupted" in events.states(running.trace))
    head = served.api(f"/trace/{running.trace}")
    assert (head["state"], head["episode"]["state"]) == ("interrupted", "interrupted")
    spans = served.api(f"/trace/{running.trace}/spans")["spans"]
    assert "interrupted" in spans["state"]
    assert "running" not in spans["state"]


def test_going_on_after_a_break(
    recorded: tuple[Path, dict[str, str]], view: View
) -> None:
    """Last-Event-ID goes on where a stream broke; a number of another viewer does not."""
    served = view(recorded[0])
    with Events(served.origin) as events:
        name, number, data = events.seen[0]
    assert (name, data["traces"], data["seq"]) == ("change", [], number)
    for old, expected in ((number, "change"), (number - 1, "reset"), (1, "reset")):
        with Events(served.origin, **{"last-event-id": str(old)}) as events:
            assert events.seen[0][0] == expected
        with Events(served.origin, f"/events?since={old}") as events:
            assert events.seen[0][0] == expected
        assert served.api("/changes", since=old)["reset"] == (expected == "reset")
    with Events(served.origin, **{"last-event-id": "no number"}) as events:
        assert events.seen[0][0] == "change"


def test_late_verdicts(tmp_path: Path, demo_store: Path, view: View) -> None:
    """A verdict that comes afterwards is a change of the episode that it is about."""
    store = copy(demo_store, tmp_path / "t.db")
    served = view(store)
    trace = served.api("/episodes", limit=1)["rows"][0]["trace_id"]
    code = (
        "import hudtrace; from hudtrace.verdicts import record_verdict\n"
        f"record_verdict({trace!r}, 0.25, evaluator='ann', kind='human')\n"
        "assert hudtrace.flush(20)"
    )
    with Events(served.origin) as events, python(store, "-c", code) as running:
        assert running.wait(30) == 0, running.stderr.read()
        until(lambda: events.states(trace))
    assert events.seen[-1][2]["traces"][-1]["reward"] == 0.25 or any(
        t["reward"] == 0.25 for _, _, d in events.seen for t in d["traces"]
    )
    head = served.api(f"/trace/{trace}")
    early, late = head["verdicts"]
    assert (early["effective"], early["late"]) == (False, False)
    assert (late["value"], late["evaluator"], late["late"]) == (0.25, "ann", True)
    assert late["supersedes"] == early["span_id"]
    assert late["trace_id"] != trace


def test_traces_that_are_deleted(tmp_path: Path, demo_store: Path, view: View) -> None:
    """When the newest spans go, or another store comes, everything is to be read anew."""
    store = copy(demo_store, tmp_path / "t.db")
    served = view(store)
    with Events(served.origin) as events:
        with contextlib.closing(sqlite3.connect(store)) as db, db:
            db.execute("DELETE FROM spans")
            db.execute("DELETE FROM episodes")
        until(lambda: events.seen[-1][0] == "reset")
        assert served.api("/episodes")["total"] == 0
        count = len(events.seen)
        copy(demo_store, tmp_path / "new.db").replace(store)
        for log in ("-wal", "-shm"):
            store.with_name(f"{store.name}{log}").unlink(missing_ok=True)
        until(lambda: len(events.seen) > count)
        assert events.seen[-1][0] == "reset"
    assert served.api("/episodes")["total"] == 24


def test_eight_tabs(tmp_path: Path, demo_store: Path, view: View) -> None:
    """Each of many streams is told everything; one that leaves holds nobody up."""
    store = copy(demo_store, tmp_path / "t.db")
    served = view(store)
    with contextlib.ExitStack() as stack:
        tabs = [stack.enter_context(Events(served.origin)) for _ in range(8)]
        running = stack.enter_context(recording(store))
        for _ in range(2):
            running.step()
        assert running.wait(30) == 0
        for tab in tabs:
            until(lambda tab=tab: "done" in tab.states(running.trace))
    assert served.api("/changes")["traces"] == []


def test_changes_come_together() -> None:
    """What comes while nobody reads is told at once: the newest of each trace, capped."""
    live = Live(Path("nowhere.db"), EmptyStore())
    start = live.seq
    for reward in (0.0, 1.0):
        traces = {
            id: {"id": id, "state": "done", "reward": reward, "outcome": None}
            for id in map(str, range(90 if reward else 30))
        }
        live._add(Sighting(traces, {f"job {reward}"}))
    found = live.since(start)
    assert found is not None
    assert len(found["traces"]) == 90
    assert {trace["reward"] for trace in found["traces"]} == {1.0}
    assert (found["jobs"], found["more"]) == (["job 0.0", "job 1.0"], False)
    assert found["seq"] == start + 2
    more = {str(id): {"id": str(id)} for id in range(1000, 1020)}
    live._add(Sighting(more))
    found = live.since(start)
    assert found is not None
    assert (len(found["traces"]), found["more"]) == (100, True)
    assert found["traces"][0]["id"] in more
    last = live.since(start + 2)
    assert last is not None
    assert {trace["id"] for trace in last["traces"]} == set(more)
    live._add(Sighting(reset=True))
    assert live.since(start) is None
    assert live.since(start + 4) is not None
    assert live.since(start + 5) is None


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_with_streams_open(tmp_path: Path, sent: int) -> None:
    """Ctrl-C ends the viewer at once, whatever browsers hold on to."""
    with viewing(tmp_path / "t.db") as running:
        origin = running.url.rstrip("/")
        with Events(origin) as one, Events(origin) as other:
            running.send_signal(sent)
            running.wait(10)
            until(lambda: one.ended and other.ended)
        assert running.returncode == (130 if sent == signal.SIGINT else -sent)
        assert "Traceback" not in running.stderr.read()


def with_open_spans(served: Served, trace_id: str) -> Any:
    """Return the spans of a trace once some are known to be open."""
    found = served.api(f"/trace/{trace_id}/spans")
    return found if None in found["spans"]["duration"] else None


def copy(store: Path, to: Path) -> Path:
    """Copy a store, with what is still in its log."""
    with contextlib.closing(sqlite3.connect(store)) as db:
        db.execute("VACUUM INTO ?", (str(to),))
    with contextlib.closing(sqlite3.connect(to)) as db:
        db.execute("PRAGMA journal_mode = WAL")
    return to
