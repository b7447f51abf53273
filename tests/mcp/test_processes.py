"""Servers do not outlive the process that they were started for."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hudtrace as hud

SCRIPT = """
import sys, time
import hudtrace as hud

hud.configure(store="off", quiet=True)
env = hud.Environment("m").connect_mcp([sys.executable, *sys.argv[2:]])

@env.scenario("s")
async def s():
    yield "go"
    yield 1.0

with hud.eval(s()) as ctx:
    print(ctx.call_tool("pid"), flush=True)
    if sys.argv[1] == "block":
        ctx.call_tool("block", seconds=100)
    if sys.argv[1] == "wait":
        time.sleep(100)
    ctx.submit("x")
print(ctx.result.outcome, flush=True)
"""


def start(tmp_path: Path, what: str, server: str) -> tuple[Any, int]:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(script), what, server],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.strip().isdigit(), (line, process.communicate())
    return process, int(line)


def test_at_the_end_of_the_process(
    tmp_path: Path, command: list[str], wait_for_end: Callable[[int], bool]
) -> None:
    """A process that ends has ended its servers, and has nothing to say of it."""
    process, server = start(tmp_path, "end", command[1])
    # Not communicate(): it leaves out what came with the line that was read.
    with process:
        out, err = process.stdout.read(), process.stderr.read()
    assert (process.returncode, out, err) == (0, "scored\n", "")
    assert wait_for_end(server)


@pytest.mark.parametrize("what", ["wait", "block"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_when_it_is_killed(
    tmp_path: Path,
    command: list[str],
    wait_for_end: Callable[[int], bool],
    what: str,
    how: signal.Signals,
) -> None:
    """Nor do they outlive one that is killed, also where a server hangs in a call."""
    process, server = start(tmp_path, what, command[1])
    process.send_signal(how)
    process.communicate(timeout=30)
    assert wait_for_end(server)


def in_child(command: list[str], told: Any) -> None:
    told.put(run_once(TASKS[0]))


def run_once(task: hud.Task) -> str:
    with hud.eval(task) as ctx:
        return str(ctx.call_tool("pid"))


TASKS: list[hud.Task] = []


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_after_a_fork(store: Path, command: list[str]) -> None:
    """A forked process has a server of its own; the parent's stays the parent's."""
    env = hud.Environment("forked").connect_mcp(command)

    @env.scenario("s")
    async def s() -> Any:
        yield "go"
        yield 1.0

    TASKS[:] = [s()]
    mine = run_once(TASKS[0])
    context = multiprocessing.get_context("fork")
    told = context.Queue()
    child = context.Process(target=in_child, args=(command, told))
    child.start()
    theirs = told.get(timeout=30)
    child.join(30)
    assert theirs != mine == run_once(TASKS[0])
    TASKS.clear()


async def test_stderr_is_a_log(
    store: Path,
    command: list[str],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What a server writes to stderr is a line of the log, not of the terminal."""
    env = hud.Environment("logged").connect_mcp(command, name="tester")

    @env.scenario("s")
    async def s() -> Any:
        yield "go"
        yield 1.0

    with caplog.at_level("INFO", logger="hudtrace.mcp"):
        async with hud.eval(s()) as ctx:
            await ctx.call_tool("slow", seconds=0, key="k")
        await asyncio.sleep(0.2)
    assert "tester: slow k" in caplog.messages
    assert capfd.readouterr().out == ""
