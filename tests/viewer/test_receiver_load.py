"""A million spans over loopback: all of them are there, and memory stays bounded."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from receiver_kit import ids_in
from viewer_kit import HERE, viewing

SENDERS = 4
SPANS = 1_000_000


def peak_memory(pid: int) -> int:
    """Return the most memory that a process has had, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def cpu_seconds(pid: int) -> float:
    """Return how long a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_million_spans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By several connections at once, into `hudtrace view`: each span once."""
    store = tmp_path / "t.db"
    each = SPANS // SENDERS
    with viewing(store) as viewer:
        before = peak_memory(viewer.pid)
        began = time.monotonic()
        command = [sys.executable, str(HERE / "otlp_load.py")]
        senders = [
            subprocess.Popen(
                [*command, f"{viewer.url.rstrip('/')}/v1/traces", str(each), "512"],
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(SENDERS)
        ]
        said = [sender.communicate(timeout=500)[0].split() for sender in senders]
        took = time.monotonic() - began
        assert [sender.returncode for sender in senders] == [0] * SENDERS
        peak, busy = peak_memory(viewer.pid), cpu_seconds(viewer.pid)
    expected = {
        bytes.fromhex(own)
        + (number // 50).to_bytes(8, "big")
        + bytes.fromhex(own)[:4]
        + number.to_bytes(4, "big")
        for own, _ in said
        for number in range(each)
    }
    assert len(expected) == SPANS
    assert ids_in(store) == expected
    with capsys.disabled():
        print(
            f"\n{SPANS} spans in {took:.1f} s, {SPANS / took:,.0f} a second, of which "
            f"the viewer's processor {busy:.1f} s ({SPANS / busy:,.0f} a second); "
            f"memory {before} → {peak} MiB; sent again {sum(int(n) for _, n in said)}"
        )
    assert peak < 700
