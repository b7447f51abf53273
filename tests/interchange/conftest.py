"""A store with evals of every kind, made once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RECORDING = Path(__file__).parent.parent / "viewer" / "recording.py"


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The store of `recording.py`, and the ids of what is in it."""
    store = tmp_path_factory.mktemp("recorded") / "traces.db"
    done = subprocess.run(
        [sys.executable, str(RECORDING), "store"],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "HUDTRACE_STORE": str(store)},
    )
    assert done.returncode == 0, done.stderr
    return store, json.loads(done.stdout)
