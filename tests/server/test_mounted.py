"""`env.agent_app` mounted under a path of another application."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from server_kit import HUD
from test_running import process, trees

from hudtrace.store import queries
from hudtrace.store.store import read_only
from hudtrace.testing import ScriptedModel, say

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
KEY = {"authorization": "Bearer let-me-in"}


def mounted(model: ScriptedModel, **options: Any) -> list[str]:
    options = {"outer": "starlette", "lifespan": True, **options}
    return ["serving_mounted.py", model.url, json.dumps(options)]


def begin(url: str, **options: Any) -> httpx.Response:
    body = {**HUD, "messages": []}
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=30, **options)


async def play(url: str) -> None:
    """Use both MCP servers."""
    async with httpx.AsyncClient(headers=KEY, timeout=30) as http:
        async with Client(
            streamable_http_client(f"{url}/mcp", http_client=http)
        ) as one:
            begun: Any = await one.call_tool("scenario_start", HUD)
            assert begun.structured_content["answer"] == "JR"
        reach = streamable_http_client(f"{url}/mcp/env", http_client=http)
        async with Client(reach) as agent:
            await agent.get_prompt("initials", {"company": "HUD"})
            done: Any = await agent.call_tool("scenario_submit", {"answer": "JR"})
            assert done.structured_content["reward"] == 1.0


@pytest.mark.parametrize("outer", ["starlette", "fastapi"])
@pytest.mark.parametrize("api_key", [None, "let-me-in"])
def test_everything_is_there(tmp_path: Path, outer: str, api_key: str | None) -> None:
    """OpenAI's client and MCP's work below the path, and the health check is open."""
    with ScriptedModel([say("JR"), say("JR")]) as model:
        command = mounted(model, outer=outer, api_key=api_key)
        with process(*command, store=tmp_path / "t.db") as server:
            url = f"{server.url}/an/agent"
            assert httpx.get(f"{url}/health").json() == {"status": "ok"}
            status = 200 if api_key is None else 401
            for path in ("/scenarios", "/v1/models", "/openapi.json"):
                assert httpx.get(url + path).status_code == status
                assert httpx.get(url + path, headers=KEY).status_code == 200
            with openai.OpenAI(base_url=f"{url}/v1", api_key="let-me-in") as client:
                first: Any = client.chat.completions.create(
                    model="gpt-4o", messages=[], extra_body=HUD
                )
            id = first.hud["session_id"]
            finish = f"{url}/v1/sessions/{id}/finish"
            assert httpx.post(finish, headers=KEY).json()["reward"] == 1.0
            asyncio.run(play(url))
            server.send_signal(signal.SIGTERM)
            server.wait(20)
    names = {span.name for span in all_spans(tmp_path / "t.db")}
    assert "POST /an/agent/v1/chat/completions" in names
    assert "POST /an/agent/mcp/env" in names
    assert not any("health" in name for name in names)


@pytest.mark.parametrize(
    ("outer", "lifespan"),
    [("starlette", True), ("fastapi", True), ("fastapi", "within")],
)
def test_its_lifespan_in_the_outer_application(
    tmp_path: Path, outer: str, lifespan: Any
) -> None:
    """With it, sessions are closed and graded at the end, as by themselves."""
    with ScriptedModel([say("JR")]) as model:
        command = mounted(model, outer=outer, lifespan=lifespan)
        with process(*command, store=tmp_path / "t.db") as server:
            assert begin(f"{server.url}/an/agent").status_code == 200
            server.send_signal(signal.SIGTERM)
            assert "lifespan_context" not in server.communicate(timeout=20)[1]
    (tree,) = trees(tmp_path / "t.db")
    assert "outcome=abandoned" in tree
    assert "reward score=1.0" in tree
    (root,) = (s for s in all_spans(tmp_path / "t.db") if s.name.startswith("eval"))
    assert root.attributes["hud.session.end_reason"] == "server_shutdown"


def test_without_its_lifespan(tmp_path: Path) -> None:
    """That is said once, with what to do; at the loop's end, sessions are cancelled."""
    with ScriptedModel([say("JR"), say("JR")]) as model:
        command = mounted(model, lifespan=False)
        with process(*command, store=tmp_path / "t.db") as server:
            url = f"{server.url}/an/agent"
            assert httpx.get(f"{url}/health").status_code == 200
            assert begin(url).status_code == begin(url).status_code == 200
            server.send_signal(signal.SIGINT)
            said = server.communicate(timeout=20)[1]
    assert said.count("lifespan=agent.router.lifespan_context") == 1
    drawn = trees(tmp_path / "t.db")
    assert len(drawn) == 2
    for tree in drawn:
        assert "outcome=cancelled" in tree
        assert "running" not in tree


def all_spans(store: Path) -> list[Any]:
    with contextlib.closing(read_only(store)) as db:
        found = db.execute("select distinct hex(trace_id) from spans").fetchall()
        return [
            span
            for (trace_id,) in found
            for span in queries.spans(db, trace_id.lower())
        ]
