"""Servers of the official package, as commands and as processes over HTTP."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
COMMAND = [sys.executable, str(HERE / "stdio_server.py")]


class HttpServer:
    """A server in a process of its own."""

    def __init__(self, name: str = "tester", port: int = 0) -> None:
        command = [sys.executable, str(HERE / "http_server.py"), name, str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}/mcp"

    def kill(self) -> None:
        """End it as a crash does."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def command() -> list[str]:
    """The command of the tests' server over stdio."""
    return list(COMMAND)


@pytest.fixture
def http_server() -> Iterator[Callable[..., HttpServer]]:
    """Start servers over HTTP; they are gone after the test."""
    started: list[HttpServer] = []

    def start(name: str = "tester", port: int = 0) -> HttpServer:
        started.append(HttpServer(name, port))
        return started[-1]

    yield start
    for server in started:
        server.kill()


def is_running(pid: int) -> bool:
    """Say whether a process is there and no zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def ends(pid: int, seconds: float = 10) -> bool:
    """Wait until a process has ended; say whether it has."""
    until = time.monotonic() + seconds
    while is_running(pid):
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def wait_for_end() -> Callable[[int], bool]:
    """Wait until a process has ended."""
    return ends
