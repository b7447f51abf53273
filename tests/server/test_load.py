"""Many sessions at once in one process: each its own, and nothing stays behind."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import weakref
from pathlib import Path
from typing import Any

import httpx
import pytest
from server_kit import HUD, SPANS, Serve, Server, converse_at_once, repeat
from test_running import process, trees, trivia

from hudtrace import runtime
from hudtrace.store import queries
from hudtrace.testing import ScriptedModel, say

pytestmark = pytest.mark.slow
SESSIONS, STREAMS = 200, 50


async def test_many_sessions(serve: Serve) -> None:
    """History, answer, reward and trace of 200 interleaved sessions are their own."""
    server = serve(repeat)
    seen: dict[str, weakref.ref[Any]] = {}
    watching = asyncio.create_task(watch(server, seen))
    reports = await converse_at_once(server, SESSIONS)
    watching.cancel()
    assert len({report["trace_id"] for report in reports}) == SESSIONS
    assert {report["reward"] for report in reports} == {1.0}
    assert all(report["delivery"]["complete"] for report in reports)
    with runtime.get_runtime().pipeline.reading() as db:
        for report in reports:
            spans = queries.spans(db, report["trace_id"])
            assert sorted(span.name for span in spans) == SPANS
            written = json.dumps([s.attributes for s in spans], default=str)
            number = report["answer"].split()[0].removesuffix(".0")
            assert written.count("JR") == written.count(f"{number}.")
    assert server.service.sessions.listed() == []
    gc.collect()
    assert len(seen) > SESSIONS // 2
    left = [ref for ref in seen.values() if ref() is not None]
    assert not left  # nothing of the sessions stays in memory


async def watch(server: Server, seen: dict[str, weakref.ref[Any]]) -> None:
    """Note every session that is open at some time, without holding it."""
    while True:
        for session in server.service.sessions.listed():
            seen[session.id] = weakref.ref(session)
            del session
        await asyncio.sleep(0.01)


async def test_a_signal_in_the_middle_of_many_streams(tmp_path: Path) -> None:
    """All of 50 streams end with an event and [DONE] in time, every trace closed."""
    endless = say("word " * 2000).but(chunk_delay=0.05)
    store = tmp_path / "t.db"
    begun = asyncio.Event()
    waiting = STREAMS

    async def read(client: httpx.AsyncClient, url: str) -> str:
        nonlocal waiting
        text = ""
        body = {**HUD, "messages": [], "stream": True}
        async with client.stream("POST", url, json=body) as answer:
            async for piece in answer.aiter_text():
                if "word" in piece and "word" not in text:
                    waiting -= 1
                    if waiting == 0:
                        begun.set()
                text += piece
        return text

    with ScriptedModel(lambda _: endless) as model:
        with process(*trivia(model, grace=2), store=store) as server:
            url = f"{server.url}/v1/chat/completions"
            limits = httpx.Limits(max_connections=STREAMS)
            async with httpx.AsyncClient(timeout=60, limits=limits) as client:
                reading = [
                    asyncio.create_task(read(client, url)) for _ in range(STREAMS)
                ]
                await asyncio.wait_for(begun.wait(), 60)
                server.send_signal(signal.SIGTERM)
                texts = await asyncio.wait_for(asyncio.gather(*reading), 30)
            assert await asyncio.to_thread(server.wait, 30) == -signal.SIGTERM
    for text in texts:
        *_, failed, done = filter(None, text.split("\n\n"))
        assert '"code":"server_shutdown"' in failed
        assert done == "data: [DONE]"
    drawn = trees(store)
    assert len(drawn) == STREAMS
    assert all("outcome=abandoned" in tree for tree in drawn)
