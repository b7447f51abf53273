"""An episode of 10,000 spans in a browser, beside two other viewers.

Each viewer runs as it is installed, gets the same spans over OTLP, and is opened in a
headless Chromium, in turns. Time is from the navigation to the first frame in which a
row of the trace can be seen, as the page itself finds it: a locator of Playwright looks
only every half a second. The others are installed in environments of their own in the cache
folder of the user, at the versions below; that takes a minute, once.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.rounds import cache_folder, environment, print_rows

SPANS, ROUNDS = 10_002, 5
PEERS = {"Phoenix": "arize-phoenix==20.26.1", "MLflow": "mlflow==3.17.2"}
_STEP = 500_000_000  # ns from one turn to the next
_PATIENCE = 180  # seconds
_QUIET = {  # none of them is to call home
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "PHOENIX_TELEMETRY_ENABLED": "false",
}

#: The time, in ms since the epoch, once there is an element with just this text.
_ROW = """text => {
    const at = `//*[text()[normalize-space(.) = "${text}"]]`;
    const row = document.evaluate(at, document, null, 9, null).singleNodeValue;
    return row?.getClientRects().length && performance.timeOrigin + performance.now();
}"""


@dataclass
class Viewer:
    """A viewer that runs: where spans go to, where its pages are, what was measured."""

    name: str
    otlp: str
    page: str
    row: str = "chat gpt-4o"  # text of a row that is seen first
    headers: dict[str, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    nodes: int = 0
    size: int = 0


class Episode:
    """One trace of turns, each a model call and two tool calls, as OTLP requests."""

    def __init__(self, spans: int) -> None:
        self.trace_id = os.urandom(16)
        self._start = time.time_ns() - 10**12 * 2
        self._spans: list[Any] = []
        root = self._add("eval trivia:long", b"", 0, spans // 4 * _STEP, "CHAIN")
        agent = self._add("invoke_agent agent", root, 1, spans // 4 * _STEP, "AGENT")
        for turn in range((spans - 2) // 4):
            self._add_turn(agent, turn)

    def requests(self, size: int = 2000) -> Iterator[bytes]:
        """Return the bodies of the requests that carry the spans."""
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service

        for first in range(0, len(self._spans), size):
            request = service.ExportTraceServiceRequest()
            each = request.resource_spans.add()
            name = each.resource.attributes.add(key="service.name")
            name.value.string_value = "benchmark"
            each.scope_spans.add().spans.extend(self._spans[first : first + size])
            yield request.SerializeToString()

    def _add_turn(self, agent: bytes, number: int) -> None:
        at, call = 10 + number * _STEP, f"call_{number}"
        turn = self._add("turn", agent, at, _STEP - 10, "CHAIN")
        asked = [_message("user", {"type": "text", "content": f"step {number}"})]
        wanted = {"id": call, "name": "look", "arguments": {"step": number}}
        answered = [_message("assistant", {"type": "tool_call", **wanted})]
        said = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.input.messages": json.dumps(asked),
            "gen_ai.output.messages": json.dumps(answered),
        }
        self._add("chat gpt-4o", turn, at + 1, _STEP // 2, "LLM", said)
        for part in (1, 2):
            done = {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "look",
                "gen_ai.tool.call.id": call,
                "gen_ai.tool.call.result": f"result {number}",
            }
            begin = at + _STEP // 2 + part * _STEP // 8
            self._add("execute_tool look", turn, begin, _STEP // 9, "TOOL", done)

    def _add(
        self,
        name: str,
        parent: bytes,
        at: int,
        lasts: int,
        kind: str,
        attributes: dict[str, str] | None = None,
    ) -> bytes:
        from opentelemetry.proto.trace.v1.trace_pb2 import Span

        span = Span(trace_id=self.trace_id, span_id=os.urandom(8), name=name, kind=1)
        span.parent_span_id = parent
        span.start_time_unix_nano = self._start + at
        span.end_time_unix_nano = self._start + at + lasts
        for key, value in {
            "openinference.span.kind": kind,
            **(attributes or {}),
        }.items():
            span.attributes.add(key=key).value.string_value = value
        self._spans.append(span)
        return bytes(span.span_id)


def _message(role: str, part: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "parts": [part]}


@contextlib.contextmanager
def running(command: Sequence[str], url: str, folder: Path) -> Iterator[None]:
    """Run a server in *folder* until the block ends; it answers when that begins."""
    folder.mkdir()
    home = {"PHOENIX_WORKING_DIR": str(folder), "HUDTRACE_STORE": str(folder / "t.db")}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **_QUIET, **home},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_for(url, process, folder / "log")
        yield
    finally:
        os.killpg(process.pid, 15)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + _PATIENCE
    while time.monotonic() < ends and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.2)
    raise RuntimeError(f"{process.args!r} does not answer at {url}:\n{log.read_text()}")


def _ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def viewers(trace_id: str) -> Iterator[list[Viewer]]:
    """Run all viewers."""
    mine, phoenix, grpc, mlflow = _ports(4)
    at = "http://127.0.0.1"
    programs = {
        name: environment(cache_folder("viewers") / package, [package])
        for name, package in PEERS.items()
    }
    os.environ |= {"PHOENIX_HOST": "127.0.0.1", "PHOENIX_PORT": str(phoenix)}
    os.environ["PHOENIX_GRPC_PORT"] = str(grpc)
    own = [sys.executable, "-m", "hudtrace", "view", "--port", str(mine), "--no-open"]
    own += ["--otlp-http", "off"]
    server = [str(programs["MLflow"] / "mlflow"), "server", "--host", "127.0.0.1"]
    server += ["--port", str(mlflow), "--workers", "1"]
    server += ["--backend-store-uri", "sqlite:///mlflow.db"]
    folder = Path(tempfile.mkdtemp(prefix="viewers-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        for name, command, port in (
            ("hudtrace", own, mine),
            ("Phoenix", [str(programs["Phoenix"] / "phoenix"), "serve"], phoenix),
            ("MLflow", server, mlflow),
        ):
            print(f"starting {name} …", file=sys.stderr)
            stack.enter_context(running(command, f"{at}:{port}/", folder / name))
        yield [
            Viewer(
                "hudtrace",
                f"{at}:{mine}/v1/traces",
                f"{at}:{mine}/trace/{trace_id}?view=timeline",
                row="gpt-4o",
            ),
            Viewer(
                "Phoenix",
                f"{at}:{phoenix}/v1/traces",
                f"{at}:{phoenix}/redirects/traces/{trace_id}",
            ),
            Viewer(
                "MLflow",
                f"{at}:{mlflow}/v1/traces",
                f"{at}:{mlflow}/#/experiments/0/traces"
                f"?selectedEvaluationId=tr-{trace_id}",
                headers={"x-mlflow-experiment-id": "0"},
            ),
        ]


def send(viewer: Viewer, episode: Episode) -> None:
    """Send the spans, all of them."""
    headers = {"content-type": "application/x-protobuf", **viewer.headers}
    for body in episode.requests():
        request = urllib.request.Request(viewer.otlp, body, headers)
        urllib.request.urlopen(request, timeout=_PATIENCE).close()


def look(browser: Browser, viewer: Viewer) -> float:
    """Open the trace and return the seconds to the first frame with a row of it."""
    with _page(browser) as page:
        began = time.time()
        page.goto(viewer.page, wait_until="commit", timeout=_PATIENCE * 1000)
        seen = page.wait_for_function(
            _ROW, arg=viewer.row, polling="raf", timeout=_PATIENCE * 1000
        )
        return float(seen.json_value()) / 1000 - began


def weigh(browser: Browser, viewer: Viewer) -> None:
    """Open the trace and note how many nodes it has, and how much was sent for it."""
    sizes = [0.0]
    with _page(browser) as page:
        page.on("requestfinished", lambda r: sizes.append(sum(r.sizes().values())))
        page.goto(viewer.page, wait_until="commit", timeout=_PATIENCE * 1000)
        row = page.get_by_text(viewer.row, exact=True).first
        row.wait_for(timeout=_PATIENCE * 1000)
        page.wait_for_timeout(2000)
        viewer.nodes = page.evaluate("() => document.querySelectorAll('*').length")
    viewer.size = round(sum(sizes))


@contextlib.contextmanager
def _page(browser: Browser) -> Iterator[Page]:
    """Open a page of a browser that has nothing in its cache."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    try:
        yield context.new_page()
    finally:
        context.close()


def measure(watched: Sequence[Viewer], rounds: int) -> None:
    """Open each viewer's page in turns."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        for viewer in watched:
            weigh(browser, viewer)  # and warm it up
        for number in range(rounds):
            for viewer in watched:
                viewer.seconds.append(look(browser, viewer))
            print(f"\rround {number + 1}/{rounds}", end="", file=sys.stderr)
        browser.close()
    print(file=sys.stderr)


def main(rounds: int = ROUNDS) -> None:
    """Print the table."""
    episode = Episode(SPANS)
    with viewers(episode.trace_id.hex()) as watched:
        for viewer in watched:
            send(viewer, episode)
        time.sleep(20)  # Phoenix writes after it has answered
        measure(watched, rounds)
    ours = watched[0]
    rows = []
    for viewer in watched:
        ratios = [a / b for a, b in zip(ours.seconds, viewer.seconds, strict=True)]
        share = f"; hudtrace/{viewer.name} {statistics.median(ratios):.3f}"
        own = viewer is ours
        rows.append(
            (
                viewer.name,
                f"first row {statistics.median(viewer.seconds):.2f} s, {viewer.nodes} "
                f"nodes, {viewer.size / 1000:.0f} KB{'' if own else share}",
                "< 1500 nodes, < 300 KB" if own else "<= 0.1",
            )
        )
    print_rows(f"An episode of {SPANS} spans in Chromium", rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
