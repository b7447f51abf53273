"""The index keeps up with its store: deletions, other files, two at once, interruptions."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_stores import BEGIN, MINUTE, Call, Filled, Made, text

import hudtrace as hud
from hudtrace import semconv
from hudtrace.grading import Grade
from hudtrace.index import Index, filters, listing, open_index, search, traces
from hudtrace.transcript import foreign
from hudtrace.verdicts import record_verdict


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Filled]:
    """A store to fill."""
    store = Filled(tmp_path / "t.db")
    yield store
    store.store.close()


def some(count: int, word: str = "word", start: int = BEGIN) -> list[Made]:
    """Episodes, each with a text of its own and one that all of them have."""
    return [
        Made(
            {semconv.JOB_ID: "j", semconv.REWARD: number % 2 * 1.0},
            chats=[[text("system", "shared"), text("user", f"{word} w{number}")]],
            calls=[Call("bash", {"n": number})],
            start=start + number * MINUTE,
        )
        for number in range(count)
    ]


def everything(index: Index) -> dict[str, list[object]]:
    """What is in the tables of an index, by what it means."""
    asked = {
        "listed": "SELECT t.trace_id, e.* FROM listed AS e JOIN traces AS t ON t.id = e.trace",
        "facts": "SELECT t.trace_id, f.kind, f.value FROM trace_facts AS x "
        "JOIN facts AS f ON f.id = x.fact JOIN traces AS t ON t.id = x.trace",
        "texts": "SELECT t.trace_id, s.text, x.span_id FROM trace_texts AS x "
        "JOIN texts AS s ON s.id = x.text JOIN traces AS t ON t.id = x.trace",
        "traces": "SELECT trace_id, start, end, spans, errors, name, service FROM traces",
        "tools": "SELECT t.trace_id, f.value, c.calls, c.took FROM trace_tools AS c "
        "JOIN facts AS f ON f.id = c.tool JOIN traces AS t ON t.id = c.trace",
        "services": "SELECT name FROM services",
        "operations": "SELECT name, kind FROM operations",
        "alone": "SELECT text FROM texts WHERE id NOT IN (SELECT text FROM trace_texts)",
        "heads": "SELECT count(*) FROM heads",
    }
    found: dict[str, list[object]] = {}
    for name, sql in asked.items():
        rows = index.db.execute(sql).fetchall()
        if name == "listed":  # without the index's own number
            rows = [(row[0], *row[2:]) for row in rows]
        found[name] = sorted(rows, key=repr)
    return found


def fresh(store: Path, folder: Path) -> dict[str, list[object]]:
    """What an index that is made of the store as it is now has."""
    folder.mkdir()
    copy = folder / store.name
    with sqlite3.connect(store) as db, sqlite3.connect(copy) as other:
        db.backup(other)
    db.close()
    other.close()
    with open_index(copy) as index:
        index.catch_up()
        return everything(index)


def check_words(index: Index) -> None:
    """The full-text index and the texts are of one mind."""
    db = sqlite3.connect(index.path)
    db.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
    db.close()


def test_what_comes_later_is_found(filled: Filled, tmp_path: Path) -> None:
    """Caught up in many steps, an index has what one made at once has."""
    with open_index(filled.path) as index:
        assert index.catch_up() == 0
        for step in range(5):
            filled.add(some(7, f"step{step}", BEGIN + step * 100 * MINUTE))
            assert index.lag() == 21
            assert index.catch_up() == 21
            assert index.lag() == 0
        assert search.search(index, "step3 w5").total == 1
        assert everything(index) == fresh(filled.path, tmp_path / "fresh")
        check_words(index)


def test_what_was_deleted_is_forgotten(filled: Filled, tmp_path: Path) -> None:
    """Of deleted traces nothing is left, what others share stays, none is listed before."""
    keys = filled.add(some(20))
    with open_index(filled.path) as index:
        index.catch_up()
        filled.delete(*keys[:15])
        assert len(listing.episodes(index, filters.parse("")).rows) == 5
        assert len(search.search(index, "shared").groups) == 5
        index.catch_up()
        assert listing.episodes(index, filters.parse("")).total == 5
        assert search.search(index, "w3").total == 0
        assert search.search(index, "w17").total == 1
        assert search.search(index, "shared").total == 5
        assert everything(index) == fresh(filled.path, tmp_path / "fresh")
        check_words(index)


def test_retention_is_followed(filled: Filled) -> None:
    """What the store deletes for its age is forgotten, with new episodes coming in."""
    day = 86_400 * 10**9
    filled.add(some(10, "word", time.time_ns() - 9 * day))
    with open_index(filled.path) as index:
        index.catch_up()
        filled.add(some(3, "new", time.time_ns()))
        assert filled.store.retain(max_age=day) == 10
        index.catch_up()
        assert listing.episodes(index, filters.parse("")).total == 3
        assert search.search(index, "word").total == 0


def test_the_command_that_deletes_forgets(filled: Filled) -> None:
    """`hudtrace store gc` takes what it deletes out of the index, too."""
    from hudtrace.cli import main

    filled.add(some(3, "ancient", BEGIN - 400 * 86_400 * 10**9))
    filled.add(some(2, "recent", time.time_ns()))
    with open_index(filled.path) as index:
        index.catch_up()
        assert main(["store", "gc", "--store", str(filled.path), "--days", "30"]) == 0
        left = index.db.execute("SELECT text FROM texts").fetchall()
        assert not any("ancient" in text for (text,) in left)
        assert search.search(index, "recent").total == 2


def test_an_emptied_store_counts_anew(filled: Filled, tmp_path: Path) -> None:
    """Span numbers that are used again do not hide the spans that have them now."""
    keys = filled.add(some(5, "old"))
    with open_index(filled.path) as index:
        index.catch_up()
        filled.delete(*keys)
        filled.add(some(9, "new"))
        index.catch_up()
        assert search.search(index, "old").total == 0
        assert search.search(index, "new").total == 9
        assert everything(index) == fresh(filled.path, tmp_path / "fresh")


def test_an_emptied_store_is_an_empty_index(filled: Filled) -> None:
    """With nothing in the store there is nothing in the index."""
    keys = filled.add(some(5))
    with open_index(filled.path) as index:
        index.catch_up()
        filled.delete(*keys)
        index.catch_up()
        assert not any(
            everything(index)[name] for name in ("listed", "texts", "traces")
        )


def test_another_store_at_the_path(tmp_path: Path) -> None:
    """An index of a store that was replaced by another becomes one of that."""
    path = tmp_path / "t.db"
    for word in ("first", "second"):
        for ending in ("", "-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
        store = Filled(path)
        store._numbers = iter(range(1000 if word == "second" else 1, 9999))  # type: ignore[assignment]
        store.add(some(4, word))
        with open_index(path) as index:
            index.catch_up()
            assert search.search(index, word).total == 4
            assert listing.episodes(index, filters.parse("")).total == 4
        store.store.close()


def test_files_that_go_are_noticed(filled: Filled) -> None:
    """An index whose file was deleted while it is open is made anew."""
    filled.add(some(3))
    with open_index(filled.path) as index:
        index.catch_up()
        assert not index.outdated
        index.path.unlink()
        assert index.outdated
        index.catch_up()
        assert index.path.exists()
        assert listing.episodes(index, filters.parse("")).total == 3


@pytest.mark.parametrize("kind", ["version", "text", "foreign", "broken", "empty"])
def test_files_that_are_no_index_of_this_version(filled: Filled, kind: str) -> None:
    """An older version is made anew; what is no index is set aside and kept."""
    filled.add(some(3))
    with open_index(filled.path) as index:
        index.catch_up()
        path = index.path
    if kind == "version":
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 1")
        db.close()
    else:
        for ending in ("", "-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
        if kind == "foreign":
            with sqlite3.connect(path) as db:
                db.execute("CREATE TABLE mine (value)")
            db.close()
        elif kind == "broken":
            path.write_bytes(b"SQLite format 3\0" + os.urandom(5000))
        else:
            path.write_text("notes of mine" * 99 if kind == "text" else "")
    before = path.read_bytes()
    with open_index(filled.path) as index:
        assert index.catch_up() == 9
        assert listing.episodes(index, filters.parse("")).total == 3
    aside = path.with_name(path.name + ".set-aside")
    assert aside.exists() == (kind in ("text", "foreign", "broken"))
    assert not aside.exists() or aside.read_bytes() == before


def test_an_index_of_a_newer_version_is_left_to_it(filled: Filled) -> None:
    """It stays as it is, also where it takes the place of one that is in use."""
    filled.add(some(3))
    with open_index(filled.path) as index:
        assert index.catch_up() == 9
        newer = index.path.with_name("newer.db")
        with sqlite3.connect(newer) as db:
            db.execute("PRAGMA application_id = 0x68756469")
            db.execute("PRAGMA user_version = 99")
        db.close()
        newer.replace(index.path)
        path, before = index.path, index.path.read_bytes()
        index.catch_up()
        assert listing.episodes(index, filters.parse("")).total == 3
        assert index.path != path
        assert path.read_bytes() == before


def test_an_index_that_breaks_is_made_anew(filled: Filled) -> None:
    """Damage that shows only later is repaired by the next catching up."""
    filled.add(some(50))
    with open_index(filled.path) as index:
        index.catch_up()
        path = index.path
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(size - 8192))
    filled.add(some(2, "late", BEGIN + 10**15))
    with open_index(filled.path) as index:
        index.catch_up()
        assert listing.episodes(index, filters.parse("")).total == 52


def test_nobody_else_can_read_it(filled: Filled) -> None:
    """The file is its owner's alone."""
    with open_index(filled.path) as index:
        assert stat.S_IMODE(index.path.stat().st_mode) == 0o600


def test_a_folder_that_takes_no_index(filled: Filled) -> None:
    """Where no file can be made, the index is a temporary one that goes at the end."""
    filled.add(some(3))
    # Root may write anywhere; a folder in the place of the file stops it, too.
    (filled.path.parent / "t.index.db").mkdir()
    index, other = open_index(filled.path), open_index(filled.path)
    assert index.catch_up() == 9
    assert listing.episodes(other, filters.parse("")).total == 3
    assert index.path.parent != filled.path.parent
    index.close()
    assert index.path.exists()
    other.close()
    assert not index.path.parent.exists()


def _catch_up(path: Path, begin: object) -> None:
    begin.wait()  # type: ignore[attr-defined]
    with open_index(path) as index:
        while index.catch_up(0) or index.lag():
            pass


def test_two_processes_at_once(filled: Filled, tmp_path: Path) -> None:
    """Processes that make the same index at once do not count anything twice."""
    for batch in range(8):
        filled.add(some(400, f"batch{batch}", BEGIN + batch * 1000 * MINUTE))
    context = multiprocessing.get_context("spawn")
    begin = context.Event()
    workers = [
        context.Process(target=_catch_up, args=(filled.path, begin)) for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    begin.set()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    with open_index(filled.path) as index:
        assert index.catch_up() == 0
        assert everything(index) == fresh(filled.path, tmp_path / "fresh")


def test_stopped_in_the_middle(filled: Filled, tmp_path: Path) -> None:
    """A process that is killed while it catches up leaves an index that goes on."""
    for batch in range(10):
        filled.add(some(400, f"batch{batch}", BEGIN + batch * 1000 * MINUTE))
    context = multiprocessing.get_context("spawn")
    begin = context.Event()
    begin.set()
    for _ in range(4):
        worker = context.Process(target=_catch_up, args=(filled.path, begin))
        worker.start()
        index_file = filled.path.with_name("t.index.db")
        while worker.is_alive() and not index_file.exists():
            time.sleep(0.01)
        time.sleep(0.1)
        worker.kill()
        worker.join()
    with open_index(filled.path) as index:
        index.catch_up()
        assert everything(index) == fresh(filled.path, tmp_path / "fresh")
        check_words(index)


def test_time_is_bounded_and_the_list_is_whole_first(filled: Filled) -> None:
    """A short slice of a long way lists every episode; what is left goes on later."""
    for batch in range(20):
        filled.add(some(400, f"batch{batch}", BEGIN + batch * 1000 * MINUTE))
    with open_index(filled.path) as index:
        slices = [0]
        while not slices[-1]:
            slices.append(index.catch_up(max_seconds=0))
        assert len(slices) > 3
        read = slices[-1]
        assert 0 < read < 24_000
        assert index.lag() == 24_000 - read
        assert listing.episodes(index, filters.parse("")).total == 8000
        assert listing.summary(index, filters.parse("reward:1")).count == 4000
        assert read + index.catch_up() == 24_000


def test_the_store_is_never_written(filled: Filled) -> None:
    """Neither finding nor catching up changes the store, or can."""
    filled.add(some(5))
    filled.store.compact()
    before = filled.path.read_bytes()
    with open_index(filled.path) as index:
        index.catch_up()
        search.search(index, "word")
        listing.facets(index, filters.parse(""))
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            index.db.execute("DELETE FROM store.episodes")
    assert filled.path.read_bytes() == before


def test_no_span_stops_it(filled: Filled) -> None:
    """Spans and messages of any shape are read, or told nothing of; the others count."""
    pick = random.Random(8)
    keys = [value for name, value in vars(semconv).items() if isinstance(value, str)]
    deep: Any = "deep"
    for _ in range(900):
        deep = [deep]
    values: list[Any] = [
        None, True, -1, 2**63 - 1, 1e308, "", "x", "\0\1\2", "[" * 9000, '{"a": "\\ud800"}',
        '[{"role": 5, "parts": 7}]', '[{"parts": [{"type": "tool_call_response"}]}]',
        [1, 2], {"a": {"b": [None]}}, json.dumps(deep),
    ]  # fmt: skip
    for number in range(300):
        facts = {key: pick.choice(values) for key in pick.sample(keys, 25)}
        operation = pick.choice([*foreign.OPERATIONS, "execute_tool", "evaluate"])
        facts |= {semconv.OPERATION: operation, semconv.REQUEST_MODEL: "x"}
        facts.pop(semconv.EVALUATION_SCORE, None)  # the store's own, checked by it
        facts[semconv.EPISODE_TRACE_ID] = "none"
        filled.add_span(
            f"{number:032x}", pick.choice(["", "x\0", "é" * 999]), facts,
            start=pick.choice([0, BEGIN]), took=pick.choice([0, 2**62]), status=number % 3,
        )  # fmt: skip
    odd: list[Any] = [
        5,
        "text",
        None,
        [],
        {"parts": None},
        {"role": [], "parts": [5, {}, deep]},
    ]
    odd += [{"role": "user", "parts": [{"type": "text", "content": 5}]}]
    filled.add([Made(chats=[odd], calls=[Call("x", {"deep": deep})])])
    broken = sqlite3.connect(filled.path)
    broken.execute("UPDATE spans SET body = x'FFFF' WHERE id % 10 = 0")
    broken.commit()
    broken.close()
    with open_index(filled.path) as index:
        assert index.catch_up() == 303
        assert index.lag() == 0
        assert listing.episodes(index, filters.parse("")).total == 1
        assert len(traces.traces(index, limit=1000).rows) == 301
        check_words(index)


async def test_episodes_that_run_are_listed(store: Path, env: hud.Environment) -> None:
    """A real episode is in the list from its begin, and then as it ended."""
    task = env("initials", company="HUD")
    async with hud.eval(task) as ctx:
        deadline = time.monotonic() + 20
        with open_index(_made(store)) as index:
            while time.monotonic() < deadline:
                hud.flush(1)
                index.catch_up()
                rows = listing.episodes(index, filters.parse("status:running")).rows
                if rows:
                    break
            assert [(e.trace_id, e.state) for e in rows] == [(ctx.trace_id, "running")]
            found = listing.summary(index, filters.parse(""))
            assert found.outcomes == {"running": 1}
            assert traces.traces(index).rows[0].trace_id == ctx.trace_id
            await ctx.submit("JR")
            with open_index(store) as other:
                other.catch_up()
    assert hud.flush(10)
    with open_index(store) as index:
        index.catch_up()
        assert listing.episodes(index, filters.parse("status:running")).total == 0
        (ended,) = listing.episodes(index, filters.parse("status:done")).rows
        assert (ended.trace_id, ended.reward) == (ctx.trace_id, ctx.reward)


async def test_a_late_verdict_changes_the_list(
    store: Path, env: hud.Environment
) -> None:
    """A reward that is given later counts in the list, and its words are found."""
    async with hud.eval(env("initials", company="HUD")) as ctx:
        await ctx.submit("JR")
    assert hud.flush(10)
    with open_index(store) as index:
        index.catch_up()
        before = listing.episodes(index, filters.parse("reward:0.25")).total
        record_verdict(
            ctx.trace_id,
            Grade(0.25, explanation="barely readable"),
            evaluator="someone",
            kind="human",
        )
        assert hud.flush(10)
        index.catch_up()
        assert before == 0
        (judged,) = listing.episodes(index, filters.parse("reward:0.25")).rows
        assert judged.trace_id == ctx.trace_id
        (group,) = search.search(index, "barely readable", "reward").groups
        assert group.subject.trace_id == ctx.trace_id
        assert listing.episodes(index, filters.parse('"barely readable"')).total == 1


def _made(store: Path) -> Path:
    """The store, once something has been written to it."""
    deadline = time.monotonic() + 20
    while not store.exists() and time.monotonic() < deadline:
        hud.flush(1)
    return store
