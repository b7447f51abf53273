"""An eval goes on in threads, processes and servers of one's own, in one trace."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError, OpenAI

import hudtrace as hud
from hudtrace.store import queries
from hudtrace.testing import ScriptedModel, say

Stored = Callable[[str], list[queries.StoredSpan]]


def ask(url: str) -> str | None:
    """Ask the model once."""
    with OpenAI(base_url=url, api_key="x") as client:
        answer = client.chat.completions.create(
            model="scripted-1", messages=[{"role": "user", "content": "hi"}]
        )
    return answer.choices[0].message.content


def ask_elsewhere(carrier: Mapping[str, str], url: str, store: str) -> str | None:
    """Ask the model, in a worker of a process pool."""
    hud.configure(store=store, quiet=True)
    with hud.attach(carrier):
        return ask(url)


def ask_in_a_fork(pipe: Any, carrier: Mapping[str, str], url: str, store: str) -> None:
    """Ask the model, in a process that has been forked inside an eval."""
    hud.configure(store=store, quiet=True)
    with hud.attach(carrier):
        answer = ask(url)
    hud.flush()
    pipe.send(answer)


def the_call(spans: list[queries.StoredSpan]) -> tuple[Any, Any]:
    """Return the model call of a trace, and its parent."""
    (call,) = [span for span in spans if span.name.startswith("chat ")]
    (parent,) = [span for span in spans if span.span_id == call.parent_id]
    return call, parent


def run(task: hud.Task, work: Callable[[str], Any]) -> hud.EvalResult:
    """Run an eval whose body gives *work* the URL of a model, in another thread."""

    async def main() -> hud.EvalResult:
        with ScriptedModel(lambda request: say("JR")) as model:
            async with hud.eval(task) as ctx:
                await ctx.submit(await asyncio.to_thread(work, model.url))
        return ctx.result

    return asyncio.run(main())


def test_a_thread_of_ones_own(task: hud.Task, stored: Stored) -> None:
    """A call in a bare thread counts as the agent's: its turn, its usage."""

    def work(url: str) -> Any:
        carrier, answers = hud.propagate(), []

        def body() -> None:
            with hud.attach(carrier):
                assert hud.current_eval() is not None
                answers.append(ask(url))

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        return answers[0]

    result = run(task, work)
    call, parent = the_call(stored(result.trace_id))
    assert parent.name == "turn"
    assert "hud.context" not in call.attributes
    assert (result.turns, result.reward) == (1, 1.0)
    assert result.usage.input_tokens > 0


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_process_pool(
    task: hud.Task, stored: Stored, store: Path, method: str
) -> None:
    """A worker's call lands below the span that was current, and is not lost."""

    def work(url: str) -> Any:
        with concurrent.futures.ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context(method)
        ) as pool:
            place = hud.propagate()
            return pool.submit(ask_elsewhere, place, url, str(store)).result(60)

    result = run(task, work)
    call, parent = the_call(stored(result.trace_id))
    assert parent.name == "invoke_agent agent"
    assert call.attributes["hud.task.id"] == task.id
    assert call.attributes["hud.phase"] == "agent"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_worker(task: hud.Task, stored: Stored, store: Path) -> None:
    """A fork inherits the eval; its call has its parent in the trace all the same."""

    def work(url: str) -> Any:
        fork = multiprocessing.get_context("fork")
        mine, theirs = fork.Pipe()
        where = (theirs, hud.propagate(), url, str(store))
        process = fork.Process(target=ask_in_a_fork, args=where)
        process.start()
        assert mine.poll(60)
        answer = mine.recv()
        process.join()
        return answer

    result = run(task, work)
    call, parent = the_call(stored(result.trace_id))
    assert (parent.name, result.reward) == ("invoke_agent agent", 1.0)
    assert call.attributes["hud.task.id"] == task.id


def test_a_subprocess(task: hud.Task, stored: Stored, store: Path) -> None:
    """A subprocess finds its place in the environment."""
    code = (
        "import sys, hudtrace as hud\nfrom openai import OpenAI\n"
        "hud.configure(quiet=True)\n"
        "with hud.attach():\n"
        "    client = OpenAI(base_url=sys.argv[1], api_key='x')\n"
        "    answer = client.chat.completions.create(model='scripted-1',"
        " messages=[{'role': 'user', 'content': 'hi'}])\n"
        "print(answer.choices[0].message.content)\n"
    )

    def work(url: str) -> Any:
        place = {"HUDTRACE_STORE": str(store), **hud.propagate().environment}
        done = subprocess.run(
            [sys.executable, "-c", code, url],
            env={**os.environ, **place},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.strip()

    result = run(task, work)
    call, parent = the_call(stored(result.trace_id))
    assert (parent.name, result.reward) == ("invoke_agent agent", 1.0)
    assert call.attributes["hud.task.id"] == task.id


def test_a_server_of_ones_own(task: hud.Task, stored: Stored) -> None:
    """A server that attaches a request's headers works in the caller's trace."""
    model_url: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with hud.attach(self.headers):
                body = json.dumps(ask(model_url[0])).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def work(url: str) -> Any:
            model_url.append(url)
            address = f"http://127.0.0.1:{server.server_address[1]}/"
            request = urllib.request.Request(address, headers=hud.propagate())
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read())

        result = run(task, work)
        server.shutdown()
    _, parent = the_call(stored(result.trace_id))
    assert (parent.name, result.reward) == ("turn", 1.0)


def test_nothing_goes_to_a_model_provider(task: hud.Task, store: Path) -> None:
    """A request to a model carries no trace context and nothing of the eval."""
    seen: list[set[str]] = []

    class Provider(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append({name.lower() for name in self.headers})
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(400)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/v1"

        def work(_: str) -> str:
            with pytest.raises(BadRequestError):
                ask(url)
            return "JR"

        run(task, work)
        server.shutdown()
    (names,) = seen
    assert not names & {"traceparent", "tracestate", "baggage", "hudtrace-stamps"}


@pytest.mark.parametrize(
    "carrier",
    [
        {},
        {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        {"traceparent": "nonsense", "hudtrace-stamps": "%7B%7D"},
        {
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "hudtrace-stamps": "%5B",
        },
    ],
)
def test_a_carrier_without_an_eval_changes_nothing(
    carrier: dict[str, str], store: Path
) -> None:
    """Outside an eval a carrier is empty; one that is empty or broken is ignored."""
    assert hud.propagate() == {}
    with hud.attach(carrier), pytest.raises(hud.errors.NoCurrentEval):
        hud.current_eval()
