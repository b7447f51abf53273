"""Many sync evals at once, and the life of the background loop."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import hudtrace as hud
from hudtrace.store import queries

Stored = Callable[[str], list[queries.StoredSpan]]
pytestmark = [pytest.mark.usefixtures("store"), pytest.mark.timeout(60)]
MANY = 100


def test_a_hundred_sync_evals(env: hud.Environment, stored: Stored) -> None:
    """A hundred threads with slow tools all come to their end, each trace whole.

    Every one also has a tool that runs an eval of its own, more at once than there
    are threads for tools.
    """
    together = threading.Barrier(MANY, timeout=30)

    @env.tool
    def expert() -> float | None:
        """Ask an eval of its own."""
        together.wait()
        with hud.eval(env("ask")) as ctx:
            ctx.call_tool("drowse", seconds=0.01)
            ctx.submit("right")
        return ctx.reward

    hud.configure(store=runtime_store(), quiet=True, tool_threads=MANY)

    def run(n: int) -> hud.EvalResult:
        with hud.eval(env("ask", n=n)) as ctx:
            two = [("nap", {"seconds": 0.2}), ("drowse", {"seconds": 0.2})]
            ctx.call_tools([{"name": a, "arguments": b} for a, b in two])
            assert ctx.tools["expert"]() == 1.0
            ctx.submit("right")
        return ctx.result

    began = time.monotonic()
    with ThreadPoolExecutor(MANY) as pool:
        results = [f.result(50) for f in [pool.submit(run, n) for n in range(MANY)]]
    took = time.monotonic() - began
    assert {result.reward for result in results} == {1.0}
    assert len({result.trace_id for result in results}) == MANY
    for result in results:
        spans = stored(result.trace_id)
        ids = {span.span_id for span in spans}
        assert len(spans) == 7
        assert [s.name for s in spans if s.parent_id not in ids] == [spans[0].name]
    assert took < 20  # one after the other they would take 40 s


def runtime_store() -> Path | None:
    from hudtrace.runtime import get_runtime

    return get_runtime().settings.store


def test_more_waiting_tools_than_threads(env: hud.Environment) -> None:
    """Tools that wait for tools of evals of their own do not use up the threads."""
    hud.configure(store="off", quiet=True, tool_threads=2)

    def nested(depth: int) -> int:
        """Run evals within evals."""
        if depth == 0:
            return 0
        with hud.eval(env("ask")) as ctx:
            found: int = ctx.tools["nested"](depth=depth - 1)
        return found + 1

    env.tool(nested)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(nested, [6] * 8)) == [6] * 8
    finally:
        hud.configure(store="off", quiet=True, tool_threads=64)


async def test_a_sync_agent_blocks_the_loop(env: hud.Environment) -> None:
    """A sync agent in an async body, with tools in worker threads, does not hang."""

    def invoke(tools: dict[str, Any]) -> list[str]:
        calls = [("nap", {"seconds": 0.05}), ("double", {"n": 2}), ("where", {})] * 4
        with ThreadPoolExecutor(6) as pool:
            done = [pool.submit(tools[name].run_sync, args) for name, args in calls]
            return [future.result(20).text for future in done]

    async def run() -> list[str]:
        async with hud.eval(env("ask")) as ctx:
            texts = invoke({tool.name: tool for tool in ctx._agent_tools()})
            await ctx.submit("right")
        assert ctx.result.tool_calls == 12
        return texts

    began = time.monotonic()
    for texts in await asyncio.gather(*[run() for _ in range(5)]):
        assert texts == ["slept", "4", "hudtrace-loop"] * 4
    assert time.monotonic() - began < 15


def test_a_busy_loop_is_waited_for(env: hud.Environment) -> None:
    """A loop that computes for a while still gets the tools that belong to it."""

    async def run() -> None:
        async with hud.eval(env("ask")) as ctx:
            (tool,) = [t for t in ctx._agent_tools() if t.name == "where"]
            with ThreadPoolExecutor(1) as pool:
                asked = pool.submit(tool.run_sync, {})
                until = time.monotonic() + 0.4
                while time.monotonic() < until:
                    sum(range(100))
                name = (await asyncio.wrap_future(asked)).text
        assert name == threading.current_thread().name

    asyncio.run(run())


def test_every_call_runs_once(env: hud.Environment) -> None:
    """Whichever loop takes a call, free or blocked, it runs once and is counted."""
    ran: list[str] = []
    numbers = itertools.count()

    @env.tool
    async def note(key: str) -> str:
        await asyncio.sleep(0.005)
        ran.append(key)
        return key

    @env.tool(parallel=False)
    async def note_alone(key: str) -> str:
        return await note(key)

    def calls(tools: dict[str, Any], pool: ThreadPoolExecutor, *, loops: bool) -> None:
        def one(name: str, key: str) -> str:
            tool, given = tools[name], {"key": key}
            if loops:
                return str(asyncio.run(tool.run(given)).text)
            return str(tool.run_sync(given).text)

        keys = [str(next(numbers)) for _ in range(4)]
        names = ["note", "note_alone"] * 2
        assert [f.result(20) for f in map(pool.submit, [one] * 4, names, keys)] == keys

    async def body(pool: ThreadPoolExecutor, number: int) -> None:
        async with hud.eval(env("ask")) as ctx:
            tools = {tool.name: tool for tool in ctx._agent_tools()}
            for turn in range(4):
                loops = bool((turn + number) % 2)
                if turn < 2:
                    calls(tools, pool, loops=loops)
                else:
                    await asyncio.to_thread(calls, tools, pool, loops=loops)
                await ctx.call_tool("note_alone", key=str(next(numbers)))
        assert ctx.result.tool_calls == 20

    async def bodies() -> None:
        with ThreadPoolExecutor(16) as pool:
            await asyncio.gather(*[body(pool, number) for number in range(4)])

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(asyncio.run, bodies()) for _ in range(3)]:
            done.result(40)
    assert sorted(ran, key=int) == [str(n) for n in range(next(numbers))]


def run_script(code: str, timeout: float = 20) -> subprocess.CompletedProcess[str]:
    head = """
        import asyncio, os, sys, threading, time
        import hudtrace as hud
        hud.configure(store="off", quiet=True)
        env = hud.Environment("script")

        @env.tool
        async def nap(seconds: float) -> str:
            try:
                await asyncio.sleep(seconds)
                return "slept"
            finally:
                print("nap is over", flush=True)

        @env.scenario("ask")
        async def ask():
            answer = yield "Go on."
            yield 1.0 if answer else 0.0

        def run():
            with hud.eval(env("ask")) as ctx:
                ctx.call_tool("nap", seconds=0.01)
                ctx.submit("x")
            return ctx.reward
    """
    program = textwrap.dedent(head) + textwrap.dedent(code)
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning"]
    return subprocess.run(
        [*command, "-c", program], capture_output=True, text=True, timeout=timeout
    )


def test_a_forked_child_has_a_loop_of_its_own() -> None:
    """After a fork, sync evals work in the child and go on in the parent."""
    done = run_script("""
        assert run() == 1.0
        pid = os.fork()
        if not pid:
            os._exit(0 if run() == 1.0 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert run() == 1.0
    """)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_process_ends_at_once() -> None:
    """What still runs on the background loop is cancelled when the process ends."""
    done = run_script("""
        def forever():
            with hud.eval(env("ask")) as ctx:
                ctx.call_tool("nap", seconds=3600)

        threading.Thread(target=forever, daemon=True).start()
        time.sleep(0.3)
        print("main is over", flush=True)
    """)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["main is over", "nap is over"]


def test_a_tool_that_will_not_end_holds_up_no_exit() -> None:
    """A tool that blocks the background loop for good does not keep the process."""
    done = run_script("""
        @env.tool
        async def block() -> None:
            time.sleep(3600)

        def forever():
            with hud.eval(env("ask")) as ctx:
                ctx.call_tool("block")

        threading.Thread(target=forever, daemon=True).start()
        time.sleep(0.3)
    """)
    assert (done.returncode, done.stderr) == (0, "")
