"""Sessions through a scenario server, beside the same model calls made directly.

A session is a message that takes two model calls and a tool call, and a reward. The
server is a process of its own, and so is the model; what is measured is the server's
CPU, and how many sessions a second a client gets with many at once. Directly means:
the same loop in one process with the openai client, neither traced nor served. MCP
agents have no model behind the server: they call the tool and answer.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx

from benchmarks.episodes import bare_episode
from benchmarks.model import URL, client, model_server
from benchmarks.rounds import Figures, lower, middle, print_rows, race, serve

#: Not what was left from a round before, which the server may close just now.
FRESH = httpx.Limits(keepalive_expiry=1)
SESSIONS, AT_ONCE, TURNS = 200, 20, 2  # turns of a session: its model calls


def direct() -> Callable[[], Figures]:
    """The model's calls and the tool, in this process."""
    openai = client()

    def run() -> Figures:
        async def many() -> None:
            gate = asyncio.Semaphore(AT_ONCE)

            async def one() -> None:
                async with gate:
                    await bare_episode(openai)

            await asyncio.gather(*(one() for _ in range(SESSIONS)))

        before, start = cpu_of_self(), time.perf_counter()
        loop.run_until_complete(many())
        return figures(cpu_of_self() - before, time.perf_counter() - start)

    loop = asyncio.new_event_loop()
    return run


def served() -> Callable[[], Figures]:
    """The same through a server, by plain HTTP: begin, finish."""
    server, url = start_server()
    body = {
        "messages": [],
        "scenario": "initials",
        "scenario_args": {"company": "HUD"},
    }
    loop = asyncio.new_event_loop()
    http = httpx.AsyncClient(base_url=url, timeout=60, limits=FRESH)

    async def one(gate: asyncio.Semaphore) -> None:
        async with gate:
            begun = (await http.post("/v1/chat/completions", json=body)).json()
            id = begun["hud"]["session_id"]
            report = (await http.post(f"/v1/sessions/{id}/finish")).json()
            assert report["reward"] == 1.0, report

    return measured(one, server, loop)


def agents() -> Callable[[], Figures]:
    """Clients that are the agent, over MCP: a prompt, a call of the tool, an answer.

    The messages of the protocol are sent as they are: a client of ours would be all
    that is measured.
    """
    server, url = start_server()
    loop = asyncio.new_event_loop()
    accept = {"accept": "application/json, text/event-stream"}
    http = httpx.AsyncClient(headers=accept, timeout=60, limits=FRESH)

    async def one(gate: asyncio.Semaphore) -> None:
        async with gate:
            headers: dict[str, str] = {}

            async def ask(method: str, **params: Any) -> Any:
                body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
                answer = await http.post(f"{url}/mcp/env", json=body, headers=headers)
                if "mcp-session-id" in answer.headers:
                    headers["mcp-session-id"] = answer.headers["mcp-session-id"]
                return answer.json()["result"]

            client = {"name": "bench", "version": "1"}
            version = "2025-06-18"
            await ask(
                "initialize",
                protocolVersion=version,
                capabilities={},
                clientInfo=client,
            )
            told = {"jsonrpc": "2.0", "method": "notifications/initialized"}
            await http.post(f"{url}/mcp/env", json=told, headers=headers)
            await ask("prompts/get", name="initials", arguments={"company": "HUD"})
            await ask("tools/call", name="lookup", arguments={"name": "HUD"})
            answer = {"answer": "JR"}
            done = await ask("tools/call", name="scenario_submit", arguments=answer)
            assert done["structuredContent"]["reward"] == 1.0, done
            await http.delete(f"{url}/mcp/env", headers=headers)

    return measured(one, server, loop)


def start_server() -> tuple[subprocess.Popen[str], str]:
    """Start the server's process; return it, and its address."""
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server", "serve"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HUDTRACE_STORE": f"{tempfile.mkdtemp()}/traces.db"},
    )
    assert server.stderr is not None
    found = re.search(r"http://[\d.:]+", server.stderr.readline())
    assert found is not None
    return server, found.group()


def measured(
    one: Callable[[asyncio.Semaphore], Coroutine[Any, Any, None]],
    server: subprocess.Popen[str],
    loop: asyncio.AbstractEventLoop,
) -> Callable[[], Figures]:
    """Return what runs all sessions, and tells the CPU that the server has used."""

    async def many() -> None:
        gate = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(one(gate) for _ in range(SESSIONS)))

    def run() -> Figures:
        before, start = cpu_of(server.pid), time.perf_counter()
        loop.run_until_complete(many())
        return figures(cpu_of(server.pid) - before, time.perf_counter() - start)

    return run


def figures(cpu: float, wall: float) -> Figures:
    return {"cpu_ms": cpu * 1000 / SESSIONS / TURNS, "sessions": SESSIONS / wall}


def cpu_of_self() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU that a process has used, by Linux's /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_server() -> None:
    """Serve until the process that started us has gone."""
    import threading

    import hudtrace as hud

    env = hud.Environment("bench")

    @env.tool(run_in="loop")
    def lookup(name: str) -> str:
        """Look something up."""
        return "Jay Ram"

    @env.scenario("initials")
    async def initials(company: str) -> Any:
        answer = yield f"Initials of the CEO of {company}?"
        yield 1.0 if "JR" in (answer or "") else 0.0

    def follow() -> None:
        parent = os.getppid()
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(0)

    threading.Thread(target=follow, daemon=True).start()
    hud.configure(quiet=True)
    env.serve_as_agent(client=client(), model="scripted-1", port=0)


CONTENDERS = {"direct": direct, "served": served, "agents": agents}


def main() -> None:
    """Print the table."""
    with model_server():
        rounds = race("benchmarks.server", list(CONTENDERS), 8)
    bare, ours, agent = rounds["direct"], rounds["served"], rounds["agents"]
    added = lower(ours, "cpu_ms") - lower(bare, "cpu_ms")
    print_rows(
        f"{SESSIONS} sessions of {TURNS} turns, {AT_ONCE} at once",
        [
            ("sessions a second, served", f"{middle(ours, 'sessions'):.0f}", "-"),
            ("the same directly, untraced", f"{middle(bare, 'sessions'):.0f}", "-"),
            ("CPU a turn, served", f"{lower(ours, 'cpu_ms'):.2f} ms", "-"),
            ("CPU a turn, directly", f"{lower(bare, 'cpu_ms'):.2f} ms", "-"),
            ("CPU added a turn", f"{added:.2f} ms", "-"),
            ("sessions a second, MCP agents", f"{middle(agent, 'sessions'):.0f}", "-"),
            (
                "CPU a session, MCP agents",
                f"{lower(agent, 'cpu_ms') * TURNS:.2f} ms",
                "-",
            ),
        ],
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["contender"]:
        assert os.environ[URL]
        serve(CONTENDERS)
    elif sys.argv[1:2] == ["serve"]:
        run_server()
    else:
        main()
