"""The store: what is folded, how it grows, and what it gives back."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

import hudtrace as hud
from hudtrace import runtime
from hudtrace.store import fold, queries
from hudtrace.store.rows import Batch, Source
from hudtrace.store.store import Store, read_only
from hudtrace.store.writers import Writer
from hudtrace.testing import ScriptedModel, say


def rows() -> list[fold.EpisodeRow]:
    """Rows that the spans of one trace tell."""
    stamps = {
        "hud.env.name": "e",
        "hud.scenario": "s",
        "hud.task.id": "t",
        "hud.phase": "agent",
    }
    rolled = {
        "gen_ai.operation.name": "evaluate",
        "hud.reward": 0.5,
        "hud.outcome": "scored",
        "hud.turns": 3,
        "hud.model": "m",
        "hud.env.name": "e",
    }
    found = [
        fold.episode_of(b"T", b"1", None, "eval e:s", 100, 900, rolled),
        fold.episode_of(b"T", b"2", b"1", "setup", 110, 120, stamps),
        fold.episode_of(b"T", b"3", b"1", "agent", 120, 800, stamps),
        fold.episode_of(
            b"T", b"4", b"3", "chat", 90, 200, {**stamps, "hud.model": "m"}
        ),
        fold.episode_of(b"T", b"1", None, "eval e:s", 100, None, rolled),
    ]
    return [row for row in found if row is not None]


def test_the_fold_does_not_care_about_order_or_repeats() -> None:
    """Every order of the spans, and any of them twice, gives the same row."""
    expected = None
    for order in itertools.permutations(rows()):
        row = order[0]
        for other in (*order[1:], random.choice(order)):
            row = fold.merge(row, other)
        expected = expected or row
        assert row == expected
    assert expected is not None
    assert (expected["start"], expected["end"], expected["env"]) == (100, 900, "e")
    assert (expected["first_reward"], expected["turns"]) == (0.5, 3)


def test_the_fold_in_sql_is_the_fold_in_python(tmp_path: Path) -> None:
    """Rows written one by one, in any order, are what they are when merged."""
    merged = None
    for row in rows():
        merged = row if merged is None else fold.merge(merged, row)
    assert merged is not None
    for number, order in enumerate(itertools.permutations(rows(), 5)):
        if number % 17:
            continue
        store = Store(None)
        for row in order:
            batch = Batch()
            batch.episodes[b"T"] = row
            store.write(batch)
        columns = ", ".join(fold.COLUMNS)
        got = store.reader().execute(f"SELECT {columns} FROM episodes").fetchone()
        assert dict(zip(fold.COLUMNS, got, strict=True)) == merged
        store.close()


def verdict(span: bytes, value: float, at: int, supersedes: bytes | None = None) -> Any:
    """Make a verdict row on the main reward of trace T."""
    return (span, b"T", "reward", value, None, "human", "me", "1", supersedes, at, 1)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_effective_verdict(order: tuple[int, ...]) -> None:
    """The newest verdict that nothing supersedes counts, in whatever order they come."""
    verdicts = [
        verdict(b"a", 0.0, 10),
        verdict(b"b", 1.0, 30, b"a"),
        verdict(b"c", 0.25, 20),
    ]
    store = Store(None)
    for index in order:
        batch = Batch(verdicts=[verdicts[index]])
        batch.episodes[b"T"] = rows()[0]
        store.write(batch)
    db = store.reader()
    assert db.execute("SELECT reward, first_reward FROM episodes").fetchone() == (
        1.0,
        0.5,
    )
    store.write(Batch(verdicts=[verdict(b"d", 0.75, 40, b"b")]))
    assert db.execute("SELECT reward FROM episodes").fetchone() == (0.75,)
    store.close()


def test_the_same_span_twice_is_one() -> None:
    """A span that is written a second time changes nothing."""
    store = Store(None)
    key = b"k" * 16
    source = Source(key, b"r", b"s", None)
    span = (b"T", b"1", None, "x", 1, 2, 0, *[None] * 7, key, b"body")
    for _ in range(2):
        store.write(Batch(spans=[span], sources={key: source}))
    assert store.reader().execute("SELECT count(*) FROM spans").fetchone() == (1,)
    store.close()


@pytest.fixture
async def chat() -> AsyncIterator[Any]:
    """A client of a model that says a little each time."""

    def answer(request: Any) -> Any:
        return say(f"answer number {len(request['messages'])}")

    with ScriptedModel(answer) as model:
        async with AsyncOpenAI(base_url=model.url, api_key="scripted") as client:
            yield client.chat.completions


def size(store: Path) -> int:
    """Return the bytes of a store with everything in one file."""
    db = read_only(store)
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    (page,) = db.execute("PRAGMA page_size").fetchone()
    db.close()
    return int(pages) * int(page)


async def test_growth_is_linear_in_new_text(
    store: Path, task: hud.Task, chat: Any
) -> None:
    """100 turns on a 30,000-token prompt: each turn adds what is new, not the whole."""
    prompt = " ".join(f"word{n % 997}" for n in range(15_000))
    messages: list[Any] = [{"role": "user", "content": prompt}]
    sizes = []
    async with hud.eval(task) as ctx:
        for turn in range(100):
            answer = await chat.create(model="scripted-1", messages=messages)
            text = answer.choices[0].message.content
            messages += [
                {"role": "assistant", "content": text},
                {"role": "user", "content": f"and then, {turn}?"},
            ]
            if turn in (0, 49, 99):
                assert hud.flush(20)
                sizes.append(size(store))
        await ctx.submit("JR")
    assert len(prompt) > 90_000
    first_half, second_half = sizes[1] - sizes[0], sizes[2] - sizes[1]
    assert second_half < 1.5 * first_half
    assert sizes[2] < 10 * len(prompt)

    with runtime.get_runtime().pipeline.reading() as db:
        spans = queries.spans(db, ctx.trace_id)
        last = [span for span in spans if span.node is not None][-1]
        conversation = queries.conversation(db, last)
    assert conversation is not None
    read = [(m["role"], m["parts"][0]["content"]) for m in conversation.input]
    assert read == [(m["role"], m["content"]) for m in messages[:-2]]
    assert conversation.output[0]["parts"][0]["content"] == messages[-2]["content"]


def test_retention_keeps_the_store_within_bounds(tmp_path: Path) -> None:
    """The oldest traces go first, with their content; pinned ones stay."""
    store = Store(tmp_path / "t.db")
    source = Source(b"k" * 16, b"r", b"s", None)
    for number in range(60):
        trace = number.to_bytes(16, "big")
        message = b"m" + number.to_bytes(15, "big")
        node = b"n" + number.to_bytes(15, "big")
        span = (trace, b"s" * 8, None, "x", number, number, 0, *[None] * 4)
        batch = Batch(
            spans=[(*span, node, 0, None, source.key, b"b" * 100)],
            sources={source.key: source},
            messages={message: json.dumps("x" * 20_000).encode()},
            nodes={node: (None, message)},
        )
        episode = dict.fromkeys(fold.COLUMNS)
        batch.episodes[trace] = {**episode, "trace_id": trace, "start": number}
        store.write(batch)
    store._db.execute("UPDATE episodes SET pinned = 1 WHERE start = 0")
    assert store.retain(max_bytes=10**9, max_age=2**63 // 2) == 0
    deleted = store.retain(max_bytes=10**9, max_age=0)
    assert deleted == 59
    left = store._db.execute("SELECT start FROM episodes").fetchall()
    assert left == [(0,)]
    for table in ("spans", "messages", "nodes"):
        assert store._db.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)
    store.close()


@pytest.mark.parametrize("others", ["none", "alive", "today", "yesterday"])
def test_old_traces_go_once_a_day(tmp_path: Path, others: str) -> None:
    """The day's first process deletes what is too old, unless others write there."""
    day = 86_400 * 10**9
    store = Store(tmp_path / "t.db")
    batch = Batch()
    old = dict.fromkeys(fold.COLUMNS) | {"trace_id": b"T" * 16, "start": day}
    batch.episodes[b"T" * 16] = old
    store.write(batch)
    me = Writer.this_process()
    who = (me.host, me.boot_id, me.pid, me.process_start)
    now = time.time_ns()
    if others == "alive":
        store.write_heartbeat(("a", *who, now - day, None))
    elif others == "today":
        store.write_heartbeat(("a", *who, now, now))
    elif others == "yesterday":
        store.write_heartbeat(("a", *who, now - day, now - day))
    assert store.tidy() == (others == "yesterday")
    store.close()


def test_finding_traces(store: Path) -> None:
    """A trace is found by the first digits of its id; other text finds nothing."""
    from opentelemetry.context import Context

    span = runtime.get_runtime().tracer.start("x", Context())
    span.end()
    hud.flush(10)
    trace_id = format(span.context.trace_id, "032x")
    db = read_only(store)
    assert queries.find_traces(db, trace_id[:7]) == [trace_id]
    assert queries.find_traces(db, "not hex") == []
    assert queries.find_traces(db, "") == []
    db.close()


async def test_questions_use_their_index(store: Path, task: hud.Task) -> None:
    """Lists and traces are found by an index, in one statement for each table."""
    async with hud.eval(task) as ctx:
        await ctx.submit("JR")
    assert hud.flush(10)
    db = read_only(store)
    for ask, most in (
        (lambda: queries.episodes(db), 1),
        (lambda: queries.episodes(db, model="m", below=0.5), 1),
        (lambda: queries.episode(db, ctx.trace_id), 1),
        (lambda: queries.spans(db, ctx.trace_id), 2),
    ):
        asked: list[str] = []
        db.set_trace_callback(asked.append)
        ask()
        db.set_trace_callback(None)
        assert len(asked) <= most
        for sql in asked:
            plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}"))
            assert "INDEX" in plan or "PRIMARY KEY" in plan, (sql, plan)
    db.close()
