"""Forwarding: an outage delays, a refusal is set aside, nothing is lost unsaid."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import hudtrace as hud
from hudtrace import runtime
from hudtrace.cli import main
from hudtrace.errors import ConfigurationError, UnknownBackend
from hudtrace.store import outbox
from hudtrace.store.store import read_only

Burst = Callable[..., None]
Ids = Callable[[Path], set[bytes]]


def evaluate(task: hud.Task) -> hud.EvalResult:
    """Run an eval with one tool call."""

    async def run() -> hud.EvalResult:
        async with hud.eval(task) as ctx:
            await ctx.call_tool("lookup_ceo", company="HUD")
            await ctx.submit("JR")
        return ctx.result

    return asyncio.run(run())


def exporter_of(result: hud.EvalResult) -> Any:
    """Return the account of the only exporter."""
    assert result.delivery is not None
    (count,) = result.delivery.exporters.values()
    return count


@pytest.fixture
def sent_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Configure a store whose spans also go to a URL; short timeouts."""

    def configure(url: str, **variables: str) -> Path:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        store = tmp_path / "t.db"
        hud.configure(store=store, exit_timeout=1.0, quiet=True)
        return store

    return configure


@pytest.mark.parametrize("content", [None, "none"])
def test_otlp_export(
    tmp_path: Path,
    receiver: Any,
    task: hud.Task,
    content: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An endpoint in the environment gets every span too, and the account says so."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    hud.configure(store=tmp_path / "t.db", content=content, quiet=True)
    result = evaluate(task)
    assert hud.flush(10)
    assert set(receiver.names) == {
        "eval trivia:initials",
        "setup",
        "invoke_agent agent",
        "execute_tool lookup_ceo",
        "reward",
    }
    assert exporter_of(result).exported == 5
    assert result.delivery is not None
    assert result.delivery.complete
    sent = b"".join(receiver.raw)
    assert (b"Jay Ram" in sent) is (content is None)
    stored = (tmp_path / "t.db-wal").read_bytes() + (tmp_path / "t.db").read_bytes()
    assert (b"Jay Ram" in stored) is (content is None)


def test_only_metadata_leaves_the_machine(
    tmp_path: Path, receiver: Any, task: hud.Task, capfd: pytest.CaptureFixture[str]
) -> None:
    """Content stays out of what goes elsewhere, is kept here, and a line says so."""
    from hudtrace_exporters.otlp import Otlp

    class Elsewhere(Otlp):
        """Stands for another machine, since tests talk to this one only."""

        local = False

    store = tmp_path / "t.db"
    hud.configure(store=store, exporters=[Elsewhere(receiver.url)], quiet=True)
    evaluate(task)
    assert hud.flush(10)
    assert len(receiver.accepted) == 5
    assert b"Jay Ram" not in b"".join(receiver.raw)
    assert b"Jay Ram" in store.read_bytes() + Path(f"{store}-wal").read_bytes()
    assert "only metadata goes to otlp at" in capfd.readouterr().err


@pytest.mark.parametrize(
    "fault",
    [
        503,
        500,
        429,
        (429, 0),
        (503, "Wed, 21 Oct 2015 07:28:00 GMT"),
        "reset",
        "silence",
        ("late", 0.5),
    ],
    ids=str,
)
def test_a_fault_only_delays(
    receiver: Any, sent_to: Callable[..., Path], task: hud.Task, fault: Any
) -> None:
    """Whatever goes wrong on the way, every span arrives in the end."""
    sent_to(receiver.url)
    receiver.script = [fault, fault]
    result = evaluate(task)
    assert hud.flush(20)
    assert len(receiver.accepted) == 5
    assert exporter_of(result).exported == 5
    assert receiver.requests >= (2 if fault == ("late", 0.5) else 3) - 1


def test_retry_after_is_kept(
    receiver: Any, sent_to: Callable[..., Path], burst: Burst
) -> None:
    """A backend that asks for two seconds is not asked again before them."""
    sent_to(receiver.url)
    receiver.script = [(429, 2)]
    began = time.monotonic()
    burst(1)
    assert hud.flush(20)
    assert time.monotonic() - began >= 2


def test_an_outage_of_the_backend(
    receivers: Callable[..., Any],
    port: int,
    sent_to: Callable[..., Path],
    task: hud.Task,
) -> None:
    """While nobody listens, spans wait and the account says so; then they arrive."""
    sent_to(f"http://127.0.0.1:{port}")
    result = evaluate(task)
    assert not hud.flush(0.5)
    assert exporter_of(result).waiting == 5
    assert result.delivery is not None
    assert not result.delivery.complete
    receiver = receivers(port)
    assert hud.flush(20)
    assert len(receiver.accepted) == 5
    assert result.delivery is not None
    assert result.delivery.complete


def test_what_is_too_large_goes_in_parts(
    receiver: Any, sent_to: Callable[..., Path], burst: Burst, stored_ids: Ids
) -> None:
    """A backend's limit splits requests; a span that is too large alone is set aside."""
    store = sent_to(receiver.url)
    receiver.judge = lambda request, body: 413 if len(body) > 40_000 else None
    burst(200, text="x" * 1000)
    burst(1, "giant", text="x" * 100_000)
    burst(10)
    assert not hud.flush(20)
    assert len(receiver.accepted) == 210
    assert "giant" not in receiver.names
    assert len(stored_ids(store)) == 211
    count = runtime.get_runtime().pipeline.report().exporters["otlp"]
    assert (count.exported, count.waiting, count.set_aside) == (210, 0, 1)
    with closing(read_only(store)) as db:
        (left,) = outbox.backlog(db)
    assert left.reasons == ["1 × HTTP 413: Request Entity Too Large"]


def test_one_bad_span_does_not_stop_the_rest(
    receiver: Any, sent_to: Callable[..., Path], burst: Burst
) -> None:
    """What a backend refuses with 400 is found and set aside, alone."""
    sent_to(receiver.url)
    receiver.judge = lambda request, body: 400 if b"poison" in body else None
    burst(50)
    burst(1, "poison")
    burst(50)
    assert not hud.flush(20)
    assert receiver.names == {"burst": 100}
    count = runtime.get_runtime().pipeline.report().exporters["otlp"]
    assert (count.exported, count.waiting, count.set_aside) == (100, 0, 1)


def test_partial_success_is_counted(
    receiver: Any, sent_to: Callable[..., Path], burst: Burst
) -> None:
    """Spans that a backend says it has rejected are not called exported."""
    sent_to(receiver.url)
    receiver.script = [("partial", 3)]
    burst(10)
    assert not hud.flush(20)
    count = runtime.get_runtime().pipeline.report().exporters["otlp"]
    assert (count.exported, count.waiting, count.set_aside) == (7, 0, 3)


def test_wrong_credentials_give_nothing_up(
    receiver: Any,
    sent_to: Callable[..., Path],
    burst: Burst,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A 401 sets nothing aside: the spans wait until they are let in."""
    sent_to(receiver.url)
    receiver.judge = lambda request, body: 401
    burst(3)
    assert not hud.flush(1)
    count = runtime.get_runtime().pipeline.report().exporters["otlp"]
    assert (count.waiting, count.set_aside) == (3, 0)
    assert "does not let spans in: HTTP 401" in capfd.readouterr().err
    receiver.judge = None
    assert hud.flush(20)


def test_compression_and_headers_are_those_of_the_environment(
    receiver: Any, sent_to: Callable[..., Path], burst: Burst
) -> None:
    """`OTEL_EXPORTER_OTLP_COMPRESSION` is honoured."""
    sent_to(receiver.url, OTEL_EXPORTER_OTLP_COMPRESSION="gzip")
    burst(3)
    assert hud.flush(20)
    assert receiver.encodings == {"gzip"}
    assert len(receiver.accepted) == 3


def test_only_what_is_configured_gets_spans(
    tmp_path: Path, receivers: Callable[..., Any], burst: Burst
) -> None:
    """Spans from before, or for another destination, go to no new one."""
    from hudtrace_exporters.otlp import Otlp

    store, first, second = tmp_path / "t.db", receivers(), receivers()
    hud.configure(store=store, quiet=True)
    burst(5, "nobody")
    hud.configure(store=store, exporters=[Otlp(first.url)], quiet=True)
    burst(5, "first")
    assert hud.flush(20)
    hud.configure(store=store, exporters=[Otlp(second.url)], quiet=True)
    burst(5, "second")
    assert hud.flush(20)
    assert (first.names, second.names) == ({"first": 5}, {"second": 5})


def test_other_headers_are_another_destination(
    tmp_path: Path, port: int, receivers: Callable[..., Any], burst: Burst
) -> None:
    """What waits for one account is not sent to another at the same address."""
    from hudtrace_exporters.otlp import Otlp

    url, store = f"http://127.0.0.1:{port}", tmp_path / "t.db"
    for account in ("a", "b"):
        backend = Otlp(url, headers={"x-account": account})
        hud.configure(store=store, exporters=[backend], exit_timeout=0.1, quiet=True)
        burst(2, account)
        assert not hud.flush(0.3)
    receiver = receivers(port)
    assert hud.flush(20)
    assert receiver.names == {"b": 2}


def test_several_exporters_at_once(
    tmp_path: Path, receiver: Any, grpc_receiver: Any, task: hud.Task
) -> None:
    """Each exporter gets every span, over HTTP and over gRPC."""
    from hudtrace_exporters.jaeger import Jaeger
    from hudtrace_exporters.otlp import Otlp

    grpc = Jaeger(grpc_receiver.url, protocol="grpc", headers={"x-key": "abc"})
    backends = [Otlp(receiver.url), grpc]
    hud.configure(store=tmp_path / "t.db", exporters=backends, quiet=True)
    result = evaluate(task)
    assert hud.flush(20)
    assert set(receiver.accepted) == set(grpc_receiver.accepted)
    assert len(receiver.accepted) == 5
    assert grpc_receiver.metadata["x-key"] == "abc"
    assert result.trace_url.startswith("http://localhost:16686/trace/")


def test_grpc_faults_and_its_message_limit(
    tmp_path: Path, grpc_receiver: Any, burst: Burst
) -> None:
    """Over gRPC: faults delay, large spans go apart, one beyond the limit is set aside."""
    import grpc
    from hudtrace_exporters.otlp import Otlp

    grpc_receiver.failures = [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    ]
    backend = Otlp(grpc_receiver.url, protocol="grpc")
    hud.configure(store=tmp_path / "t.db", exporters=[backend], quiet=True)
    burst(6, text="x" * 1_000_000)
    burst(1, "giant", text="x" * 30_000_000)
    burst(10)
    assert not hud.flush(60)
    assert len(grpc_receiver.accepted) == 16
    count = runtime.get_runtime().pipeline.report().exporters["otlp"]
    assert (count.exported, count.waiting, count.set_aside) == (16, 0, 1)


def test_messages_are_sent_inline(
    tmp_path: Path, receiver: Any, env: hud.Environment
) -> None:
    """A model call's conversation, stored by reference, is sent whole."""
    from hudtrace_exporters.otlp import Otlp
    from openai import OpenAI

    from hudtrace.testing import ScriptedModel, say

    hud.configure(store=tmp_path / "t.db", exporters=[Otlp(receiver.url)], quiet=True)
    with ScriptedModel([say("Grüß dich")]) as model:
        with OpenAI(base_url=model.url, api_key="x") as client:
            client.chat.completions.create(
                model="scripted-1", messages=[{"role": "user", "content": "Hi there"}]
            )
    assert hud.flush(20)
    sent = b"".join(receiver.raw).decode("utf-8", "replace")
    assert '[{"role":"user","parts":[{"type":"text","content":"Hi there"}]}]' in sent
    assert "Grüß dich" in sent


def test_memory_mode_exports_too(receiver: Any, burst: Burst) -> None:
    """Without a store, the same pipeline sends from memory."""
    from hudtrace_exporters.otlp import Otlp

    hud.configure(store="off", exporters=[Otlp(receiver.url)], quiet=True)
    burst(3000)
    assert hud.flush(20)
    assert len(receiver.accepted) == 3000


# Processes -----------------------------------------------------------------------


def test_killed_in_an_outage_then_forwarded(
    tmp_path: Path,
    port: int,
    receivers: Callable[..., Any],
    start_child: Callable[..., subprocess.Popen[str]],
    stored_ids: Ids,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`hudtrace forward` sends what a killed process could not, every span of it."""
    store, url = tmp_path / "t.db", f"http://127.0.0.1:{port}"
    child = start_child(
        "burst(500); hud.flush(1.5); print('ready', flush=True); time.sleep(60)",
        store,
        OTEL_EXPORTER_OTLP_ENDPOINT=url,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    monkeypatch.setenv("HUDTRACE_STORE", str(store))
    assert main(["forward", "--timeout", "1"]) == 1
    assert "500 waiting" in capsys.readouterr().out
    receiver = receivers(port)
    assert main(["forward"]) == 0
    assert "500 spans sent" in capsys.readouterr().out
    assert set(receiver.accepted) == stored_ids(store)
    assert max(receiver.accepted.values()) == 1


def test_the_next_process_sends_what_the_last_left(
    tmp_path: Path,
    port: int,
    receivers: Callable[..., Any],
    start_child: Callable[..., subprocess.Popen[str]],
) -> None:
    """A process that ends in an outage says so in time; the next one sends."""
    store, url = tmp_path / "t.db", f"http://127.0.0.1:{port}"
    began = time.monotonic()
    first = start_child("burst(20)", store, OTEL_EXPORTER_OTLP_ENDPOINT=url)
    _, err = first.communicate(timeout=30)
    assert time.monotonic() - began < 15
    assert first.returncode == 0
    assert "20 spans are not sent to otlp at" in err
    receiver = receivers(port)
    second = start_child("burst(1)", store, OTEL_EXPORTER_OTLP_ENDPOINT=url)
    assert second.wait(30) == 0
    assert len(receiver.accepted) == 21


def test_processes_share_a_store_and_a_destination(
    tmp_path: Path,
    receiver: Any,
    start_child: Callable[..., subprocess.Popen[str]],
    stored_ids: Ids,
) -> None:
    """Four processes at once: each says that its spans have arrived, and they have."""
    store = tmp_path / "t.db"
    code = """
        for _ in range(5):
            burst(400)
            time.sleep(0.1)
        print(hud.flush(60), runtime.get_runtime().pipeline.report().exporters)
    """
    children = [
        start_child(code, store, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
        for _ in range(4)
    ]
    for child in children:
        out, err = child.communicate(timeout=90)
        assert child.returncode == 0, err
        assert out.startswith("True"), out + err
        assert "exported=2000" in out
    assert len(receiver.accepted) == 8000
    assert set(receiver.accepted) == stored_ids(store)


def test_a_fork_sends_its_own(
    tmp_path: Path,
    receiver: Any,
    start_child: Callable[..., subprocess.Popen[str]],
) -> None:
    """After a fork, parent and child each send what is theirs, once."""
    code = """
        import warnings; warnings.simplefilter("ignore")
        burst(5, "parent")
        hud.flush(10)
        if (pid := os.fork()) == 0:
            burst(3, "child")
            os._exit(0 if hud.flush(10) else 1)
        _, status = os.waitpid(pid, 0)
        burst(2, "parent")
        print(status, hud.flush(10))
    """
    child = start_child(
        code, tmp_path / "t.db", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url
    )
    out, err = child.communicate(timeout=60)
    assert out == "0 True\n", err
    assert receiver.names == {"parent": 7, "child": 3}


def test_forward_older_traces_to_a_new_backend(
    store: Path,
    receiver: Any,
    burst: Burst,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`forward --to NAME --since` sends what was never meant for it; `--list` lists."""
    burst(7)
    assert hud.flush(10)
    monkeypatch.setenv("HUDTRACE_STORE", str(store))
    assert main(["forward"]) == 1
    assert "no exporter is configured" in capsys.readouterr().err
    monkeypatch.setenv(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{receiver.url}/v1/traces"
    )
    assert main(["forward", "--since", "1h"]) == 1
    assert "--since needs --to" in capsys.readouterr().err
    assert main(["forward", "--to", "otlp", "--since", "yesterday"]) == 1
    assert main(["forward", "--to", "otlp", "--since", "1h"]) == 0
    assert receiver.names == {"burst": 7}
    receiver.judge = lambda request, body: 400
    assert main(["forward", "--to", "otlp", "--since", "1h"]) == 1
    capsys.readouterr()
    assert main(["forward", "--list"]) == 0
    assert "HTTP 400" in capsys.readouterr().out
    receiver.judge = None
    assert main(["forward", "--again"]) == 0
    assert receiver.names == {"burst": 14}


def test_a_dead_exporter_does_not_hold_the_exit(
    tmp_path: Path, start_child: Callable[..., subprocess.Popen[str]], receiver: Any
) -> None:
    """A backend that never answers keeps a process for `exit_timeout` at most."""
    receiver.judge = lambda request, body: "silence"
    code = "hud.configure(quiet=True, exit_timeout=1.0); burst(10)"
    began = time.monotonic()
    child = start_child(
        code, tmp_path / "t.db", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url
    )
    _, err = child.communicate(timeout=60)
    assert child.returncode == 0
    assert time.monotonic() - began < 12
    assert "10 spans are not sent" in err


# Finding backends ----------------------------------------------------------------


def test_an_unknown_exporter_lists_those_there_are(tmp_path: Path) -> None:
    """The error names every exporter that is installed."""
    with pytest.raises(UnknownBackend, match="'yaeger'; there are: console, jaeger"):
        hud.configure(store=tmp_path / "t.db", exporters=["yaeger"], quiet=True)
    with pytest.raises(ConfigurationError, match="configured twice"):
        hud.configure(exporters=["otlp", "otlp"], quiet=True)
    with pytest.raises(ConfigurationError, match="a name or a hudtrace Backend"):
        hud.configure(exporters=[3], quiet=True)  # type: ignore[list-item]


def test_a_plug_in_of_somebody_else(tmp_path: Path) -> None:
    """An installed distribution with an entry point adds a backend by name."""
    site = tmp_path / "site"
    info = site / "theirs-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(
        "[hudtrace.exporters]\ntheirs = theirs:Theirs\n"
    )
    (site / "theirs.py").write_text(
        "from hudtrace.backends import Adaptation, Backend, Receipt\n"
        "class Theirs(Backend):\n"
        "    name = 'theirs'\n"
        "    local = True\n"
        "    def open(self): return self\n"
        "    def adapt(self, span): return Adaptation(attributes={'their.key': span.name})\n"
        "    def trace_url(self): return 'https://theirs.test/{trace_id}'\n"
        "    def send(self, parcel, timeout=None):\n"
        "        print('got', parcel.spans, b'their.key' in parcel.request, flush=True)\n"
        "        return Receipt()\n"
        "    def close(self): pass\n"
    )
    code = (
        "import hudtrace as hud\nfrom hudtrace import runtime\n"
        "from opentelemetry.context import Context\n"
        "hud.configure(exporters=['theirs'])\n"
        "runtime.get_runtime().tracer.start('x', Context()).end()\n"
        "print(hud.flush(10), runtime.get_runtime().trace_url('ab', 'cd'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": str(site),
            "HUDTRACE_STORE": str(tmp_path / "t"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "got 1 True\nTrue https://theirs.test/ab\n"
    assert "and to theirs" in done.stderr


def test_json_lines(tmp_path: Path, task: hud.Task) -> None:
    """The jsonl exporter writes OTLP JSON: hex ids, a request a line, for its owner."""
    import json

    from hudtrace_exporters.jsonl import JsonLines

    file = tmp_path / "out" / "traces.jsonl"
    hud.configure(store=tmp_path / "t.db", exporters=[JsonLines(file)], quiet=True)
    result = evaluate(task)
    assert hud.flush(10)
    spans = [
        span
        for line in file.read_text("utf-8").splitlines()
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    assert {span["traceId"] for span in spans} == {result.trace_id}
    (root,) = [span for span in spans if not span.get("parentSpanId")]
    assert root["spanId"] == result.span_id
    assert isinstance(root["kind"], int)
    if os.name == "posix":
        assert file.stat().st_mode & 0o777 == 0o600


def test_console(
    tmp_path: Path, task: hud.Task, capfd: pytest.CaptureFixture[str]
) -> None:
    """The console exporter prints a trace as a tree, on stderr."""
    hud.configure(store=tmp_path / "t.db", exporters=["console"], quiet=True)
    result = evaluate(task)
    assert hud.flush(10)
    shown = capfd.readouterr()
    assert shown.out == ""
    lines = [
        line.split("  ")[0] if line[0] != " " else line
        for line in shown.err.splitlines()
    ]
    assert lines[0] == f"trace {result.trace_id}"
    assert lines[1].startswith("  eval trivia:initials  ")
    assert lines[2].startswith("    setup")
    assert any(line.startswith("      execute_tool lookup_ceo") for line in lines)
