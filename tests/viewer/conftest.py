"""A store with evals of every kind, made once, and viewers of stores."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from viewer_kit import HERE, Served, python


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The store of `recording.py`, and the ids of what is in it."""
    store = tmp_path_factory.mktemp("recorded") / "traces.db"
    with python(store, str(HERE / "recording.py"), "store") as running:
        out, err = running.communicate(timeout=100)
    assert running.returncode == 0, err
    return store, json.loads(out)


@pytest.fixture(scope="session")
def ids(recorded: tuple[Path, dict[str, str]]) -> dict[str, str]:
    """What is in the store, by name."""
    return recorded[1]


@pytest.fixture(scope="module")
def viewer(recorded: tuple[Path, dict[str, str]]) -> Iterator[Served]:
    """A viewer of the recorded store."""
    with Served(recorded[0]) as served:
        yield served


@pytest.fixture
def view() -> Iterator[Callable[..., Served]]:
    """Serve a store: `view(path, **options)`; stopped at the end."""
    with contextlib.ExitStack() as stack:

        def serve(store: Path, **options: Any) -> Served:
            return stack.enter_context(Served(store, **options))

        yield serve


@pytest.fixture(scope="session")
def demo_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of `hudtrace demo`."""
    store = tmp_path_factory.mktemp("demo") / "traces.db"
    with python(store, "-m", "hudtrace.cli", "demo") as running:
        _, err = running.communicate(timeout=100)
    assert running.returncode == 0, err
    return store
