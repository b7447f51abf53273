"""What an episode has used is listed before it has ended, and is the same afterwards."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from made_stores import Call, Filled, Made, text
from openai import AsyncOpenAI

import hudtrace as hud
from hudtrace.index import Index, filters, jobs, listing, open_index, traces
from hudtrace.index.facets import facets
from hudtrace.store import queries
from hudtrace.store.queries import Episode
from hudtrace.testing import ScriptedModel, call, say

FIGURES = (
    "model",
    "input_tokens",
    "output_tokens",
    "turns",
    "tool_calls",
    "tool_errors",
)


def figures(episode: Episode | None) -> dict[str, Any]:
    """Return what an episode has used."""
    assert episode is not None
    return {name: getattr(episode, name) for name in FIGURES}


def listed(index: Index, text: str = "") -> list[Episode]:
    """Return what a filter leaves."""
    index.catch_up()
    return listing.episodes(index, filters.parse(text)).rows


async def test_a_running_episode_has_figures(
    store: Path, env: hud.Environment, task: hud.Task
) -> None:
    """Model, tokens, turns and calls are those of its spans, and then those of its root."""

    @env.tool()
    def broken() -> str:
        """Fail."""
        raise RuntimeError("no")

    lookup = call(("lookup_ceo", {"company": "HUD"}))
    with ScriptedModel([lookup, call(("broken", {})), say("JR")]) as model:
        async with AsyncOpenAI(base_url=model.url, api_key="k") as client:
            async with hud.eval(task) as ctx:
                messages: list[Any] = [{"role": "user", "content": str(ctx.prompt)}]
                for turn in range(3):
                    reply = await client.chat.completions.create(
                        model="scripted-1",
                        messages=messages,
                        tools=ctx.as_openai_chat_tools(),
                    )
                    said = reply.choices[0].message
                    messages.append(said.model_dump(exclude_none=True))
                    for asked in said.tool_calls or ():
                        messages.append(await ctx.call_tool(asked))
                    assert hud.flush(20)
                    with open_index(store) as index:  # each time a part is added
                        (row,) = listed(index, "status:running")
                        assert row.turns == turn + 1
                        assert row.elapsed is not None
                with open_index(store) as index:
                    (row,) = listed(index, "calls=2 errors=1 turns=3 model:scripted-1")
                    before = figures(row)
                    assert figures(queries.episode(index.db, row.trace_id)) == before
                    assert figures(queries.episodes(index.db)[0]) == before
                    shown = {
                        each.key: each.values
                        for each in facets(index, filters.parse(""))
                    }
                    assert shown["model"] == [("scripted-1", 1, False)]
                await ctx.submit(str(said.content))
    assert hud.flush(20)
    with open_index(store) as index:
        (row,) = listed(index, "status:done")
        assert figures(row) == before
    assert ctx.result is not None
    assert (row.input_tokens, row.output_tokens) == (
        ctx.result.usage.input_tokens,
        ctx.result.usage.output_tokens,
    )


def test_episodes_that_were_cut_off_are_in_the_sums_of_their_job(
    tmp_path: Path,
) -> None:
    """A job's tokens are those of all its episodes, and its models are known."""
    filled = Filled(tmp_path / "store.db")
    made = Made(
        {"hud.job.id": "j"},
        chats=[[text("user", "a"), text("assistant", "b")]],
        calls=[Call("look"), Call("look", error="no")],
        ended=False,
    )
    filled.add([made])
    with open_index(filled.path) as index:
        index.catch_up()
        job = jobs.job(index, "j")
        (row,) = listing.episodes(index, filters.parse("status:interrupted")).rows
    assert job is not None
    assert (row.tool_calls, row.tool_errors) == (2, 1)
    assert job.models == ["m"]


@pytest.mark.parametrize("ended", [True, False])
def test_what_is_read_twice_counts_once(tmp_path: Path, ended: bool) -> None:
    """An index that is made anew has the same figures."""
    filled = Filled(tmp_path / "store.db")
    filled.add([Made(calls=[Call("look")] * 3, ended=ended)])
    found = []
    for _ in range(2):
        with open_index(filled.path) as index:
            index.catch_up()
            index.catch_up()
            (row,) = listing.episodes(index, filters.parse("")).rows
            found.append(figures(row))
            path = index.path
        path.unlink()
    assert found[0] == found[1]
    assert found[0]["tool_calls"] == (None if ended else 3)


def test_a_trace_has_the_name_and_the_state_of_its_episode(tmp_path: Path) -> None:
    """An episode that was cut off is no trace of the tool that it called first."""
    filled = Filled(tmp_path / "store.db")
    filled.add([Made(calls=[Call("look")], ended=ended) for ended in (True, False)])
    with open_index(filled.path) as index:
        index.catch_up()
        rows = traces.traces(index).rows
        assert traces.count(index) == 2
    assert {(row.name, row.state) for row in rows} == {
        ("eval env:scenario", "done"),
        ("eval env:scenario", "interrupted"),
    }


@pytest.mark.parametrize("body", [b"\xff", None])
def test_strange_spans_stop_nothing(tmp_path: Path, body: bytes | None) -> None:
    """What cannot be read, or counts what cannot be, is left out of the sums."""
    filled = Filled(tmp_path / "store.db")
    trace = filled.add([Made(calls=[Call("look")], ended=False)])[0]
    for tokens in (7, 2**63 - 1, -5):
        filled.add_span(
            trace,
            "chat m",
            {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": tokens},
        )
    if body is not None:
        with sqlite3.connect(filled.path) as db:
            db.execute("UPDATE spans SET body = ? WHERE operation != 'chat'", (body,))
        db.close()
    with open_index(filled.path) as index:
        index.catch_up()
        assert index.lag() == 0
        (row,) = listing.episodes(index, filters.parse("")).rows
        assert row.input_tokens == 7
        assert row.tool_calls == (None if body else 1)
        assert figures(queries.episode(index.db, trace)) == figures(row)
