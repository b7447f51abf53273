"""The pytest plug-in, in a session of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = """
import hudtrace as hud


@hud.traced_eval
def answer():
    return 42


def test_spans(hud_spans):
    assert answer() == 42
    assert "eval answer" in [span.name for span in hud_spans]


def test_none_of_the_others(hud_spans):
    assert hud_spans == []


def test_store(hud_store, tmp_path):
    assert hud_store.endswith("traces.db")
"""


def test_its_fixtures_keep_spans_out_of_the_users_store(tmp_path: Path) -> None:
    """`hud_spans` has the spans of one test, `hud_store` is the session's own."""
    (tmp_path / "test_it.py").write_text(TESTS)
    own = tmp_path / "own.db"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"],
        cwd=tmp_path,
        env={**os.environ, "HUDTRACE_STORE": str(own)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
    assert not own.exists()
