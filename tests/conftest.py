"""What the tests share: an isolated store, the trivia environment, a runtime."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hudtrace
from hudtrace import runtime
from hudtrace.environment import registry
from hudtrace.store import queries
from hudtrace.tracing.episode import open_episodes

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell's background jobs
    signal.signal(signal.SIGINT, signal.default_int_handler)

_PREFIXES = ("HUDTRACE_", "OTEL_", "OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_")
CEOS = {"hud": "Jay Ram", "openai": "Sam Altman", "anthropic": "Dario Amodei"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine changes what a test sees."""
    for name in list(os.environ):
        if name.startswith(_PREFIXES):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def environments_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that a test defines or imports has its name in that test only."""
    monkeypatch.setattr(registry, "_known", dict(registry._known))


@pytest.fixture(autouse=True)
def no_eval_left_open() -> Iterator[None]:
    """Every test ends its evals."""
    yield
    if len(open_episodes):
        gc.collect()  # slow with every client's modules on the heap
    left = len(open_episodes)
    open_episodes._open.clear()  # the next test is not to blame
    assert left == 0, "an eval was left open"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of the test's own, with everything configured to write to it."""
    path = tmp_path / "traces.db"
    hudtrace.configure(store=path, quiet=True)
    return path


@pytest.fixture
def stored(store: Path) -> Callable[[str], list[queries.StoredSpan]]:
    """Read the spans of a trace back from the store."""

    def read(trace_id: str) -> list[queries.StoredSpan]:
        assert hudtrace.flush(10)
        with runtime.get_runtime().pipeline.reading() as db:
            return queries.spans(db, trace_id)

    return read


@pytest.fixture
def env() -> hudtrace.Environment:
    """A trivia environment like the documented one."""
    env = hudtrace.Environment("trivia")

    @env.tool()
    def lookup_ceo(company: str) -> str:
        """Look up who leads a company."""
        return CEOS.get(company.lower(), "Unknown")

    @env.scenario("initials")
    async def initials(company: str) -> Any:
        answer = yield f"What are the initials of the CEO of {company}?"
        ceo = CEOS.get(company.lower())
        right = "".join(word[0] for word in ceo.split()) if ceo else None
        yield 1.0 if answer and right and right in answer.upper() else 0.0

    return env


@pytest.fixture
def task(env: hudtrace.Environment) -> hudtrace.Task:
    """The documented task."""
    return env("initials", company="HUD")
