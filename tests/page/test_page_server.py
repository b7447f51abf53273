"""The page's server and client run verbatim: two processes, and the port it names."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_code import GATEWAY, PAGE, snippet

from hudtrace.store import queries
from hudtrace.store.store import read_only
from hudtrace.testing import ScriptedModel, call, say, span_tree

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason=f"the page is not at {PAGE}")
PORT = 8321
SERVER, CLIENT = "Server (04_scenario_server.py)", "Client (05_scenario_client.py)"
SCRIPT = [
    call(("lookup", {"what": "value"})),
    say("Looked up."),
    say("Two causes."),
    say("No risks, value."),
]

#: What the page's server finds in the hub; its client sends `{"arg": "value"}`.
HUB = """
import hud

env = hud.Environment("incident")


@env.tool()
def lookup(what: str) -> str:
    return what.upper()


@env.scenario("investigate")
def investigate(arg: str):
    answer = yield f"Investigate {arg}."
    yield 1.0 if arg in answer else 0.0
"""
#: The gateway of the page leads to the scripted model.
RUN = """
import sys
from hudtrace.testing import redirect

with redirect({sys.argv[1]: sys.argv[2]}):
    exec(compile(open(sys.argv[3]).read(), sys.argv[3], "exec"), {"__name__": "page"})
"""


@contextlib.contextmanager
def port() -> Iterator[None]:
    """Have the page's port to ourselves, among all the tests that run here."""
    with (Path(tempfile.gettempdir()) / f"hudtrace-{PORT}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for _ in range(100):
            with contextlib.suppress(OSError):
                socket.create_server(("127.0.0.1", PORT)).close()
                break
            time.sleep(0.1)
        else:
            pytest.skip(f"port {PORT}, which the page names, is in use")
        yield


@contextlib.contextmanager
def page_server(tmp_path: Path, model: ScriptedModel) -> Iterator[None]:
    """Run the page's server, with an environment in the hub."""
    (tmp_path / "incident_hub.py").write_text(HUB)
    (tmp_path / "run.py").write_text(RUN)
    (tmp_path / "server.py").write_text(snippet(SERVER))
    (tmp_path / "pyproject.toml").write_text(
        '[tool.hudtrace.environments]\nincident = "incident_hub:env"\n'
    )
    variables = {
        **os.environ,
        "HUD_ENV_NAME": "incident",
        "HUD_API_KEY": "page-key-123",
        "HUDTRACE_STORE": str(tmp_path / "t.db"),
        "PYTHONPATH": str(tmp_path),
    }
    command = [sys.executable, "run.py", GATEWAY, model.origin, "server.py"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=variables, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stderr is not None
            assert f"127.0.0.1:{PORT}" in server.stderr.readline()
            yield
        finally:
            server.terminate()
            server.wait(30)


def page_client(capsys: pytest.CaptureFixture[str], code: str) -> tuple[Any, list[str]]:
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, "client", "exec"), names)
    names["client"].close()
    return names, capsys.readouterr().out.split()


def test_server_and_client(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Discover, begin, go on in both ways, finish: the reward, and one whole trace."""
    with port(), ScriptedModel(SCRIPT) as model:
        with page_server(tmp_path, model):
            names, (reward, url) = page_client(capsys, snippet(CLIENT))
    assert reward == "1.0"
    assert url == names["result"]["trace_url"]
    answers = [names[n].choices[0].message.content for n in ("first", "follow_up")]
    assert answers == ["Looked up.", "Two causes."]
    assert names["follow_up_alt"].choices[0].message.content == "No risks, value."
    with contextlib.closing(read_only(tmp_path / "t.db")) as db:
        (episode,) = queries.episodes(db)
        assert episode.trace_id == names["result"]["trace_id"]
        tree = span_tree(queries.spans(db, episode.trace_id))
    assert tree.startswith("eval incident:investigate reward=1.0 outcome=scored")
    assert tree.count("chat gpt-4o") == 4


def test_streaming_works_the_same_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the page says: pass `stream=True`; the last chunk has the session."""
    code = snippet(CLIENT).partition("# 3. Follow-up")[0]
    code = code.replace(
        '    model="gpt-4o",\n', '    model="gpt-4o",\n    stream=True,\n'
    )
    code = code.replace('session_id = first.hud["session_id"]', "chunks = list(first)")
    with port(), ScriptedModel(SCRIPT) as model:
        with page_server(tmp_path, model):
            names, _ = page_client(capsys, code)
    text = "".join(c.choices[0].delta.content or "" for c in names["chunks"])
    assert text == "Looked up."
    last = names["chunks"][-1].hud
    assert len(last["session_id"]) == 32
    assert last["trace_id"] in last["trace_url"]
