"""Viewers on free ports: real uvicorn in a thread, or `hudtrace view` as a process."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from hudtrace.viewer.app import create_app
from hudtrace.viewer.options import ViewOptions

HERE = Path(__file__).parent
API = "/api/hud/v1"


class Served:
    """A viewer in a thread of its own; `options` are those of `ViewOptions`."""

    def __init__(self, store: Path, **options: Any) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self._socket.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        chosen = ViewOptions(store=store, port=self.port, otlp_http=None, **options)
        app = create_app(chosen)
        self.viewer = app.state.viewer
        self.viewer.url = self.origin
        self._server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", lifespan="on", ws="none")
        )
        serving = self._server.serve([self._socket])
        self._thread = threading.Thread(target=lambda: asyncio.run(serving))

    def __enter__(self) -> Served:
        self._thread.start()
        until(lambda: self._server.started or not self._thread.is_alive())
        assert self._server.started, "the viewer could not start"
        return self

    def __exit__(self, *exc: object) -> None:
        self.viewer.live.end_streams()
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()
        self._socket.close()

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.origin + path, timeout=30, **options)

    def api(self, path: str, status: int = 200, **parameters: Any) -> Any:
        """Ask the API; return the data, which is a problem unless *status* is 200."""
        answer = self.get(API + path, params=parameters)
        assert answer.status_code == status, f"{path}: {answer.text}"
        if status != 200:
            assert answer.headers["content-type"] == "application/problem+json"
            assert set(answer.json()) == {"type", "title", "status", "detail"}
        return answer.json()

    def raw(self, method: str, path: str, **headers: str) -> tuple[int, Any, bytes]:
        """Send a request as it is: no client puts the path or the headers in order."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(line):
            line.putrequest(method, path, skip_host="Host" in headers)
            for name, value in headers.items():
                line.putheader(name.replace("_", "-"), value)
            line.endheaders()
            answer = line.getresponse()
            return answer.status, answer.headers, answer.read()


class Events:
    """The stream of changes, read in a thread; `seen` is (name, id, data)."""

    def __init__(self, origin: str, path: str = "/events", **headers: str) -> None:
        self.seen: list[tuple[str, int, Any]] = []
        self.ended = False
        self._url = origin + API + path
        self._headers = headers
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Events:
        self._thread.start()
        until(lambda: self.seen)
        return self

    def __exit__(self, *exc: object) -> None:
        self._closed = True

    def states(self, trace_id: str) -> list[str]:
        """Return the states that were told of a trace."""
        return [
            trace["state"]
            for name, _, data in self.seen
            if name == "change"
            for trace in data["traces"]
            if trace["id"] == trace_id
        ]

    def _read(self) -> None:
        event: dict[str, str] = {}
        with contextlib.suppress(httpx.HTTPError):
            with httpx.stream(
                "GET", self._url, headers=self._headers, timeout=60
            ) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                for line in answer.iter_lines():
                    name, _, value = line.partition(": ")
                    event[name] = value
                    if not line and "data" in event:
                        data = json.loads(event["data"])
                        self.seen.append((event["event"], int(event["id"]), data))
                        event = {}
        self.ended = True


@contextlib.contextmanager
def recording(store: Path) -> Iterator[Any]:
    """Run an eval that goes on by steps: `step()`; its trace id is `trace`."""
    with python(store, str(HERE / "recording.py"), "steps") as running:
        running.trace = json.loads(running.stdout.readline())["trace"]

        def step() -> None:
            running.stdin.write("\n")
            running.stdin.flush()

        running.step = step
        yield running


@contextlib.contextmanager
def viewing(store: Path, *arguments: str, **variables: str) -> Iterator[Any]:
    """Run `hudtrace view`; give the process, with its address as `url`."""
    command = ["-m", "hudtrace.cli", "view", "--port", "0", *arguments]
    if "--otlp-http" not in arguments:
        command += ["--otlp-http", "off"]
    with python(store, *command, **variables) as running:
        running.url = running.stdout.readline().strip()
        assert running.url.startswith("http://"), running.stderr.read()
        yield running


@contextlib.contextmanager
def python(store: Path, *command: str, **variables: str) -> Iterator[Any]:
    environment = {**os.environ, "HUDTRACE_STORE": str(store), **variables}
    with subprocess.Popen(
        [sys.executable, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                running.kill()


def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait until *condition* holds; return what it gives."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
    return found
