"""`@hud.traced_eval` on plain functions: sync evals, alone and in jobs."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import pytest

import hudtrace as hud
from hudtrace.sync_eval import SyncEvalContext

pytestmark = [pytest.mark.usefixtures("store"), pytest.mark.timeout(30)]


def test_a_plain_function_bound_to_a_task(env: hud.Environment) -> None:
    """A bound `def` runs in the caller's thread and returns the result."""

    @hud.traced_eval(env("ask"), agent="a")
    def run(ctx: SyncEvalContext, answer: str, *, times: int = 1) -> str:
        """Run."""
        assert threading.current_thread() is threading.main_thread()
        for n in range(times):
            ctx.call_tool("double", n=n)
        ctx.submit(answer)
        return "ignored"

    result = run("right", times=2)
    assert isinstance(result, hud.EvalResult)
    assert (result.reward, result.agent, result.tool_calls) == (1.0, "a", 2)
    assert (run.__name__, run.__doc__) == ("run", "Run.")


def test_errors_of_a_plain_function(env: hud.Environment) -> None:
    """What it raises is raised, or recorded if that was asked for."""

    def run(ctx: SyncEvalContext) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        hud.traced_eval(env("ask"))(run)()
    result = hud.traced_eval(env("ask"), on_error="record")(run)()
    assert result.outcome == "agent_error"


def test_a_coroutine_is_not_left_alone(env: hud.Environment) -> None:
    """A function that returns a coroutine is told to be one."""

    async def agent(ctx: Any) -> None: ...

    def run(ctx: SyncEvalContext) -> Any:
        return agent(ctx)

    with pytest.raises(TypeError, match="make it 'async def run"):
        hud.traced_eval(env("ask"))(run)()


def test_a_job_of_plain_functions(env: hud.Environment) -> None:
    """The bodies of a job run in threads, so many at a time; errors stay theirs."""
    running: list[int] = []
    most: list[int] = []
    threads = set()

    @hud.traced_eval([env("ask", n=n) for n in range(12)], group=2, max_concurrent=4)
    def agent(ctx: SyncEvalContext, answer: str) -> None:
        running.append(1)
        most.append(len(running))
        threads.add(threading.current_thread())
        assert hud.current_eval() is ctx
        ctx.call_tool("nap", seconds=0.01)
        running.pop()
        if ctx.task.args["n"] == 3:
            raise KeyError("mine")
        ctx.submit(answer)

    job = agent("right")
    assert isinstance(job, hud.Job)
    assert len(job.results) == 24
    assert job.outcomes == {"scored": 22, "agent_error": 2}
    assert [r.task.args["n"] for r in job.results if r.task] == [
        n for n in range(12) for _ in range(2)
    ]
    assert len({r.trace_id for r in job.results}) == 24
    assert max(most) == 4
    assert len(threads) == 4
    assert threading.main_thread() not in threads


async def test_a_job_where_a_loop_is_running(env: hud.Environment) -> None:
    """A job of plain functions runs to its end in a notebook, too."""

    @hud.traced_eval(env("ask"), group=3)
    def agent(ctx: SyncEvalContext) -> None:
        ctx.submit("right")

    assert agent().mean == 1.0


def test_ctrl_c_in_a_job(env: hud.Environment) -> None:
    """An interrupt stops the bodies at their next call, and ends the job."""
    started = threading.Semaphore(0)
    results: list[Any] = []

    @hud.traced_eval([env("ask", n=n) for n in range(4)], max_concurrent=2)
    def agent(ctx: SyncEvalContext) -> None:
        started.release()
        try:
            while True:
                time.sleep(0.01)
                ctx.call_tool("nap", seconds=0.5)
        finally:
            results.append(ctx)

    def press() -> None:
        for _ in range(2):
            started.acquire()
        os.kill(os.getpid(), signal.SIGINT)

    pressing = threading.Thread(target=press)
    pressing.start()
    with pytest.raises(KeyboardInterrupt):
        agent()
    pressing.join()
    assert [ctx.result.outcome for ctx in results] == ["cancelled"] * 2
