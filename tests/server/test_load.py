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
import openai
import pytest
from server_kit import HUD, Serve
from test_running import process, trees, trivia

from hudtrace import runtime
from hudtrace.messages import text_of
from hudtrace.store import queries
from hudtrace.testing import ScriptedModel, ScriptedRequest, call, say
from hudtrace.testing.scripts import ScriptedReply

pytestmark = pytest.mark.slow
SESSIONS, STREAMS = 200, 50


def repeat(request: ScriptedRequest) -> ScriptedReply:
    """Look something up first, then say again all that the user has said."""
    said = [text_of(m) for m in request.conversation if m["role"] == "user"]
    if len(request.conversation) == 1:
        return call(("lookup_ceo", {"company": said[0].split()[-1]}))
    return say(" ".join(text.split()[-1] for text in said), delay=0.02)


async def test_many_sessions(serve: Serve) -> None:
    """History, answer, reward and trace of 200 interleaved sessions are their own."""
    server = serve(repeat)
    live: list[weakref.ref[Any]] = []

    async def run(client: openai.AsyncOpenAI, number: int) -> dict[str, Any]:
        id = None
        for turn in range(3):
            answer = await client.chat.completions.create(
                model="gpt-4o",
                messages=[{"role": "user", "content": f"{turn} is JR{number}.{turn}"}],
                extra_body=HUD if id is None else {"thread_id": id},
            )
            expected = " ".join(f"JR{number}.{t}" for t in range(turn + 1))
            assert answer.choices[0].message.content == expected
            id = answer.hud["session_id"]  # type: ignore[attr-defined]
            if turn == 0:
                live.append(weakref.ref(server.service.sessions.find(id)))
        async with httpx.AsyncClient(timeout=60) as http:
            url = f"{server.origin}/v1/sessions/{id}/finish"
            report: dict[str, Any] = (await http.post(url)).json()
        assert report["answer"] == expected
        assert report["delivery"]["complete"], report
        return report

    async with openai.AsyncOpenAI(
        base_url=f"{server.origin}/v1", api_key="k", timeout=120
    ) as client:
        reports = await asyncio.gather(*(run(client, n) for n in range(SESSIONS)))
    assert len({report["trace_id"] for report in reports}) == SESSIONS
    assert {report["reward"] for report in reports} == {1.0}
    with runtime.get_runtime().pipeline.reading() as db:
        for report in reports:
            spans = queries.spans(db, report["trace_id"])
            names = sorted(span.name for span in spans)
            assert names == [
                *["chat gpt-4o"] * 4,
                "eval trivia:initials",
                "execute_tool lookup_ceo",
                "invoke_agent agent",
                "reward",
                "setup",
                *["turn"] * 4,
            ]
            written = json.dumps([s.attributes for s in spans], default=str)
            number = report["answer"].split()[0].removesuffix(".0")
            assert written.count("JR") == written.count(f"{number}.")
    gc.collect()
    assert [ref() for ref in live if ref() is not None] == []
    assert server.service.sessions.listed() == []


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
