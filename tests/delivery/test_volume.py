"""Many spans through an outage or a burst: each is read back from the receiver."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hudtrace as hud
from hudtrace import runtime

Burst = Callable[..., None]
Ids = Callable[[Path], set[bytes]]


@pytest.fixture
def sent_to(tmp_path: Path) -> Callable[[str], Path]:
    """Configure a store whose spans also go to a URL."""
    from hudtrace_exporters.otlp import Otlp

    def configure(url: str) -> Path:
        store = tmp_path / "t.db"
        hud.configure(store=store, exporters=[Otlp(url)], exit_timeout=1.0, quiet=True)
        return store

    return configure


def check(receiver: Any, store: Path, stored_ids: Ids, count: int) -> None:
    """Every span is in the store and at the receiver, and the account says so."""
    assert len(receiver.accepted) == count
    assert set(receiver.accepted) == stored_ids(store)
    report = runtime.get_runtime().pipeline.report()
    assert (report.started, report.stored, report.dropped) == (count, count, 0)
    assert report.exporters["otlp"].exported == count


def test_a_burst_arrives(
    receiver: Any, sent_to: Callable[[str], Path], burst: Burst, stored_ids: Ids
) -> None:
    """100,000 spans as fast as they can be made: all arrive, each once."""
    store = sent_to(receiver.url)
    burst(100_000)
    assert hud.flush(120)
    check(receiver, store, stored_ids, 100_000)
    assert max(receiver.accepted.values()) == 1


@pytest.mark.slow
def test_a_steady_stream_arrives(
    receiver: Any, sent_to: Callable[[str], Path], burst: Burst, stored_ids: Ids
) -> None:
    """20,000 spans a second for ten seconds: all arrive."""
    store = sent_to(receiver.url)
    began = time.monotonic()
    for tick in range(1000):
        burst(200)
        time.sleep(max(0.0, began + tick / 100 - time.monotonic()))
    assert hud.flush(120)
    check(receiver, store, stored_ids, 200_000)


@pytest.mark.slow
def test_twenty_seconds_without_a_backend(
    receivers: Callable[..., Any],
    port: int,
    sent_to: Callable[[str], Path],
    burst: Burst,
    stored_ids: Ids,
) -> None:
    """The backend is away for twenty seconds of work: all arrives when it is back."""
    store = sent_to(f"http://127.0.0.1:{port}")
    for _ in range(200):
        burst(50)
        time.sleep(0.1)
    assert not hud.flush(0.5)
    receiver = receivers(port)
    assert hud.flush(60)
    check(receiver, store, stored_ids, 10_000)


@pytest.mark.slow
def test_killed_again_and_again(
    tmp_path: Path,
    receiver: Any,
    start_child: Callable[..., subprocess.Popen[str]],
    stored_ids: Ids,
) -> None:
    """Processes killed while they send: what is in the store has arrived in the end."""
    store = tmp_path / "t.db"
    code = "print('go', flush=True)\nwhile True: burst(300); time.sleep(0.02)"
    for seconds in (0.8, 1.3, 2.1):
        child = start_child(code, store, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(seconds)
        child.kill()
        child.wait()
    last = start_child(
        "burst(1); print(hud.flush(60))",
        store,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
    )
    out, err = last.communicate(timeout=90)
    assert out == "True\n", err
    assert stored_ids(store) <= set(receiver.accepted)
    assert len(receiver.accepted) > 5000
