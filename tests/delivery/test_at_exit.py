"""A program that ends right after its eval has delivered it, over HTTP and gRPC."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(60)

HEAD = """
import hudtrace as hud
env = hud.Environment("short")
@env.scenario("ask")
async def ask():
    yield "Go."
    yield 1.0
def run():
    with hud.eval(env("ask")) as e:
        e.submit("x")
"""
BODIES = {
    "main thread": "run()",
    "event loop": (
        "import asyncio\n"
        "async def main():\n"
        "    async with hud.eval(env('ask')) as e:\n"
        "        await e.submit('x')\n"
        "asyncio.run(main())"
    ),
    "thread that goes on": (
        "import threading, time\n"
        "hud.configure(quiet=True)\n"
        "threading.Thread(target=lambda: (time.sleep(0.5), run())).start()"
    ),
    "pool that goes on": (
        "import concurrent.futures, time\n"
        "hud.configure(quiet=True)\n"
        "pool = concurrent.futures.ThreadPoolExecutor(1)\n"
        "pool.submit(lambda: (time.sleep(0.5), run()))"
    ),
}


def run_program(store: Path, body: str, protocol: str, url: str) -> str:
    """Run a program to its end and return what it says on stderr."""
    variables = {
        "HUDTRACE_STORE": str(store),
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
    }
    done = subprocess.run(
        [sys.executable, "-c", HEAD + body],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_short_program_delivers(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    stored_ids: Callable[[Path], set[bytes]],
    protocol: str,
    body: str,
) -> None:
    """Every span has arrived once when the process ends, and nothing is said."""
    name = "grpc_receiver" if protocol == "grpc" else "receiver"
    receiver = request.getfixturevalue(name)
    store = tmp_path / "traces.db"
    said = run_program(store, BODIES[body], protocol, receiver.url)
    assert "warning" not in said
    assert set(receiver.accepted) == stored_ids(store)
    assert set(receiver.accepted.values()) == {1}


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_backend_that_is_away_costs_no_time(tmp_path: Path, protocol: str) -> None:
    """The end of the process waits for nobody who refuses connections."""
    store, body = tmp_path / "traces.db", BODIES["main thread"]
    began = time.monotonic()
    run_program(store, body, protocol, "")
    without = time.monotonic() - began
    said = run_program(store, body, protocol, "http://127.0.0.1:1")
    assert time.monotonic() - began - 2 * without < 4
    assert "cannot be reached" in said
    assert "not sent" in said
