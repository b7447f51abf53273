"""Real Jaegers and collectors: in Docker where it answers, else native binaries.

Both are the same programs with the same shipped configurations, on free ports of
loopback. Where there is neither, the tests are skipped, with the reason.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
IMAGES = {
    "jaeger": "jaegertracing/jaeger:2.13.0",
    "otelcol": "otel/opentelemetry-collector-contrib:0.155.0",
}
CONFIGURATIONS = {
    "jaeger": ROOT / "dashboards" / "jaeger.yaml",
    "otelcol": ROOT / "otel-collector.yaml",
}


def folder_of_binaries() -> Path:
    """Return where `make backends` puts what it builds."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(
        os.environ.get("HUDTRACE_BACKENDS") or Path(cache) / "hudtrace" / "backends"
    )


BINARIES = folder_of_binaries()  # before the tests clean the environment


def docker_answers() -> bool:
    """Say whether a Docker engine is there."""
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(["docker", "info"], capture_output=True, check=False)
    return asked.returncode == 0


def ports(count: int) -> list[int]:
    """Return free ports."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def get(url: str, timeout: float = 10.0) -> Any:
    """GET JSON."""
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return json.loads(answer.read())


class Program:
    """One Jaeger or collector, which can be killed and started again."""

    def __init__(self, name: str, folder: Path, variables: dict[str, str]) -> None:
        self.name = name
        self.folder = folder
        self.variables = variables
        self.configuration = CONFIGURATIONS[name]
        self.health = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._container: Any = None

    def start(self) -> None:
        """Start it, and wait until it says that it is healthy."""
        if docker_answers():
            self._start_container()
        else:
            self._start_binary()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                get(self.health, 1)
                return
            except (OSError, ValueError):
                time.sleep(0.05)
        raise RuntimeError(f"{self.name} is not healthy: {self.log()}")

    def kill(self) -> None:
        """End it as a crash does."""
        if self._container is not None:
            self._container.get_wrapped_container().kill()
            self._container.stop()
            self._container = None
        elif self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def log(self) -> str:
        """Return the end of what it has said."""
        file = self.folder / f"{self.name}.log"
        return file.read_text("utf-8", "replace")[-2000:] if file.exists() else ""

    def _start_binary(self) -> None:
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    BINARIES / self.name,
                    "--config",
                    self.configuration,
                ],
                env={**os.environ, **self.variables},
                stdout=log,
                stderr=log,
            )

    def _start_container(self) -> None:
        from testcontainers.core.container import DockerContainer

        container = DockerContainer(IMAGES[self.name]).with_command(
            "--config=/configuration.yaml"
        )
        container.with_kwargs(network_mode="host", user=f"{os.getuid()}:{os.getgid()}")
        container.with_volume_mapping(
            str(self.configuration), "/configuration.yaml", "ro"
        )
        container.with_volume_mapping(str(self.folder), str(self.folder), "rw")
        for name, value in self.variables.items():
            container.with_env(name, value)
        self._container = container.start()


class Jaeger(Program):
    """A Jaeger with its query API."""

    def __init__(self, folder: Path) -> None:
        grpc, http, query, query_grpc, health = map(str, ports(5))
        directory = folder / "jaeger"
        directory.mkdir()
        super().__init__(
            "jaeger",
            folder,
            {
                "JAEGER_DIRECTORY": str(directory),
                "JAEGER_GRPC_PORT": grpc,
                "JAEGER_HTTP_PORT": http,
                "JAEGER_QUERY_PORT": query,
                "JAEGER_QUERY_GRPC_PORT": query_grpc,
                "JAEGER_HEALTH_PORT": health,
            },
        )
        self.grpc = f"http://127.0.0.1:{grpc}"
        self.http = f"http://127.0.0.1:{http}"
        self.address = f"127.0.0.1:{grpc}"
        self.ui = f"http://127.0.0.1:{query}"
        self.health = f"http://127.0.0.1:{health}/status"

    def spans(self, trace_id: str) -> list[dict[str, Any]]:
        """Return the spans of a trace as OTLP JSON; none if it is not there."""
        try:
            found = get(f"{self.ui}/api/v3/traces/{trace_id}")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return []
        return [
            span
            for resource in found["result"]["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]

    def wait_for(self, trace_id: str, count: int) -> list[dict[str, Any]]:
        """Return the spans of a trace when there are so many."""
        deadline = time.monotonic() + 40
        while True:
            spans = self.spans(trace_id)
            if len(spans) >= count or time.monotonic() > deadline:
                return spans
            time.sleep(0.2)

    def search(self, limit: int = 20, **tags: str) -> set[str]:
        """Return the ids of the traces with a span that has these tags."""
        query = urllib.parse.urlencode(
            {
                "service": "hudtrace",
                "limit": limit,
                "lookback": "1h",
                "tags": json.dumps({k.replace("__", "."): v for k, v in tags.items()}),
            }
        )
        found = get(f"{self.ui}/api/traces?{query}", 60)
        return {trace["traceID"] for trace in found["data"]}


class MemoryJaeger(Jaeger):
    """A Jaeger that keeps spans as they came, as it does without a configuration."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.configuration = Path(__file__).parent / "jaeger-memory.yaml"


class Collector(Program):
    """The shipped collector, in front of a Jaeger."""

    def __init__(self, folder: Path, jaeger: Jaeger) -> None:
        grpc, http, health = map(str, ports(3))
        super().__init__(
            "otelcol",
            folder,
            {
                "COLLECTOR_GRPC_PORT": grpc,
                "COLLECTOR_HTTP_PORT": http,
                "COLLECTOR_HEALTH_PORT": health,
                "JAEGER_ENDPOINT": jaeger.address,
                "QUEUE_DIRECTORY": str(folder / "queue"),
            },
        )
        self.grpc = f"http://127.0.0.1:{grpc}"
        self.http = f"http://127.0.0.1:{http}"
        self.health = f"http://127.0.0.1:{health}/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a backend where there is none."""
    if docker_answers() or (BINARIES / "jaeger").exists():
        return
    reason = (
        "no Docker engine answers and there are no native backends; "
        "`make backends` builds them (it needs Go)"
    )
    for item in items:
        names = getattr(item, "fixturenames", ())
        if any(name.startswith("jaeger") for name in names):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def jaeger(tmp_path: Path) -> Iterator[Jaeger]:
    """A Jaeger, and nothing in it."""
    program = Jaeger(tmp_path)
    program.start()
    yield program
    program.kill()


@pytest.fixture(scope="module")
def jaegers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[type[Jaeger]], Jaeger]]:
    """Start Jaegers of a kind, that last for all tests of a module."""
    started: list[Jaeger] = []

    def start(kind: type[Jaeger]) -> Jaeger:
        program = kind(tmp_path_factory.mktemp("jaeger"))
        started.append(program)
        program.start()
        return program

    yield start
    for program in started:
        program.kill()


@pytest.fixture(scope="module")
def jaeger_in_memory(jaegers: Callable[[type[Jaeger]], Jaeger]) -> Jaeger:
    """A Jaeger that keeps spans in memory, for all tests of a module."""
    return jaegers(MemoryJaeger)


@pytest.fixture(scope="module")
def jaeger_on_disk(jaegers: Callable[[type[Jaeger]], Jaeger]) -> Jaeger:
    """A Jaeger with the shipped configuration, for all tests of a module."""
    return jaegers(Jaeger)


@pytest.fixture
def collector(tmp_path: Path, jaeger: Jaeger) -> Iterator[Collector]:
    """The shipped collector in front of the Jaeger."""
    program = Collector(tmp_path, jaeger)
    program.start()
    yield program
    program.kill()
