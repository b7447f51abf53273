"""Requests made up from the OpenAPI document: none of them is a 500."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from server_kit import Serve, Server

from hudtrace.testing import ScriptedRequest, say
from hudtrace.testing.scripts import ScriptedReply

schemathesis = pytest.importorskip("schemathesis")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
EXAMPLES = 150  # for each operation
MCP = ("/mcp", "/mcp/env")  # whose errors are in the form of JSON-RPC
DEEP = "[" * 100_000
#: Bodies that no schema makes.
STRANGE = [
    b"",
    b"null",
    b"[]",
    b"\xff\xfe",
    b'{"messages": "\\ud800"}',
    b'{"messages": [{"role": "user", "content": "\\ud800"}], "scenario": "initials", '
    b'"scenario_args": {"company": "\\udfff"}}',
    b'{"messages": [], "scenario": "initials", "scenario_args": {"company": NaN}}',
    b'{"messages": [], "scenario": "initials", "scenario_args": {"company": "x"}, '
    b'"temperature": NaN}',
    b'{"messages": [], "scenario": "initials", "scenario_args": {"company": "x"}, '
    b'"metadata": {"\\ud800": "\\ud800"}}',
    b'{"messages": [], "max_steps": 1' + b"0" * 5000 + b"}",
    DEEP.encode(),
    f'{{"messages": [], "scenario_args": {DEEP}'.encode(),
    b'{"answer": NaN}',
    b'{"answer": "\\ud800"}',
    b'{"name": "scenario_start", "arguments": {"scenario": "initials", '
    b'"scenario_args": {"company": "\\ud800"}, "message": "\\udfff"}}',
    b'{"name": "scenario_finish", "arguments": {"session_id": "\\ud800"}}',
    b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "\\ud800"}}',
]


def answer(_: ScriptedRequest) -> ScriptedReply:
    return say("JR")


def check(method: str, path: str, response: Any) -> None:
    said = f"{method} {path}: {response.status_code} {response.text[:300]}"
    assert response.status_code < 500, said
    if response.status_code >= 400 and path not in MCP:
        assert set(response.json()["error"]) == {"message", "type", "code", "param"}


def test_made_up_requests(serve: Serve) -> None:
    """Whatever fits the schema, or nearly does, is answered and never a 500."""
    server = serve(answer, max_sessions=100_000)
    document = httpx.get(f"{server.origin}/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    seen: set[tuple[str, int]] = set()
    with httpx.Client(base_url=server.origin, timeout=30) as client:
        for result in schema.get_all_operations():
            make_up(result.ok(), client, seen)
    assert {path for path, _ in seen} == set(document["paths"])
    assert len({status for _, status in seen}) >= 4


def make_up(operation: Any, client: httpx.Client, seen: set[tuple[str, int]]) -> None:
    from hypothesis import HealthCheck, given, settings

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        sent = case.as_transport_kwargs(base_url=str(client.base_url))
        headers = {
            name: value
            for name, value in (sent.get("headers") or {}).items()
            if str(value).isascii() and str(value).isprintable()
        }
        body = {"json": sent["json"]} if "json" in sent else {}
        response = client.request(
            case.method, sent["url"], params=sent.get("params"), headers=headers, **body
        )
        seen.add((operation.path, response.status_code))
        check(case.method, operation.path, response)

    ask()


@pytest.mark.parametrize("number", range(len(STRANGE)))
def test_strange_bodies(serve: Serve, number: int) -> None:
    """Neither broken text, nor depth, nor numbers that are none."""
    server = serve(answer)
    id = server.begin()
    for path in ("/v1/chat/completions", "/v1/lifecycle-tools/call", *MCP):
        send(server, path, STRANGE[number])
    send(server, f"/v1/sessions/{id}/finish", STRANGE[number])


def send(server: Server, path: str, body: bytes) -> None:
    headers = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
    }
    check("POST", path, server.post(path, content=body, headers=headers))
