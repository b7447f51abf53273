"""`hudtrace serve` for clients that are the agent, each server in its own process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.stdio import stdio_client
from server_kit import until
from test_running import HERE, process, seen, trees

from hudtrace.cli import main
from hudtrace.store import queries
from hudtrace.store.store import read_only

START = {"scenario": "initials", "scenario_args": {"company": "HUD"}}
INITIALIZE: Any = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "raw", "version": "1"},
}
SERVE = ["-m", "hudtrace", "serve", "serving_agents:env"]

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


def over_stdio(store: Path) -> Any:
    """Return the transport of a client to a server of its own."""
    return stdio_client(
        StdioServerParameters(
            command=sys.executable,
            args=[*SERVE, "--stdio"],
            cwd=HERE,
            env={**os.environ, "HUDTRACE_STORE": str(store)},
        )
    )


async def play(agent: Client, answer: str) -> Any:
    await agent.get_prompt("initials", {"company": "HUD"})
    found: Any = await agent.call_tool("lookup_ceo", {"company": "HUD"})
    assert found.content[0].text == "Jay Ram"
    report = await agent.call_tool("scenario_submit", {"answer": answer})
    return report.structured_content


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_episodes_over_stdio(tmp_path: Path, mode: str) -> None:
    """Both generations of the protocol; one episode after the other."""
    store = tmp_path / "t.db"
    async with Client(over_stdio(store), mode=mode) as agent:
        assert (await play(agent, "JR"))["reward"] == 1.0
        assert (await play(agent, "SA"))["reward"] == 0.0
    rewards = [float("reward score=1.0" in tree) for tree in trees(store)]
    assert sorted(rewards) == [0.0, 1.0]


async def test_servers_at_once(tmp_path: Path) -> None:
    """Several, each with its client, write to one store."""
    store = tmp_path / "t.db"

    async def run(answer: str) -> Any:
        async with Client(over_stdio(store)) as agent:
            return (await play(agent, answer))["reward"]

    rewards = await asyncio.gather(*map(run, ["JR", "SA", "JR"]))
    assert rewards == [1.0, 0.0, 1.0]
    assert len(trees(store)) == 3


class Raw:
    """A server over stdio, spoken to by lines."""

    def __init__(self, store: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *SERVE, "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=HERE,
            env={**os.environ, "HUDTRACE_STORE": str(store)},
        )
        self.ask("initialize", **INITIALIZE)
        self.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def tell(self, message: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def ask(self, method: str, **params: Any) -> Any:
        self.tell({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        assert self.process.stdout
        while "id" not in (answer := json.loads(self.process.stdout.readline())):
            assert answer["method"] == "notifications/tools/list_changed"
        return answer["result"]

    def use(self, name: str, **arguments: Any) -> Any:
        result = self.ask("tools/call", name=name, arguments=arguments)
        assert not result.get("isError"), result
        return result


def test_stdout_is_the_protocols(tmp_path: Path) -> None:
    """What module, tool and child print goes to stderr; the end of stdin ends it."""
    raw = Raw(tmp_path / "t.db")
    raw.use("scenario_start", **START)
    raw.use("lookup_ceo", company="HUD")
    report = raw.use("scenario_submit", answer="JR")["structuredContent"]
    assert report["reward"] == 1.0
    rest, said = raw.process.communicate(timeout=20)
    assert rest == ""
    assert raw.process.returncode == 0
    for words in ("the module says", "a tool says", "so does a child", "at the end"):
        assert words in said
    assert "Traceback" not in said


@pytest.mark.parametrize("how", ["stdin ends", "SIGTERM", "SIGINT"])
def test_a_client_that_leaves(tmp_path: Path, how: str) -> None:
    """The episode is abandoned, its trace closed and written, the exit clean."""
    raw = Raw(tmp_path / "t.db")
    raw.use("scenario_start", **START)
    raw.use("lookup_ceo", company="HUD")
    if how == "stdin ends":
        raw.process.communicate(timeout=20)
    else:
        raw.process.send_signal(getattr(signal, how))
        raw.process.wait(20)
    assert raw.process.returncode == 0
    (tree,) = trees(tmp_path / "t.db")
    assert "outcome=abandoned" in tree
    assert "execute_tool lookup_ceo" in tree
    assert "running" not in tree


def test_a_server_that_is_killed(tmp_path: Path) -> None:
    """After kill -9 the episode is in the store, interrupted, and nothing is broken."""
    store = tmp_path / "t.db"
    raw = Raw(store)
    raw.use("scenario_start", **START)
    raw.use("lookup_ceo", company="HUD")
    until(lambda: seen(store))
    raw.process.kill()
    raw.process.communicate(timeout=20)
    shown = subprocess.run(
        [sys.executable, "-m", "hudtrace", "ls", "--store", str(store)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "interrupted" in shown.stdout
    assert main(["store", "check", "--store", str(store)]) == 0


def test_a_server_that_is_killed_at_once(tmp_path: Path) -> None:
    """The episode that a client has been told of is in the store."""
    raw = Raw(tmp_path / "t.db")
    begun = raw.use("scenario_start", **START)
    raw.process.kill()
    raw.process.communicate(timeout=20)
    assert begun["structuredContent"]["trace_id"] in episodes(tmp_path / "t.db")


def test_a_server_over_http_that_is_killed_at_once(tmp_path: Path) -> None:
    """The same by a prompt over HTTP."""
    command = [*SERVE[:-1], "serving_trivia:env", "--port", "0"]
    with process(*command, store=tmp_path / "t.db") as server:
        headers = {"accept": "application/json, text/event-stream"}
        with httpx.Client(headers=headers, timeout=30) as http:

            def ask(method: str, **params: Any) -> httpx.Response:
                body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
                return http.post(f"{server.url}/mcp/env", json=body)

            begun = ask("initialize", **INITIALIZE)
            http.headers["mcp-session-id"] = begun.headers["mcp-session-id"]
            got = ask("prompts/get", name="initials", arguments={"company": "HUD"})
            server.kill()
        server.wait(20)
    told = got.json()["result"]["_meta"]["hud"]
    assert told["trace_id"] in episodes(tmp_path / "t.db")


def test_a_second_signal(tmp_path: Path) -> None:
    """It ends the server at once and quietly, though a grader hangs."""
    raw = Raw(tmp_path / "t.db")
    raw.use("scenario_start", scenario="hangs")
    submit = {"name": "scenario_submit", "arguments": {"answer": "x"}}
    raw.tell({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": submit})
    assert raw.process.stderr
    while "grading" not in raw.process.stderr.readline():
        pass
    raw.process.send_signal(signal.SIGINT)
    time.sleep(0.5)  # two at once are one
    raw.process.send_signal(signal.SIGINT)
    said = raw.process.communicate(timeout=8)[1]
    assert raw.process.returncode == 130
    assert "Traceback" not in said
    assert len(episodes(tmp_path / "t.db")) == 1


def episodes(store: Path) -> list[str]:
    """Return the ids of what is in a store."""
    with contextlib.closing(read_only(store)) as db:
        return [episode.trace_id for episode in queries.episodes(db)]


async def test_the_command_over_http(tmp_path: Path) -> None:
    """Without --model there are agents alone; a signal closes what is open."""
    store = tmp_path / "t.db"
    command = [*SERVE[:-1], "serving_trivia:env", "--port", "0"]
    with process(*command, store=store) as server:
        url = f"{server.url}/mcp/env"
        async with Client(url) as agent:
            assert (await play(agent, "JR"))["reward"] == 1.0
        with contextlib.suppress(Exception):  # its server is gone when it leaves
            async with Client(url) as agent:
                await agent.call_tool("scenario_start", START)
                server.send_signal(signal.SIGTERM)
                await asyncio.to_thread(server.wait, 20)
        assert server.wait(20) == -signal.SIGTERM
        assert server.stderr is not None
        assert "ERROR" not in server.stderr.read()  # of the client that listened
    graded, left = sorted(trees(store), key=lambda tree: "abandoned" in tree)
    assert "reward score=1.0" in graded
    assert "outcome=abandoned" in left


async def test_a_signal_while_a_call_goes_on(tmp_path: Path) -> None:
    """After the grace time the call is answered with an error, and the trace closed."""
    code = "import serving_agents as s; s.env.serve_as_agent(port=0, grace=0.5)"
    with process("-c", code, store=tmp_path / "t.db") as server:
        with contextlib.suppress(Exception):  # its server is gone when it leaves
            async with Client(f"{server.url}/mcp/env") as agent:
                await agent.call_tool("scenario_start", START)
                running = asyncio.create_task(agent.call_tool("slow", {}))
                await asyncio.sleep(0.5)
                server.send_signal(signal.SIGTERM)
                cut = await running
                await asyncio.to_thread(server.wait, 20)
        assert server.wait(20) == -signal.SIGTERM
    assert cut.structured_content["error"]["code"] == "server_shutdown"
    (tree,) = trees(tmp_path / "t.db")
    assert "outcome=abandoned" in tree
    assert "running" not in tree


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--stdio", "--model", "m"], "no --model"),
        (["--base-url", "http://x"], "say --model"),
        (["--stdio", "--session-ttl", "0"], "session_ttl=0"),
    ],
)
def test_what_does_not_go_together(arguments: list[str], problem: str) -> None:
    """It is said in a line, with nothing on stdout."""
    done = subprocess.run(
        [sys.executable, *SERVE, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=HERE,
        timeout=30,
    )
    assert done.returncode == 1
    assert problem in done.stderr
    assert done.stdout == ""
