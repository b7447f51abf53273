"""Sessions through a scenario server, beside the same model calls made directly.

A session is a message that takes two model calls and a tool call, and a reward. The
server is a process of its own, and so is the model; what is measured is the server's
CPU, and how many sessions a second a client gets with many at once. Directly means:
the same loop in one process with the openai client, neither traced nor served.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.episodes import bare_episode
from benchmarks.model import URL, client, model_server
from benchmarks.rounds import Figures, lower, middle, print_rows, race, serve

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
    import httpx

    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server", "serve"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HUDTRACE_STORE": f"{tempfile.mkdtemp()}/traces.db"},
    )
    assert server.stderr is not None
    found = re.search(r"http://[\d.:]+", server.stderr.readline())
    assert found is not None
    body = {
        "messages": [],
        "scenario": "initials",
        "scenario_args": {"company": "HUD"},
    }
    loop = asyncio.new_event_loop()
    http = httpx.AsyncClient(base_url=found.group(), timeout=60)

    async def one(gate: asyncio.Semaphore) -> None:
        async with gate:
            begun = (await http.post("/v1/chat/completions", json=body)).json()
            id = begun["hud"]["session_id"]
            report = (await http.post(f"/v1/sessions/{id}/finish")).json()
            assert report["reward"] == 1.0, report

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


CONTENDERS = {"direct": direct, "served": served}


def main() -> None:
    """Print the table."""
    with model_server():
        rounds = race("benchmarks.server", list(CONTENDERS), 8)
    bare, ours = rounds["direct"], rounds["served"]
    added = lower(ours, "cpu_ms") - lower(bare, "cpu_ms")
    print_rows(
        f"{SESSIONS} sessions of {TURNS} turns, {AT_ONCE} at once",
        [
            ("sessions a second, served", f"{middle(ours, 'sessions'):.0f}", "-"),
            ("the same directly, untraced", f"{middle(bare, 'sessions'):.0f}", "-"),
            ("CPU a turn, served", f"{lower(ours, 'cpu_ms'):.2f} ms", "-"),
            ("CPU a turn, directly", f"{lower(bare, 'cpu_ms'):.2f} ms", "-"),
            ("CPU added a turn", f"{added:.2f} ms", "-"),
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
