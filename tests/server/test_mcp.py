"""The lifecycle tools: by the official MCP client, and by plain HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from opentelemetry import trace
from server_kit import HUD, Serve, until

from hudtrace.messages import text_of
from hudtrace.testing import ScriptedRequest, call, say
from hudtrace.testing.scripts import ScriptedReply

TOOLS = ["scenario_list", "scenario_start", "scenario_send", "scenario_finish"]
LOOKUP = call(("lookup_ceo", {"company": "HUD"}))


async def use(client: Client, name: str, **arguments: Any) -> Any:
    result = await client.call_tool(name, arguments)
    assert not result.is_error, result
    return result.structured_content


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_session_over_mcp(serve: Serve, mode: str, stored: Any) -> None:
    """List, start, send, finish, in both generations of the protocol."""
    server = serve([LOOKUP, say("Jay Ram"), say("JR")])
    async with Client(f"{server.origin}/mcp", mode=mode) as client:
        listed = (await client.list_tools()).tools
        assert [tool.name for tool in listed] == TOOLS
        (scenario,) = (await use(client, "scenario_list"))["scenarios"]
        assert scenario["required_args"] == ["company"]
        first = await use(client, "scenario_start", **HUD, message="Look it up.")
        assert first["answer"] == "Jay Ram"
        assert first["tool_calls"][0]["name"] == "lookup_ceo"
        id = first["hud"]["session_id"]
        second = await use(client, "scenario_send", message="Short.", thread_id=id)
        assert second["answer"] == "JR"
        report = await use(client, "scenario_finish", conversation_id=id)
    assert (report["reward"], report["outcome"]) == (1.0, "scored")
    turns = [s for s in stored(report["trace_id"]) if s.name == "turn"]
    assert len(turns) == 3
    assert all(len(turn.links) == 1 for turn in turns)


async def test_what_goes_wrong_over_mcp(serve: Serve) -> None:
    """Mistakes are results that the model can read; an unknown tool is a refusal."""
    server = serve([])
    async with Client(f"{server.origin}/mcp") as client:
        for name, arguments, said in (
            ("scenario_start", {"scenario": "x", "scenario_args": {}}, "it has"),
            ("scenario_start", {"scenario": "initials"}, "scenario_args"),
            ("scenario_send", {"session_id": "0" * 32, "message": "x"}, "no session"),
            ("scenario_finish", {}, "which session"),
        ):
            result = await client.call_tool(name, arguments)
            assert result.is_error
            assert said in result.content[0].text  # type: ignore[union-attr]
        with pytest.raises(MCPError, match="unknown tool"):
            await client.call_tool("scenario_stop", {})


async def test_parallel_clients(serve: Serve) -> None:
    """Each client has its own sessions, with the right reward each."""

    def answer(request: ScriptedRequest) -> ScriptedReply:
        return say("JR" if "HUD" in text_of(request.conversation[0]) else "?")

    server = serve(answer)

    async def run(company: str) -> float:
        async with Client(f"{server.origin}/mcp") as client:
            args = {"company": company}
            first = await use(
                client, "scenario_start", scenario="initials", scenario_args=args
            )
            ids = {"session_id": first["hud"]["session_id"]}
            await use(client, "scenario_send", message="Sure?", **ids)
            reward: float = (await use(client, "scenario_finish", **ids))["reward"]
            return reward

    found = await asyncio.gather(*map(run, ["HUD", "OpenAI"] * 4))
    assert found == [1.0, 0.0] * 4


async def test_a_client_that_gives_up(serve: Serve) -> None:
    """A call that is cancelled stops the turn, and the session goes on."""
    server = serve([say("a"), say("late", delay=60), say("JR")])
    async with Client(f"{server.origin}/mcp") as client:
        first = await use(client, "scenario_start", **HUD)
        ids = {"session_id": first["hud"]["session_id"]}
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await use(client, "scenario_send", message="lost", **ids)
        second = await use(client, "scenario_send", message="Again.", **ids)
        assert second["answer"] == "JR"
        assert "lost" not in str(server.model.requests[-1])
        assert (await use(client, "scenario_finish", **ids))["reward"] == 1.0


def test_an_older_client_that_is_gone(serve: Serve) -> None:
    """With the older protocol a closed connection stops the turn as well."""
    server = serve([say("a"), say("late", delay=60), say("JR")])
    id = server.begin()
    arguments = {"session_id": id, "message": "lost"}
    call = {"name": "scenario_send", "arguments": arguments}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2025-06-18",
    }
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.origin}/mcp", json=body, headers=headers, timeout=1)
    until(lambda: not server.service.sessions.listed()[0].busy)
    assert server.say("Again.", thread_id=id).status_code == 200
    assert "lost" not in str(server.model.requests[-1])


async def test_the_callers_trace_goes_on(serve: Serve, stored: Any) -> None:
    """The span of the request is in the trace that `_meta` carries, and linked."""
    server = serve([say("JR")])
    tracer = trace.get_tracer("caller")
    async with Client(f"{server.origin}/mcp") as client:
        with tracer.start_as_current_span("outside") as span:
            first = await use(client, "scenario_start", **HUD)
        trace_id = format(span.get_span_context().trace_id, "032x")
        await use(client, "scenario_finish", session_id=first["hud"]["session_id"])
    (turn,) = [s for s in stored(first["hud"]["trace_id"]) if s.name == "turn"]
    linked = {link.span_id for link in turn.links}
    requests = {s.span_id: s.name for s in stored(trace_id)}
    assert linked <= requests.keys()
    assert [requests[id] for id in linked] == ["tools/call scenario_start"]


@pytest.mark.parametrize("where", ["/v1/lifecycle-tools", "/mcp/tools"])
def test_by_plain_http(serve: Serve, where: str) -> None:
    """The same tools as plain JSON; each path spells the schema in its own way."""
    server = serve([say("Jay Ram"), say("JR")])
    key = "inputSchema" if where.startswith("/mcp") else "input_schema"
    listed = server.get(where).json()["tools"]
    assert [tool["name"] for tool in listed] == TOOLS
    start = listed[1][key]
    assert start["required"] == ["scenario", "scenario_args"]

    def use(name: str, **arguments: Any) -> Any:
        body = {"name": name, "arguments": arguments}
        answer = server.post(f"{where}/call", body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert len(use("scenario_list")["scenarios"]) == 1
    first = use("scenario_start", **HUD)
    id = first["hud"]["session_id"]
    assert use("scenario_send", session_id=id, message="Short.")["answer"] == "JR"
    assert use("scenario_finish", session_id=id)["reward"] == 1.0
