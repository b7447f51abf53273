"""An environment whose tools care for where they run."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

import hudtrace as hud


@pytest.fixture
def env() -> hud.Environment:
    """An environment with tools of every kind, and scenarios that go wrong."""
    env = hud.Environment("bridges")

    @env.tool
    async def where() -> str:
        """Say which thread's loop this runs on."""
        await asyncio.sleep(0)
        return threading.current_thread().name

    @env.tool
    def double(n: int) -> int:
        """Double a number."""
        return 2 * n

    @env.tool
    async def broken() -> None:
        """Fail."""
        raise KeyError("inside")

    @env.tool
    async def ruined() -> None:
        """End the episode."""
        raise hud.EnvironmentFailure("no disk")

    @env.tool
    async def nap(seconds: float) -> str:
        """Sleep."""
        await asyncio.sleep(seconds)
        return "slept"

    @env.tool
    def drowse(seconds: float) -> str:
        """Sleep in a thread."""
        time.sleep(seconds)
        return "slept"

    @env.tool(parallel=False)
    async def alone(seconds: float = 0.0) -> int:
        """Count how many run at the same time."""
        state = hud.current_eval().state
        state["now"] = state.get("now", 0) + 1
        state["most"] = max(state.get("most", 0), state["now"])
        await asyncio.sleep(seconds)
        state["now"] -= 1
        return int(state["most"])

    @env.scenario("ask")
    async def ask(n: int = 0) -> Any:
        answer = yield f"Go on with {n}."
        yield 1.0 if answer == "right" else 0.0

    @env.scenario("wrong")
    async def wrong() -> Any:
        yield "Go on."
        raise ZeroDivisionError("in the grader")

    @env.scenario("no-start")
    async def no_start() -> Any:
        raise ZeroDivisionError("in the set-up")
        yield

    @env.scenario("slow")
    async def slow(start: float = 0.0, grade: float = 0.0) -> Any:
        await asyncio.sleep(start)
        answer = yield "Go on."
        await asyncio.sleep(grade)
        yield 1.0 if answer else 0.0

    return env
