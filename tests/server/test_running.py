"""`serve_as_agent` and `hudtrace serve`, each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from server_kit import HUD, until

import hudtrace as hud
from hudtrace.cli import main
from hudtrace.errors import ConfigurationError
from hudtrace.store import queries
from hudtrace.store.store import read_only
from hudtrace.testing import ScriptedModel, say, span_tree

HERE = Path(__file__).parent
STREAM = {**HUD, "stream": True, "messages": []}


pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@contextlib.contextmanager
def process(*command: str, store: Path, **variables: str) -> Iterator[Any]:
    """Run a server; give the process, with its address as `url`."""
    environment = {**os.environ, "HUDTRACE_STORE": str(store), **variables}
    with subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=HERE,
        env=environment,
    ) as running:
        try:
            said = running.stdout if "serve" in command else running.stderr
            assert said is not None
            line = said.readline()
            found = re.search(r"http://[\d.]+:\d+", line)
            assert found, line + str(running.stderr and running.stderr.read())
            running.url = found.group()  # type: ignore[attr-defined]
            yield running
        finally:
            if running.poll() is None:
                running.kill()


def trivia(model: ScriptedModel, **options: Any) -> list[str]:
    return ["serving_trivia.py", model.url, "0", json.dumps(options)]


def trees(store: Path) -> list[str]:
    """Draw every episode of a store that no process has open."""
    with contextlib.closing(read_only(store)) as db:
        return [
            span_tree(queries.spans(db, episode.trace_id))
            for episode in queries.episodes(db)
        ]


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_nothing_goes_on(tmp_path: Path, sent: int) -> None:
    """Open sessions are closed, what they said is graded, and everything is written."""
    store = tmp_path / "t.db"
    with ScriptedModel([say("JR")]) as model:
        with process(*trivia(model), store=store) as server:
            begun = httpx.post(
                f"{server.url}/v1/chat/completions", json={**HUD, "messages": []}
            )
            assert begun.status_code == 200
            server.send_signal(sent)
            server.wait(20)
    (tree,) = trees(store)
    assert tree.startswith("eval trivia:initials")
    assert "outcome=abandoned" in tree
    assert "reward score=1.0" in tree


def test_streams_come_to_their_end(tmp_path: Path) -> None:
    """A stream that ends within the grace time is not cut, and what it says is graded."""
    slow = say("one two three four five JR").but(chunk_delay=0.15)
    with ScriptedModel([slow]) as model:
        with process(*trivia(model, grace=10), store=tmp_path / "t.db") as server:
            text = stream(server, model, lambda: server.send_signal(signal.SIGTERM))
            assert server.wait(20) == -signal.SIGTERM
    assert '"content":" JR"' in text
    assert text.endswith("data: [DONE]\n\n")
    (tree,) = trees(tmp_path / "t.db")
    assert "reward score=1.0" in tree


def test_streams_that_take_too_long(tmp_path: Path) -> None:
    """After the grace time a stream gets an error and [DONE]; its trace is closed."""
    endless = say("word " * 500).but(chunk_delay=0.1)
    with ScriptedModel([endless]) as model:
        with process(*trivia(model, grace=0.5), store=tmp_path / "t.db") as server:
            text = stream(server, model, lambda: server.send_signal(signal.SIGTERM))
            assert server.wait(20) == -signal.SIGTERM
    *_, failed, done = filter(None, text.split("\n\n"))
    assert '"code":"server_shutdown"' in failed
    assert done == "data: [DONE]"
    (tree,) = trees(tmp_path / "t.db")
    assert "outcome=abandoned" in tree
    assert "running" not in tree


def test_a_process_that_is_killed(tmp_path: Path) -> None:
    """After kill -9 the session is in the store, interrupted, and nothing is broken."""
    store = tmp_path / "t.db"
    with ScriptedModel([say("JR", delay=30)]) as model:
        with process(*trivia(model), store=store) as server:
            threading.Thread(
                target=stream, args=(server, model, lambda: None), daemon=True
            ).start()
            until(lambda: len(model.requests) == 1)
            until(lambda: seen(store))
            server.kill()
            server.wait(20)
    shown = subprocess.run(
        [sys.executable, "-m", "hudtrace", "ls", "--store", str(store)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "interrupted" in shown.stdout
    assert main(["store", "check", "--store", str(store)]) == 0


@pytest.mark.parametrize("more", [{}, {"stream": True}])
def test_a_process_that_is_killed_at_once(tmp_path: Path, more: Any) -> None:
    """Whose id a client has, that session is in the store, killed as soon as can be."""
    store = tmp_path / "t.db"
    with ScriptedModel([say("JR")]) as model:
        with process(*trivia(model), store=store) as server:
            url = f"{server.url}/v1/chat/completions"
            body = {**HUD, **more, "messages": []}
            with httpx.stream("POST", url, json=body) as answer:
                server.kill()
                trace_id = answer.headers["X-HUD-Trace-Id"]
            server.wait(20)
    with contextlib.closing(read_only(store)) as db:
        (episode,) = queries.episodes(db)
    assert episode.trace_id == trace_id
    (tree,) = trees(store)
    assert tree.startswith("eval trivia:initials")


@pytest.mark.parametrize("more", [{}, {"stream": True}])
def test_a_second_interrupt(tmp_path: Path, more: Any) -> None:
    """It ends the server at once and quietly; what there is is written."""
    endless = say("word " * 500).but(
        **({"chunk_delay": 0.1} if more else {"delay": 50})
    )
    store = tmp_path / "t.db"
    with ScriptedModel([say("JR"), endless]) as model:
        with process(*trivia(model, grace=40), store=store) as server:
            url = f"{server.url}/v1/chat/completions"
            assert httpx.post(url, json={**HUD, "messages": []}).status_code == 200
            going = threading.Thread(
                target=leave_open, args=(url, {**HUD, **more, "messages": []})
            )
            going.start()
            until(lambda: len(model.requests) == 2)
            server.send_signal(signal.SIGINT)
            until(lambda: len(graded(store)) == 1)  # the one where nothing goes on
            server.send_signal(signal.SIGINT)
            said = server.communicate(timeout=20)[1]
            assert server.returncode == -signal.SIGINT
            going.join(20)
    assert "Traceback" not in said
    drawn = trees(store)
    assert len(drawn) == 2
    for tree in drawn:
        assert "outcome=abandoned" in tree


def test_a_second_interrupt_where_a_grader_hangs(tmp_path: Path) -> None:
    """Not even that is waited for, and the session is recorded as cancelled."""
    store = tmp_path / "t.db"
    body = {**HUD, "scenario": "hangs", "messages": []}
    with ScriptedModel([say("JR")]) as model:
        with process(*trivia(model, grace=40), store=store) as server:
            answer = httpx.post(f"{server.url}/v1/chat/completions", json=body)
            assert answer.status_code == 200
            server.send_signal(signal.SIGINT)
            while "grading" not in server.stderr.readline():
                pass
            server.send_signal(signal.SIGINT)
            said = server.communicate(timeout=20)[1]
            assert server.returncode == -signal.SIGINT
    assert "Traceback" not in said
    (tree,) = trees(store)
    assert "outcome=cancelled" in tree


def test_a_public_address_when_asked_for(tmp_path: Path) -> None:
    """`allow_unauthenticated=True` binds it, and any name of the machine will do."""
    options: Any = {"host": "0.0.0.0", "allow_unauthenticated": True}
    with ScriptedModel([]) as model:
        with process(*trivia(model, **options), store=tmp_path / "t.db") as server:
            url = server.url.replace("0.0.0.0", "127.0.0.1")
            answer = httpx.get(f"{url}/scenarios", headers={"host": "evals.lan"})
            assert answer.status_code == 200


def test_the_command(tmp_path: Path) -> None:
    """`hudtrace serve` serves an environment of a module, with a key if one is set."""
    with ScriptedModel([say("JR")]) as model:
        command = ["-m", "hudtrace", "serve", "serving_trivia:env", "--model", "m"]
        command += ["--port", "0", "--base-url", model.url]
        with process(
            *command,
            store=tmp_path / "t.db",
            OPENAI_API_KEY="k",
            HUDTRACE_TOKEN="let-me-in\n",
        ) as server:
            url = f"{server.url}/v1/chat/completions"
            body = {**HUD, "messages": []}
            assert httpx.post(url, json=body).status_code == 401
            headers = {"authorization": "Bearer let-me-in"}
            answer = httpx.post(url, json=body, headers=headers)
            assert answer.json()["choices"][0]["message"]["content"] == "JR"
            server.send_signal(signal.SIGINT)
            assert server.wait(20) == 130


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nothing_there:env"], "cannot import 'nothing_there'"),
        (["json:loads"], "json:loads is no hud.Environment"),
        (["trivia_here:env", "--client", "openai"], "api_key"),
        (["trivia_here:env", "--host", "0.0.0.0", "--base-url=x"], "HUDTRACE_TOKEN"),
        (["trivia_here:env", "--session-ttl", "0"], "session_ttl=0"),
    ],
)
def test_the_command_says_what_is_wrong(
    arguments: list[str],
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line on stderr, and exit code 1."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    if "openai" not in arguments:
        monkeypatch.setenv("OPENAI_API_KEY", "k")
    Path("trivia_here.py").write_text(
        "import hud\nenv = hud.Environment('t')\n"
        "@env.scenario('s')\ndef s():\n    yield 'x'\n    yield 1\n"
    )
    assert main(["serve", *arguments, "--model", "m", "--port", "0"]) == 1
    assert problem in capsys.readouterr().err
    sys.modules.pop("trivia_here", None)


def test_a_port_in_use(env: hud.Environment) -> None:
    """It is said which, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken, ScriptedModel([]) as model:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}: .*another"):
            env.serve_as_agent(client=client_of(model), model="m", port=port)


async def test_inside_a_running_loop(env: hud.Environment) -> None:
    """It would block the loop: it is refused, with the two ways out."""
    with ScriptedModel([]) as model:
        with pytest.raises(RuntimeError, match=r"env\.agent_app"):
            env.serve_as_agent(client=client_of(model), model="m", port=0)


def seen(store: Path) -> bool:
    """Whether a store that is being made has an episode yet."""
    with contextlib.suppress(FileNotFoundError, sqlite3.OperationalError):
        return bool(trees(store))
    return False


def graded(store: Path) -> list[str]:
    """Draw the episodes that have a reward by now."""
    return [tree for tree in trees(store) if "reward score=" in tree]


def leave_open(url: str, body: Any) -> None:
    """Send a message whose answer never comes to its end."""
    with contextlib.suppress(httpx.HTTPError):
        httpx.post(url, json=body, timeout=60)


def client_of(model: ScriptedModel) -> Any:
    import openai

    return openai.AsyncOpenAI(base_url=model.url, api_key="k")


def stream(server: Any, model: ScriptedModel, meanwhile: Any) -> str:
    """Read a stream to its end, and do something when it has begun."""
    url, text = f"{server.url}/v1/chat/completions", ""
    with contextlib.suppress(httpx.HTTPError):
        with httpx.stream("POST", url, json=STREAM, timeout=30) as answer:
            for piece in answer.iter_text():
                if text == "":
                    until(lambda: model.requests)
                    meanwhile()
                text += piece
    return text
