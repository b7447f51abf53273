"""Beside the spans that an agent framework makes itself, each call is one span."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from opentelemetry import trace

import hudtrace as hud
from hudtrace.store import queries
from hudtrace.testing import ScriptedModel, call, captured_spans, say, span_tree

Stored = Callable[[str], list[queries.StoredSpan]]
pytestmark = pytest.mark.usefixtures("store")

TREE = """\
eval trivia:initials reward=1.0 outcome=scored
├─ setup
├─ invoke_agent agent
│  └─ invoke_agent helper
│     ├─ chat scripted-1
│     ├─ execute_tool lookup_ceo
│     └─ chat scripted-1
└─ reward score=1.0"""


@contextmanager
def theirs(name: str, operation: str | None = None, **late: Any) -> Iterator[Any]:
    """Make a span as a framework does: some attributes come after its start."""
    tracer = trace.get_tracer("some.framework")
    said = {} if operation is None else {"gen_ai.operation.name": operation}
    with tracer.start_as_current_span(name, attributes=said) as span:
        span.set_attributes(late)
        yield span


async def ask(model: ScriptedModel) -> Any:
    """Call the model once."""
    async with AsyncOpenAI(base_url=model.url, api_key="k") as client:
        answer = await client.chat.completions.create(
            model=model.model, messages=[{"role": "user", "content": "hi"}]
        )
    return answer.choices[0].message


async def episode(task: hud.Task, body: Any) -> tuple[Any, list[Any]]:
    """Run an eval whose agent is a framework's."""
    script = [call(("lookup_ceo", {"company": "HUD"})), say("JR")]
    with ScriptedModel(script) as model, captured_spans() as spans:
        async with hud.eval(task) as ctx:
            with theirs("invoke_agent helper", "invoke_agent"):
                await body(ctx, model)
            await ctx.submit("JR")
    return ctx, spans


async def test_calls_and_tools(task: hud.Task, stored: Stored) -> None:
    """A framework's spans of a model call and of a tool are not there twice."""

    async def body(ctx: hud.EvalContext, model: ScriptedModel) -> None:
        with theirs("chat scripted-1", "chat"):
            message = await ask(model)
        with theirs("execute_tool lookup_ceo", **{"gen_ai.tool.name": "lookup_ceo"}):
            await ctx.call_tool(message.tool_calls[0])
        with theirs("chat scripted-1", "chat"):
            await ask(model)

    ctx, spans = await episode(task, body)
    assert span_tree(spans) == TREE
    assert span_tree(stored(ctx.trace_id)) == TREE
    report = ctx.result.delivery
    assert (report.started, report.dropped) == (report.stored, 0)


async def test_a_tool_inside_the_span_of_its_call(task: hud.Task) -> None:
    """As in ADK 1.x, where the tools run below the call that asked for them."""

    async def body(ctx: hud.EvalContext, model: ScriptedModel) -> None:
        with theirs("call_llm"):
            message = await ask(model)
            with theirs("execute_tool lookup_ceo"):
                await ctx.call_tool(message.tool_calls[0])
            with theirs("transfer"):
                pass
        with theirs("call_llm"):
            await ask(model)

    _, spans = await episode(task, body)
    place = "│     ├─ execute_tool lookup_ceo\n"
    assert span_tree(spans) == TREE.replace(place, f"{place}│     ├─ transfer\n")


async def test_what_the_framework_does_itself(task: hud.Task, stored: Stored) -> None:
    """Calls that we do not see, and tools of the framework's own, are recorded."""

    async def body(ctx: hud.EvalContext, model: ScriptedModel) -> None:
        with theirs("chat elsewhere", "chat"):
            pass
        with theirs("execute_tool calculator", "execute_tool"):
            await ctx.call_tool("lookup_ceo", company="HUD")

    ctx, spans = await episode(task, body)
    tree = span_tree(spans)
    assert "chat elsewhere" in tree
    assert "execute_tool calculator\n│        └─ execute_tool lookup_ceo" in tree
    assert len(stored(ctx.trace_id)) == len(spans)
    report = ctx.result.delivery
    assert (report.started, report.dropped) == (report.stored, 0)


async def test_a_user_s_span_of_that_name(task: hud.Task) -> None:
    """A span that only sounds like a model call stays."""

    async def body(ctx: hud.EvalContext, model: ScriptedModel) -> None:
        with theirs("chat with the customer"):
            await ask(model)

    _, spans = await episode(task, body)
    assert "chat with the customer\n│        └─ chat scripted-1" in span_tree(spans)


async def test_telemetry(task: hud.Task) -> None:
    """What CrewAI notes for its makers is no part of the eval."""

    async def body(ctx: hud.EvalContext, model: ScriptedModel) -> None:
        with trace.get_tracer("crewai.telemetry").start_as_current_span("Tool Usage"):
            pass

    _, spans = await episode(task, body)
    assert "Tool Usage" not in span_tree(spans)


#: Of a process of its own, as a global provider is there for good.
PROVIDER = """
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

theirs = InMemorySpanExporter()
provider = TracerProvider(resource=Resource.create({"service.name": "SERVICE"}))
provider.add_span_processor(SimpleSpanProcessor(theirs))
trace.set_tracer_provider(provider)

import hudtrace as hud

hud.configure(store="off", quiet=True)

@hud.traced_eval
def check():
    with trace.get_tracer("users").start_as_current_span("step"):
        pass

check()
hud.flush()
names = [span.name for span in theirs.get_finished_spans()]
print(any(name.startswith("eval ") for name in names), "step" in names)
"""


@pytest.mark.parametrize(
    ("service", "printed"),
    [("shop", "True True"), ("crewAI-telemetry", "False True")],
)
def test_a_provider_that_phones_home(service: str, printed: str) -> None:
    """A user's global provider gets our spans; that of CrewAI's telemetry does not."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROVIDER.replace("SERVICE", service)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == printed, done.stderr


@pytest.mark.parametrize(
    ("scope", "inside"), [("gcp.vertex.agent", True), ("a.job", False)]
)
async def test_an_agent_in_a_thread_of_its_own(
    task: hud.Task, scope: str, inside: bool
) -> None:
    """A framework's agent without context is the one open eval's; other work is not."""

    def work(model: ScriptedModel) -> None:
        with (
            trace.get_tracer(scope).start_as_current_span("invocation"),
            OpenAI(base_url=model.url, api_key="k") as client,
        ):
            client.chat.completions.create(
                model=model.model, messages=[{"role": "user", "content": "hi"}]
            )

    with ScriptedModel([say("JR")]) as model, captured_spans() as spans:
        async with hud.eval(task) as ctx:
            thread = threading.Thread(target=work, args=(model,))
            contextvars.Context().run(thread.start)
            await asyncio.to_thread(thread.join)
            await ctx.submit("JR")
    (chat,) = [span for span in spans if span.name.startswith("chat ")]
    assert (chat.trace_id == ctx.trace_id) is inside
    assert ("│  └─ chat scripted-1 context=inferred" in span_tree(spans)) is inside
