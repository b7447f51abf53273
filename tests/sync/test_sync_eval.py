"""`with hud.eval(task) as ctx`: the same eval in sync code."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from openai import OpenAI

import hudtrace as hud
from hudtrace.errors import EvalFinished, EvalNotFinished, NoCurrentEval
from hudtrace.store import queries
from hudtrace.sync_eval import SyncEvalContext
from hudtrace.testing import ScriptedModel, call, captured_spans, say, span_tree

Stored = Callable[[str], list[queries.StoredSpan]]
pytestmark = [pytest.mark.usefixtures("store"), pytest.mark.timeout(30)]


@contextmanager
def interrupted(after: float) -> Iterator[None]:
    """Press Ctrl-C after a while, and expect it to arrive soon."""
    timer = threading.Timer(after, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        timer.join()
    assert time.monotonic() - began < after + 5


def test_everything_returns_its_value(env: hud.Environment) -> None:
    """What is awaited in async code returns its value in sync code."""
    with hud.eval(env("ask", n=3)) as ctx:
        assert isinstance(ctx, SyncEvalContext)
        assert hud.current_eval() is ctx
        assert ctx.prompt == "Go on with 3."
        assert ctx.task.args == {"n": 3}
        assert str(ctx.call_tool("double", n=2)) == "4"
        assert ctx.tools["double"](n=3) == 6
        chat = {"id": "c", "function": {"name": "double", "arguments": '{"n": 4}'}}
        two = ctx.call_tools([{"type": "function", **chat}] * 2)
        assert two == [{"role": "tool", "tool_call_id": "c", "content": "8"}] * 2
        assert str(ctx.call_tool("broken")) == "the tool failed with KeyError"
        with pytest.raises(KeyError, match="inside"):
            ctx.tools["broken"]()
        ctx.state["seen"] = True
        ctx.log(loss=0.5)
        assert [record.name for record in ctx.tool_calls][:2] == ["double", "double"]
        with pytest.raises(EvalNotFinished):
            _ = ctx.result
        ctx.submit("right")
        assert ctx.answer == "right"
    assert (ctx.reward, ctx.result.outcome) == (1.0, "scored")
    assert ctx.has_result
    with pytest.raises(NoCurrentEval):
        hud.current_eval()
    with pytest.raises(EvalFinished):
        ctx.call_tool("double", n=1)
    with pytest.raises(EvalFinished):
        ctx.submit("late")


def test_it_is_one_trace(env: hud.Environment, stored: Stored) -> None:
    """Model calls of sync clients and tools are where an async agent's would be."""
    script = [call(("double", {"n": 2})), say("right"), say("aside")]
    with ScriptedModel(script) as model, captured_spans() as spans:
        client = OpenAI(base_url=model.url, api_key="none")
        with hud.eval(env("ask")) as ctx:
            messages: list[Any] = [{"role": "user", "content": ctx.prompt}]
            for _ in range(2):
                reply = client.chat.completions.create(
                    model=model.model,
                    messages=messages,
                    tools=ctx.as_openai_chat_tools(),
                )
                message = reply.choices[0].message
                messages.append(message)
                messages += [ctx.call_tool(c) for c in message.tool_calls or ()]
            with ctx.turn():
                client.chat.completions.create(model=model.model, messages=messages)
            ctx.submit(message.content)
        client.close()
    assert span_tree(spans).splitlines() == [
        "eval bridges:ask reward=1.0 outcome=scored",
        "├─ setup",
        "├─ invoke_agent agent",
        "│  ├─ turn 1",
        f"│  │  ├─ chat {model.model}",
        "│  │  └─ execute_tool double",
        "│  ├─ turn 2",
        f"│  │  └─ chat {model.model}",
        "│  └─ turn 3",
        f"│     └─ chat {model.model}",
        "└─ reward score=1.0",
    ]
    assert (ctx.result.turns, ctx.result.tool_calls) == (3, 1)
    assert len(stored(ctx.trace_id)) == len(spans)


async def test_where_a_loop_is_running(env: hud.Environment) -> None:
    """It works in a thread whose event loop is running, as in a notebook."""
    with hud.eval(env("ask")) as ctx:
        assert hud.current_eval() is ctx
        assert str(ctx.call_tool("where")).startswith("hudtrace-loop")
        ctx.submit("right")
    assert ctx.reward == 1.0


def test_evals_in_tools_and_graders(env: hud.Environment) -> None:
    """A sync eval inside a tool, a scenario or an async grader does not hang."""
    inner: list[str] = []

    def ask() -> float | None:
        with hud.eval(env("ask")) as ctx:
            ctx.call_tool("where")
            ctx.call_tool("double", n=1)
            ctx.submit("right")
        inner.append(ctx.trace_id)
        return ctx.reward

    @env.tool
    def expert() -> float | None:
        return ask()

    @env.tool
    async def blocking_expert() -> float | None:
        return ask()

    @env.scenario("nested")
    async def nested() -> Any:
        ask()
        yield "Go on."
        yield ask()

    with hud.eval(env("nested")) as ctx:
        assert ctx.tools["expert"]() == ctx.tools["blocking_expert"]() == 1.0
    assert ctx.reward == 1.0
    assert len(set(inner)) == 4
    assert ctx.result.tool_calls == 2


def test_errors_are_those_of_the_async_form(env: hud.Environment) -> None:
    """Errors of the body, the set-up and the grader are raised or recorded alike."""
    with pytest.raises(KeyError, match="mine"):
        with hud.eval(env("ask")) as ctx:
            raise KeyError("mine")
    assert (ctx.result.outcome, ctx.reward) == ("agent_error", None)

    with hud.eval(env("ask"), on_error="record") as ctx:
        raise KeyError("mine")
    assert isinstance(ctx.result.error, KeyError)

    with pytest.raises(KeyError):
        with hud.eval(env("ask"), grade_on_error=True) as ctx:
            ctx.submit("right")
            raise KeyError("mine")
    assert (ctx.result.outcome, ctx.reward) == ("agent_error", 1.0)

    with pytest.raises(ZeroDivisionError, match="in the grader"):
        with hud.eval(env("wrong")) as ctx:
            ctx.submit("x")
    assert ctx.result.outcome == "grader_error"

    broken = hud.eval(env("no-start"))
    with pytest.raises(ZeroDivisionError, match="in the set-up"):
        broken.__enter__()
    assert broken.result.outcome == "environment_error"

    with pytest.raises(hud.EnvironmentFailure):
        with hud.eval(env("ask")) as ctx:
            ctx.call_tool("ruined")
    assert ctx.result.outcome == "environment_error"


def test_finish_grades_early(env: hud.Environment) -> None:
    """`ctx.finish()` returns the result, again and again."""
    with hud.eval(env("ask")) as ctx:
        ctx.submit("right")
        result = ctx.finish()
        assert result is ctx.finish() is ctx.result
    with pytest.raises(ZeroDivisionError):
        with hud.eval(env("wrong")) as ctx:
            ctx.finish()


async def test_an_eval_is_entered_once(env: hud.Environment) -> None:
    """Entering again is refused, in whatever form."""
    once = hud.eval(env("ask"))
    with once:
        pass
    with pytest.raises(EvalFinished):
        once.__enter__()
    with pytest.raises(EvalFinished):
        await once.__aenter__()


@pytest.mark.parametrize("tool", ["nap", "drowse"])
def test_a_time_limit_stops_a_waiting_body(env: hud.Environment, tool: str) -> None:
    """At the time limit a tool call that the body waits for is given up."""
    began = time.monotonic()
    with hud.eval(env("ask"), limits=hud.Limits(time=0.2)) as ctx:
        ctx.submit("right")
        ctx.call_tool(tool, seconds=3)
        raise AssertionError("not stopped")
    assert time.monotonic() - began < 2
    assert (ctx.result.stopped_by, ctx.reward) == ("time", 1.0)


def test_a_time_limit_stops_a_busy_body(env: hud.Environment) -> None:
    """A body that is busy itself is stopped at its next call; that does not count."""
    for late in ("submit", "call", "turn"):
        with hud.eval(env("ask"), limits=hud.Limits(time=0.05)) as ctx:
            time.sleep(0.1)
            if late == "submit":
                ctx.submit("right")
            elif late == "call":
                ctx.call_tool("double", n=1)
            else:
                with ctx.turn():
                    pass
            raise AssertionError("not stopped")
        assert (ctx.result.stopped_by, ctx.result.outcome) == ("time", "no_answer")


def test_a_limit_of_tool_calls(env: hud.Environment) -> None:
    """Other limits stop the body where it would pass them; it is graded."""
    with hud.eval(env("ask"), limits=hud.Limits(tool_calls=2)) as ctx:
        ctx.submit("right")
        ctx.call_tools([{"name": "nap", "arguments": {"seconds": 0.01}}] * 3)
        raise AssertionError("not stopped")
    assert (ctx.result.stopped_by, ctx.reward) == ("tool_calls", 1.0)
    assert ctx.result.tool_calls == 2


def test_ctrl_c_in_the_body(env: hud.Environment) -> None:
    """An interrupt in the body closes the eval as cancelled, and is passed on."""
    with interrupted(0.1):
        with hud.eval(env("ask")) as ctx:
            time.sleep(20)
    assert ctx.result.outcome == "cancelled"


@pytest.mark.parametrize("tool", ["nap", "drowse"])
def test_ctrl_c_in_a_tool(env: hud.Environment, tool: str) -> None:
    """An interrupt while a tool runs gives it up."""
    with captured_spans() as spans, interrupted(0.1):
        with hud.eval(env("ask")) as ctx:
            ctx.call_tool(tool, seconds=3)
    assert ctx.result.outcome == "cancelled"
    (span,) = [s for s in spans if s.name == f"execute_tool {tool}"]
    assert span.attributes["error.type"] == "cancelled"


def test_ctrl_c_in_set_up_and_grading(env: hud.Environment) -> None:
    """An interrupt while the scenario works cancels it and closes the eval."""
    run = hud.eval(env("slow", start=20))
    with interrupted(0.1):
        run.__enter__()
    assert run.result.outcome == "cancelled"
    with interrupted(0.1):
        with hud.eval(env("slow", grade=20)) as ctx:
            ctx.submit("x")
    assert ctx.result.outcome == "cancelled"


def test_what_the_caller_set_is_seen(env: hud.Environment) -> None:
    """Tools see the caller's contextvars, and what they set stays with them."""
    import contextvars

    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="none")

    @env.tool
    async def look() -> str:
        seen = var.get()
        var.set("changed")
        return seen

    var.set("mine")
    with hud.eval(env("ask")) as ctx:
        assert ctx.tools["look"]() == "mine"
    assert var.get() == "mine"


async def test_agent_tools_of_a_sync_eval(env: hud.Environment) -> None:
    """Framework tools of a sync eval work in sync and in async code."""
    with hud.eval(env("ask")) as ctx:
        (tool,) = [t for t in ctx._agent_tools() if t.name == "where"]
        names = {tool.run_sync({}).text, (await tool.run({})).text}
        names |= {(await asyncio.to_thread(tool.run_sync, {})).text}
    assert names == {"hudtrace-loop"}
