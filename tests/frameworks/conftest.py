"""What the tests of agent frameworks share; `make frameworks` runs them.

A test module begins with `agents = framework("agents")`: without the package the
module is skipped, except in an environment whose set says that it is there. A test
marked `section(page section, distribution, form)` is a row of the table in
docs/frameworks.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("contract", "page_code")


def pytest_configure(config: pytest.Config) -> None:
    """Know the marker."""
    config.addinivalue_line(
        "markers",
        "section(name, framework, form, result='reward 1.0'): a row of the table",
    )


@pytest.fixture(autouse=True)
def row(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    """Note what the test is about, for the table."""
    marker = request.node.get_closest_marker("section")
    if marker is not None:
        name, framework, form = marker.args
        record_property("section", name)
        record_property("framework", framework)
        record_property("version", version(framework))
        record_property("form", form)
        record_property("result", marker.kwargs.get("result", "reward 1.0"))


@pytest.fixture
def page_names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that the page's first snippet defines, and its variable."""
    from page_code import snippet

    monkeypatch.setenv("HUD_API_KEY", "page-key-123")
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(snippet("The Example Environment"), "page", "exec"), names)
    return names


@pytest.fixture
def run_example(tmp_path: Path) -> Callable[[str], str]:
    """Run an example by its name, offline; return what it prints."""

    def run(name: str) -> str:
        environment = {**os.environ, "HUDTRACE_STORE": str(tmp_path / "t.db")}
        done = subprocess.run(
            [sys.executable, Path(__file__).parents[2] / "examples" / name],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
