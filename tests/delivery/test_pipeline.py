"""Delivery: no span is lost, nobody waits, and the account is true."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.context import Context

import hudtrace as hud
from hudtrace import runtime
from hudtrace.delivery.queue import SpanQueue
from hudtrace.notices import seen
from hudtrace.store import queries
from hudtrace.store.store import Store, read_only

Stored = Callable[[str], list[queries.StoredSpan]]


def spans_of(store: Path, trace_id: str) -> list[Any]:
    """Read the spans of one trace."""
    with closing(read_only(store)) as db:
        return list(queries.spans(db, trace_id))


def burst(count: int) -> None:
    """Make spans as fast as one thread can."""
    tracer = runtime.get_runtime().tracer
    for number in range(count):
        tracer.start("burst", Context(), {"n": number, "text": "some text"}).end()


@pytest.mark.parametrize("inside_a_loop", [False, True])
def test_a_burst_loses_nothing(store: Path, inside_a_loop: bool) -> None:
    """100,000 spans at once: every one is in the store, none is dropped."""

    async def in_loop() -> None:
        burst(100_000)

    asyncio.run(in_loop()) if inside_a_loop else burst(100_000)
    assert hud.flush(60)
    report = runtime.get_runtime().pipeline.report()
    assert (report.started, report.ended, report.stored) == (100_000,) * 3
    assert (report.dropped, report.pending) == (0, 0)
    with closing(read_only(store)) as db:
        (rows,) = db.execute("SELECT count(*) FROM spans").fetchone()
    assert rows == 100_000


def test_the_queue_refuses_past_its_hard_bound() -> None:
    """Past the hard bound a span is refused, below it none is."""
    queue = SpanQueue(soft=1000, hard=2000)
    accepted = [queue.put(object(), 100) for _ in range(30)]
    assert accepted == [True] * 21 + [False] * 9
    spans, size = queue.take(100, 10_000)
    assert (len(spans), size) == (21, 2100)
    queue.done(size)
    assert queue.put(object(), 100)


async def test_room_waits_until_there_is_some() -> None:
    """Async callers wait for the writer instead of filling the queue."""
    queue = SpanQueue(soft=100, hard=10_000)
    queue.put(object(), 500)
    waiting = asyncio.create_task(queue.room())
    await asyncio.sleep(0.02)
    assert not waiting.done()
    _, size = queue.take(10, 10_000)
    queue.done(size)
    await asyncio.wait_for(waiting, 1)


def test_dropped_spans_are_counted(
    store: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is refused is counted, flush says False, and it is said once."""
    pipeline = runtime.get_runtime().pipeline
    pipeline._queue.soft = pipeline._queue.hard = -(10**12)
    burst(3)
    pipeline._queue.soft = pipeline._queue.hard = 10**9
    assert pipeline.report().dropped == 3
    burst(1)
    assert hud.flush(10)
    assert pipeline.report().stored == 1
    assert seen("queue-full") >= 3


RUN = """
import asyncio, os, sys, time
import hudtrace as hud
env = hud.Environment("child")

@env.tool
def work(n: int) -> int:
    "Work."
    return n

@env.scenario("one")
async def one(n: int):
    yield "p"
    yield 1.0

async def episode(n):
    async with hud.eval(one(n=n)) as ctx:
        await ctx.call_tool("work", n=n)
        await ctx.submit("x")
    return ctx
"""


def child(code: str, store: Path, *, wait: bool = True, **env: str) -> Any:
    """Run *code* in a process of its own, writing to *store*."""
    program = textwrap.dedent(RUN) + textwrap.dedent(code)
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HUDTRACE_STORE": str(store), **env},
    )
    if not wait:
        return process
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def test_kill_in_mid_episode(tmp_path: Path) -> None:
    """After kill -9, acknowledged spans are there and open ones are interrupted."""
    store = tmp_path / "killed.db"
    process = child(
        """
        async def main():
            done = await episode(1)
            async with hud.eval(one(n=2)) as ctx:
                await ctx.call_tool("work", n=2)
                await asyncio.sleep(1.5)
                assert hud.flush(10)
                print(done.trace_id, ctx.trace_id, flush=True)
                await asyncio.sleep(60)
        asyncio.run(main())
        """,
        store,
        wait=False,
    )
    first, second = process.stdout.readline().split()
    db = read_only(store)
    running = queries.episode(db, second)
    assert running is not None
    assert running.state == "running"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    whole = queries.spans(db, first)
    assert len(whole) == 5
    assert all(span.state == "done" for span in whole)
    cut = queries.episode(db, second)
    assert cut is not None
    assert (cut.state, cut.outcome, cut.env) == ("interrupted", None, "child")
    states = {span.name: span.state for span in queries.spans(db, second)}
    assert states == {
        "eval child:one": "interrupted",
        "setup": "done",
        "invoke_agent agent": "interrupted",
        "execute_tool work": "done",
    }
    db.close()


def test_eight_processes_on_one_new_store(tmp_path: Path) -> None:
    """8 processes × 200 episodes, all starting at once: every span is there."""
    store = tmp_path / "shared.db"
    processes = [
        child(
            """
            async def main():
                for start in range(0, 200, 20):
                    await asyncio.gather(*(episode(n) for n in range(start, start + 20)))
            asyncio.run(main())
            assert hud.flush(60)
            from hudtrace import runtime
            report = runtime.get_runtime().pipeline.report()
            assert report.durable and report.stored == report.started == 1000, report
            """,
            store,
            wait=False,
        )
        for _ in range(8)
    ]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert "lock" not in err
    db = read_only(store)
    (spans,) = db.execute("SELECT count(*) FROM spans").fetchone()
    (episodes,) = db.execute(
        "SELECT count(*) FROM episodes WHERE outcome = 'scored' AND span_count = 5"
    ).fetchone()
    db.close()
    assert (spans, episodes) == (8000, 1600)


def test_what_is_left_is_written_at_exit(tmp_path: Path) -> None:
    """A process that ends without a flush has written everything."""
    store = tmp_path / "exit.db"
    trace_id = child("print(asyncio.run(episode(1)).trace_id)", store).strip()
    db = read_only(store)
    assert len(queries.spans(db, trace_id)) == 5
    assert [w.alive for w in queries.writers(db)] == [False]
    db.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork(tmp_path: Path) -> None:
    """A forked child writes its own spans, and none of its parent's a second time."""
    store = tmp_path / "fork.db"
    out = child(
        """
        import warnings; warnings.simplefilter("ignore")
        first = asyncio.run(episode(1)).trace_id
        pid = os.fork()
        if pid == 0:
            second = asyncio.run(episode(2)).trace_id
            ok = hud.flush(20)
            print(second, ok, flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        third = asyncio.run(episode(3)).trace_id
        assert hud.flush(20)
        print(first, third)
        """,
        store,
    )
    second, ok, first, third = out.split()
    assert ok == "True"
    db = read_only(store)
    for trace_id in (first, second, third):
        assert len(queries.spans(db, trace_id)) == 5
    db.close()


def test_read_only_disk(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Where the store cannot be made, one loud line, and evals go on in memory."""
    (tmp_path / "file").write_text("")
    hud.configure(store=tmp_path / "file" / "traces.db", quiet=True)
    burst(10)
    assert hud.flush(10)
    report = runtime.get_runtime().pipeline.report()
    assert (report.stored, report.durable) == (10, False)
    assert seen("store-in-memory") >= 1


def test_disk_that_fills_up(store: Path) -> None:
    """A write that fails once the store is open goes to memory, and is not lost."""
    burst(5)
    assert hud.flush(10)
    pipeline = runtime.get_runtime().pipeline
    assert pipeline._store is not None
    pipeline._store._db.execute("PRAGMA max_page_count = 1")
    for _ in range(4):
        burst(500)
        assert hud.flush(10)
    report = pipeline.report()
    assert (report.stored, report.dropped, report.durable) == (2005, 0, False)


def test_a_newer_store_is_refused_by_name(tmp_path: Path) -> None:
    """A store of a newer version is left alone, with a message that says what to do."""
    path = tmp_path / "newer.db"
    Store(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(hud.errors.ConfigurationError, match="upgrade hudtrace"):
        Store(path)


def test_files_are_private(tmp_path: Path) -> None:
    """Nobody else can read the store or list its folder."""
    path = tmp_path / "new" / "traces.db"
    store = Store(path)
    files = list(path.parent.iterdir())
    assert path.with_name("traces.db-wal") in files  # has all that is written, too
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600
    store.close()
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_store_off(task: hud.Task) -> None:
    """With the store off, the same pipeline runs in memory."""
    hud.configure(store="off", quiet=True)

    async def run() -> hud.EvalResult:
        async with hud.eval(task) as ctx:
            await ctx.submit("JR")
        return ctx.result

    result = asyncio.run(run())
    assert hud.flush(10)
    assert result.delivery is not None
    assert (result.delivery.stored, result.delivery.durable) == (4, False)
    with runtime.get_runtime().pipeline.reading() as db:
        assert len(queries.spans(db, result.trace_id)) == 4


def test_flush_is_bounded_and_truthful(store: Path) -> None:
    """While the store is locked, flush returns in time and says False."""
    burst(1)
    assert hud.flush(10)
    blocker = sqlite3.connect(store, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    burst(1)
    began = time.monotonic()
    assert not hud.flush(0.3)
    assert time.monotonic() - began < 5
    blocker.execute("ROLLBACK")
    blocker.close()
    assert hud.flush(10)


@pytest.mark.parametrize(
    "variables", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}]
)
def test_otel_variables_turn_off_export_only(
    tmp_path: Path, receiver: Any, variables: dict[str, str]
) -> None:
    """OTEL_SDK_DISABLED and the like govern export; the eval and the store go on."""
    store = tmp_path / "t.db"
    out = child(
        "print(asyncio.run(episode(1)).trace_id)",
        store,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        **variables,
    )
    assert len(spans_of(store, out.strip())) == 5
    assert not receiver.requests


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_TRACES_SAMPLER": "always_off"},
        {"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3"},
        {"OTEL_ATTRIBUTE_COUNT_LIMIT": "2"},
    ],
)
def test_sdk_limits_do_not_blind_an_eval(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    """The SDK's sampler and limits in the environment leave our spans whole."""
    store = tmp_path / "t.db"
    out = child("print(asyncio.run(episode(1)).trace_id)", store, **variables)
    spans = spans_of(store, out.strip())
    assert len(spans) == 5
    assert spans[0].attributes["hud.env.name"] == "child"


OWN_PROVIDER = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
import json

exporter = InMemorySpanExporter()
provider = TracerProvider(sampler={sampler})
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)

async def main():
    with trace.get_tracer("app").start_as_current_span("caller"):
        async with hud.eval(one(n=1)) as ctx:
            with trace.get_tracer("app").start_as_current_span("mine"):
                await ctx.call_tool("work", n=1)
            await ctx.submit("x")
    return ctx

ctx = asyncio.run(main())
assert hud.flush(10)
assert trace.get_tracer_provider() is provider
names = [s.name for s in exporter.get_finished_spans()]
print(json.dumps([ctx.trace_id, names]))
"""


@pytest.mark.parametrize("sampler", ["ALWAYS_ON", "ALWAYS_OFF"])
def test_a_users_own_provider(tmp_path: Path, sampler: str) -> None:
    """Their provider stays; their spans are stored too, and they get ours, once each."""
    store = tmp_path / "t.db"
    out = child(OWN_PROVIDER.replace("{sampler}", sampler), store)
    trace_id, handed = json.loads(out)
    spans = spans_of(store, trace_id)
    names = [span.name for span in spans]
    ours = [
        "eval child:one",
        "setup",
        "invoke_agent agent",
        "execute_tool work",
        "reward",
    ]
    theirs = ["mine"] if sampler == "ALWAYS_ON" else []
    assert sorted(names) == sorted(ours + theirs)
    outside = ["caller"] if sampler == "ALWAYS_ON" else []
    assert sorted(handed) == sorted(ours + theirs + outside)
    by_name = {span.name: span for span in spans}
    ids = {span.span_id for span in spans}
    assert all(s.parent_id in ids for s in spans if s.name != "eval child:one")
    root = by_name["eval child:one"]
    assert root.parent_id is None
    if sampler == "ALWAYS_ON":
        assert by_name["mine"].attributes["hud.env.name"] == "child"
        assert by_name["execute_tool work"].parent_id == by_name["mine"].span_id
        assert root.links[0].attributes == {"hud.link": "caller"}


def test_odd_spans_do_not_take_others_along(store: Path) -> None:
    """Spans with values that no column can hold are stored, and those beside them."""
    tracer = runtime.get_runtime().tracer
    odd: Any = {
        "hud.phase": ["not", "text"],
        "hud.job.id": "\ud800",
        "gen_ai.request.model": 2**70,
        "hud.turn.index": {"a": 1},
        "huge": 2**80,
        "nan": float("nan"),
        "object": object(),
    }
    tracer.start("\udfff", Context(), odd).end()
    tracer.start("plain", Context()).end()
    assert hud.flush(10)
    report = runtime.get_runtime().pipeline.report()
    assert (report.stored, report.dropped, report.durable) == (2, 0, True)
