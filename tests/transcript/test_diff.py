"""Two episodes side by side: aligned, compared by words and by arguments."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

import hudtrace as hud
from hudtrace.testing import call, say
from hudtrace.transcript import diff
from hudtrace.transcript.alignment import gaps, matches
from hudtrace.transcript.units import Unit

Db = Callable[[], sqlite3.Connection]


@pytest.fixture
def run(agent: Any, task: hud.Task) -> Any:
    """Run an episode with these replies; return its trace."""

    async def episode(*replies: Any, system: str = "Be brief.") -> str:
        worker = agent(*replies)
        async with hud.eval(task) as ctx:
            first = {"role": "system", "content": system}
            await ctx.submit(await worker.work(ctx, first, str(ctx.prompt)))
        return ctx.result.trace_id

    return episode


def lines(found: dict[str, Any]) -> list[str]:
    """Return the rows as lines."""
    marks = {"same": "=", "changed": "≠", "added": "+", "removed": "-"}
    shown = []
    for row in found["rows"]:
        text = " ".join((row["a"] or row["b"])["text"].split())[:40]
        if row["words"] is not None:
            text = "".join(f"{op}{piece}" for op, piece in row["words"])
        if row["args"] is not None:
            text = json.dumps(row["args"])
        shown.append(f"{marks[row['kind']]} {row['what']} {text}")
    return shown


def look(company: str, **more: Any) -> Any:
    """Return the call of a tool."""
    return call(("lookup_ceo", {"company": company, **more}))


async def test_where_two_episodes_part(run: Any, db: Db) -> None:
    """What is the same is aligned; words and arguments say what is not."""
    a = await run(look("HUD"), say("The initials are JM."))
    b = await run(look("hud"), look("HUD"), say("The initials are JR."))
    found = diff.compare(db(), a, b)
    assert lines(found) == [
        "= prompt Be brief.",
        "= prompt What are the initials of the CEO of HUD?",
        '+ tool_call { "company": "hud" }',
        "+ result Jay Ram",
        '= tool_call { "company": "HUD" }',
        "= result Jay Ram",
        "≠ text =The initials are -JM+JR=.",
        "≠ answer =The initials are -JM+JR=.",
        "≠ reward -0+1",
    ]
    assert found["first"] == 2
    figures = {figure["name"]: figure for figure in found["figures"]}
    assert figures["reward"] == {"name": "reward", "a": 0.0, "b": 1.0, "delta": 1.0}
    assert figures["turns"]["delta"] == 1
    assert figures["cost"] == {"name": "cost", "a": None, "b": None, "delta": None}
    assert found["a"]["label"] == "trivia:initials(company=HUD)"
    assert found["rows"][4]["b"]["turn"] == 2
    json.dumps(found, allow_nan=False)


async def test_arguments_by_path(run: Any, db: Db) -> None:
    """Arguments that differ are told by their places; what is missing is left out."""
    a = await run(look("HUD", deep={"x": [1, {"y": 2}], "gone": None}), say("JR"))
    b = await run(look("HUD", deep={"x": [1, {"y": 3}, 4]}), say("JR"))
    found = diff.compare(db(), a, b)
    (row,) = [row for row in found["rows"] if row["args"]]
    assert row["args"] == [
        {"path": "deep.x[1].y", "a": 2, "b": 3},
        {"path": "deep.x[2]", "b": 4},
        {"path": "deep.gone", "a": None},
    ]
    assert row["words"] is None


async def test_an_episode_and_itself(run: Any, db: Db) -> None:
    """An episode does not differ from itself."""
    trace_id = await run(look("HUD"), say("JR"))
    found = diff.compare(db(), trace_id, trace_id)
    assert found["first"] is None
    assert {row["kind"] for row in found["rows"]} == {"same"}
    nothing = diff.compare(db(), trace_id, "0" * 32)
    assert {row["kind"] for row in nothing["rows"]} == {"removed"}


def unit(what: str, text: str) -> Unit:
    """Make a unit that says *text*."""
    return Unit(what, "", "", text, len(text), text.encode())


def test_huge_episodes() -> None:
    """Thousands of units that are all the same, or all different, are no trouble."""
    same = [unit("text", "again") for _ in range(6_000)]
    other = [unit("text", f"say {n}") for n in range(6_000)]
    mixed = [unit("text", f"say {n % 7}") for n in range(6_000)]
    for one in (same, other, mixed):
        for two in (same, other, mixed, [*other[3_000:], *other[:3_000]]):
            rows = diff.rows(one, two)
            assert [row.a for row in rows if row.a] == one
            assert [row.b for row in rows if row.b] == two


def test_huge_texts() -> None:
    """Words are put together to both texts again, whatever they are."""
    rng = random.Random(7)
    words = [rng.choice("ab cd. é\n") for _ in range(20_000)]
    texts = ["", "".join(words), "".join(reversed(words)), "a" * 20_000, "a b " * 5_000]
    for a in texts:
        for b in texts:
            found = diff.words_of(a, b)
            assert "".join(text for op, text in found if op != "+") == a
            assert "".join(text for op, text in found if op != "-") == b


def test_alignment() -> None:
    """What is matched is equal, in order, and with the gaps it is everything."""
    rng = random.Random(1)
    for _ in range(300):
        one = [rng.randrange(6) for _ in range(rng.randrange(40))]
        other = [rng.randrange(6) for _ in range(rng.randrange(40))]
        found = matches(one, other)
        whole = list(gaps(found, one, other))
        assert [x for _, (a, b, _, _) in whole for x in one[a:b]] == one
        assert [x for _, (_, _, c, d) in whole for x in other[c:d]] == other
        assert all(one[a:b] == other[c:d] for same, (a, b, c, d) in whole if same)
