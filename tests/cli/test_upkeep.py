"""`doctor`, `store`, `up` and `status`: what is said, and the exit codes."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sqlite3
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import hudtrace as hud
from hudtrace.cli import main
from hudtrace.store.store import VERSION


@pytest.fixture
def filled(store: Path, task: hud.Task, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with two episodes in it, chosen by the environment."""

    async def run() -> None:
        for _ in range(2):
            async with hud.eval(task) as ctx:
                await ctx.submit("JR")

    asyncio.run(run())
    assert hud.flush(10)
    hud.configure(store="off", quiet=True)
    monkeypatch.setenv("HUDTRACE_STORE", str(store))
    return store


def test_doctor_on_a_sound_machine(
    filled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything is named, a mock call makes one span, and the exit code is 0."""
    assert main(["doctor"]) == 0
    shown = capsys.readouterr()
    for client in ("openai", "anthropic", "google.genai"):
        assert re.search(rf"✓ client +{client} .*: 1 span per mock call", shown.out)
    assert f"store = PosixPath('{filled}') (from HUDTRACE_STORE)" in shown.out
    assert "there are: console, jaeger, jsonl, otlp" in shown.out
    assert "all is well" in shown.err


def test_doctor_finds_what_is_wrong(
    filled: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exporter that is away, one that refuses, one that is unknown: exit code 1."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(401)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None: ...

    def findings() -> dict[str, Any]:
        assert main(["doctor", "--json"]) == 1
        found = json.loads(capsys.readouterr().out)
        return next(f for f in found if f["topic"] == "exporter")

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        assert "refuses us: HTTP 401" in findings()["text"]
        server.shutdown()
    assert findings()["text"].endswith("[Errno 111] Connection refused")
    monkeypatch.setenv("HUDTRACE_EXPORTERS", "nothing-like-it")
    assert findings()["text"].startswith("no exporter 'nothing-like-it'")
    assert main(["doctor"]) == 1
    assert "· settings    exporters = ('nothing-like-it',)" in capsys.readouterr().out


def test_store_info_and_check(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`info` counts what there is; `check` finds what is missing."""
    assert main(["store", "info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["episodes"], facts["spans"], facts["version"]) == (2, 8, VERSION)
    assert main(["store", "info"]) == 0
    assert "episodes     2" in capsys.readouterr().out
    assert main(["store", "check"]) == 0
    with closing(sqlite3.connect(filled)) as db:
        db.execute("DELETE FROM sources")
        db.commit()
    assert main(["store", "check"]) == 1
    assert "8 spans without their source" in capsys.readouterr().out


def test_store_gc(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`gc` deletes what is older than it is told to keep."""
    assert main(["store", "gc", "--days", "1"]) == 0
    assert main(["store", "gc", "--days", "0.0000001"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("2 traces deleted")
    assert main(["ls"]) == 0
    assert "no episodes yet" in capsys.readouterr().err


def test_store_migrate(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A store of the first version becomes one of this, with everything in it."""
    with closing(sqlite3.connect(filled)) as db:
        for table in ("destinations", "outbox", "set_aside"):
            db.execute(f"DROP TABLE {table}")
        db.execute("PRAGMA user_version = 1")
    assert main(["store", "info"]) == 0
    assert main(["store", "migrate"]) == 0
    assert f"version was 1 and is now {VERSION}" in capsys.readouterr().out
    assert main(["store", "check"]) == 0
    assert main(["forward", "--list"]) == 0


def test_up_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Docker, `up` names what to install, and what works without it."""
    assert shutil.which("docker", path=str(tmp_path)) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["up"]) == 1
    said = capsys.readouterr().err
    assert "Docker is not installed" in said
    assert "docs.docker.com" in said
    assert "HUDTRACE_EXPORTERS=jaeger" in said
