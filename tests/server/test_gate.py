"""Who may come in, and with how much."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import openai
import pytest
from server_kit import HUD, Serve
from test_errors import check

import hudtrace as hud
from hudtrace.errors import ConfigurationError, MissingExtra
from hudtrace.testing import ScriptedModel, say

PATHS = ("/scenarios", "/v1/models", "/v1/sessions", "/openapi.json", "/mcp/tools")


def test_a_key_is_asked_for_everywhere(serve: Serve) -> None:
    """Without it, or with a wrong one, 401; only the health check is open."""
    server = serve([say("JR")], api_key="right-key")
    for given in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "right-key"},
    ):
        for path in PATHS:
            answer = server.get(path, headers=given)
            check(answer, 401, "invalid_api_key", None, "Bearer <api_key>")
            assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/mcp", "/mcp/env"):
            assert server.post(path, {}, headers=given).status_code == 401
        assert server.get("/mcp/env", headers=given).status_code == 401
    assert server.get("/health").json() == {"status": "ok"}
    assert server.get("/scenarios", headers={"authorization": "bearer right-key"})
    with openai.OpenAI(base_url=f"{server.origin}/v1", api_key="right-key") as client:
        assert [m.id for m in client.models.list()] == ["gpt-4o"]
    with openai.OpenAI(base_url=f"{server.origin}/v1", api_key="wrong") as client:
        with pytest.raises(openai.AuthenticationError):
            client.models.list()


def test_blanks_around_a_key_are_none_of_it(serve: Serve) -> None:
    """What a file or a shell leaves around a key, on either side, does not count."""
    server = serve([say("JR")], api_key="  right key\n")
    for given, status in (("right key", 200), ("   right key", 200), ("right", 401)):
        headers = {"authorization": f"Bearer {given}"}
        assert server.get("/scenarios", headers=headers).status_code == status


@pytest.mark.parametrize("key", ["", " ", "\n"])
def test_an_empty_key_opens_no_address(env: hud.Environment, key: str) -> None:
    """A public address is not served with a key that is none."""
    with pytest.raises(ConfigurationError, match="api_key is empty"):
        env.serve_as_agent(host="0.0.0.0", port=0, api_key=key)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "localhost:1"}, 200),
        ({"host": "127.0.0.1"}, 200),
        ({"host": "[::1]:8321"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "localhost.evil.example:8321"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "localhost:8321", "origin": "http://localhost:8321"}, 200),
        ({"host": "localhost:8321", "origin": "http://localhost:3000"}, 403),
        ({"host": "localhost:8321", "origin": "https://evil.example"}, 403),
        ({"host": "localhost:8321", "origin": "null"}, 403),
    ],
)
def test_pages_of_others_are_kept_out(
    serve: Serve, headers: dict[str, str], status: int
) -> None:
    """A Host that is not ours (DNS rebinding) and an Origin that is not the Host."""
    server = serve([])
    for path in ("/scenarios", "/health"):
        answer = server.get(path, headers=headers)
        assert answer.status_code == status
        if status == 403:
            assert answer.json()["error"]["type"] == "permission_error"
    assert (server.post("/mcp", {}, headers=headers).status_code == 403) is (
        status == 403
    )


def test_other_names_can_be_allowed(serve: Serve) -> None:
    """`allowed_hosts` are the names of a server behind a proxy."""
    server = serve([], allowed_hosts=["evals.example"])
    names = {"evals.example": 200, "EVALS.example:443": 200, "localhost": 403}
    for name, status in names.items():
        assert server.get("/scenarios", headers={"host": name}).status_code == status


def test_a_body_that_is_too_large(serve: Serve) -> None:
    """10 MB are refused with 413, declared or not, and the client gets to see it."""
    server = serve([])
    message = {"role": "user", "content": "x" * 10_000_000}
    body = json.dumps({"messages": [message], **HUD})
    url = f"{server.origin}/v1/chat/completions"
    for extra in ([], ["-H", "transfer-encoding: chunked"]):
        command = ["curl", "-sS", "-w", "%{http_code}", "-d", "@-", url, *extra]
        done = subprocess.run(command, input=body, capture_output=True, text=True)
        assert done.stdout.endswith("413"), done
        assert '"request_too_large"' in done.stdout
    for path in ("/mcp", "/mcp/env", "/v1/lifecycle-tools/call"):
        answer = server.post(path, body)
        check(answer, 413, "request_too_large", None, "4194304 bytes")
    assert not server.model.requests


def test_a_smaller_limit(serve: Serve) -> None:
    """`max_body_bytes` is the limit, to the byte."""
    server = serve([], max_body_bytes=100)
    headers = {"content-type": "application/json"}
    for size, status in ((100, 400), (101, 413)):
        answer = server.post(
            "/v1/chat/completions", content=b"x" * size, headers=headers
        )
        assert answer.status_code == status


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "", "example.com"])
def test_a_public_address_needs_a_key(env: hud.Environment, host: str) -> None:
    """Serving where others can reach it, without a key, is refused."""
    with ScriptedModel([]) as model:
        client = openai.OpenAI(base_url=model.url, api_key="k")
        with pytest.raises(ConfigurationError, match="can be reached from other"):
            env.serve_as_agent(client=client, model="m", host=host, port=0)
        client.close()


def test_without_the_extra(
    env: hud.Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing is named, with the line that installs it."""
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(MissingExtra, match=r"'fastapi'.*hudtrace\[server\]"):
        env.agent_app(client=None, model="m")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"api_key": ""}, "api_key is empty"),
        ({"api_key": " \n"}, "api_key is empty"),
        ({"api_key": "a\nb"}, "api_key has line breaks"),
        ({"api_key": "schlüssel"}, "api_key has line breaks or"),
        ({"api_key": b"key"}, "api_key is a bytes, not a text"),
        ({"session_ttl": 0}, "session_ttl=0"),
        ({"max_sessions": -1}, "max_sessions=-1"),
        ({"models": "gpt-4o"}, "a list of names"),
        ({"allowed_hosts": "x"}, "a list"),
        ({"limits": 3}, "hud.Limits"),
        ({"max_steps": 0}, "max_steps=0"),
        ({"api": "anthropic"}, "does not fit"),
        ({"model": ""}, "the model's name"),
        ({"port": 1, "nothing": 2}, "unexpected keyword"),
    ],
)
def test_options_are_checked_first(
    env: hud.Environment, options: Any, problem: str
) -> None:
    """A server that starts can be used: what is wrong is said before."""
    with openai.OpenAI(base_url="http://localhost:9", api_key="k") as client:
        with pytest.raises((TypeError, ValueError), match=problem):
            env.agent_app(**{"client": client, "model": "m", **options})
