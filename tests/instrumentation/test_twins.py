"""Beside other instrumentors, each model call of an eval is still one span."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from anthropic import Anthropic
from openai import OpenAI

import hudtrace as hud
from hudtrace.testing import ScriptedModel, captured_spans, say, span_tree

pytestmark = [
    pytest.mark.usefixtures("store"),
    pytest.mark.filterwarnings("ignore"),  # theirs
]
OPENAI = {
    "genai": "opentelemetry.instrumentation.genai.openai",
    "OpenInference": "openinference.instrumentation.openai",
    "OpenLLMetry": "opentelemetry.instrumentation.openai",
}
TREE = """\
eval trivia:initials reward=1.0 outcome=scored
├─ setup
├─ invoke_agent agent
│  ├─ turn 1
│  │  └─ chat m
│  └─ turn 2
│     └─ chat m
└─ reward score=1.0"""


@pytest.fixture
def other(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Another instrumentor, switched on for the test."""
    module, name = request.param
    instrumentor = getattr(pytest.importorskip(module), name)()
    instrumentor.instrument(skip_dep_check=True)
    yield instrumentor
    instrumentor.uninstrument()


@pytest.mark.parametrize(
    "other",
    [(module, "OpenAIInstrumentor") for module in OPENAI.values()],
    indirect=True,
)
@pytest.mark.parametrize("stream", [False, True])
async def test_openai(task: hud.Task, other: Any, stream: bool) -> None:
    """Chat Completions and Responses: the tree is what it is without the other."""
    with (
        ScriptedModel([say("JR")] * 2) as model,
        captured_spans() as spans,
        OpenAI(base_url=model.url, api_key="k") as client,
    ):
        async with hud.eval(task) as ctx:
            asked: Any = [{"role": "user", "content": "hi"}]
            chat: Any = client.chat.completions.create(
                model="m", messages=asked, stream=stream
            )
            answer: Any = client.responses.create(model="m", input="hi", stream=stream)
            if stream:
                list(chat)
                list(answer)
            await ctx.submit("JR")
    assert span_tree(spans) == TREE
    assert hud.flush(10)
    report = ctx.result.delivery
    assert report is not None
    assert (report.started, report.stored, report.dropped) == (8, 8, 0)


@pytest.mark.parametrize(
    "other",
    [("openinference.instrumentation.anthropic", "AnthropicInstrumentor")],
    indirect=True,
)
async def test_anthropic(task: hud.Task, other: Any) -> None:
    """The same with Anthropic's client."""
    with (
        ScriptedModel([say("JR")] * 2) as model,
        captured_spans() as spans,
        Anthropic(base_url=model.origin, api_key="k") as client,
    ):
        async with hud.eval(task) as ctx:
            for _ in range(2):
                client.messages.create(
                    model="m",
                    max_tokens=9,
                    messages=[{"role": "user", "content": "hi"}],
                )
            await ctx.submit("JR")
    assert span_tree(spans) == TREE


@pytest.mark.parametrize(
    "other", [(OPENAI["genai"], "OpenAIInstrumentor")], indirect=True
)
async def test_without_our_instrumentation(task: hud.Task, other: Any) -> None:
    """Where we do not trace a client, the other's span is the one that is kept."""
    hud.uninstrument()
    try:
        with (
            ScriptedModel([say("JR")]) as model,
            captured_spans() as spans,
            OpenAI(base_url=model.url, api_key="k") as client,
        ):
            async with hud.eval(task) as ctx:
                client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "hi"}]
                )
                await ctx.submit("JR")
    finally:
        hud.instrument()
    assert [span.name for span in spans].count("chat m") == 1


def test_the_users_own_backend_sees_each_call_once() -> None:
    """With a provider of the user's, his backend has the other's span, and no twin."""
    pytest.importorskip(OPENAI["genai"])
    code = """
import asyncio
from opentelemetry import trace
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

seen = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(seen))
trace.set_tracer_provider(provider)
OpenAIInstrumentor().instrument(skip_dep_check=True)

import hudtrace as hud
from hudtrace.testing import ScriptedModel, captured_spans, say
from openai import OpenAI

env = hud.Environment("e")

@env.scenario("s")
async def s():
    yield "p"
    yield 1.0

async def main():
    hud.configure(store="off", quiet=True)
    with ScriptedModel([say("JR")]) as model, captured_spans() as spans:
        client = OpenAI(base_url=model.url, api_key="k")
        async with hud.eval(s()) as ctx:
            client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "hi"}]
            )
    hud.flush()
    scopes = [
        (s.instrumentation_scope.name.rpartition(".")[2], s.name)
        for s in seen.get_finished_spans()
    ]
    print(sorted(s.name for s in spans))
    print(sorted(scopes))

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    ours, theirs = done.stdout.splitlines()
    tree = ["chat m", "eval e:s", "invoke_agent agent", "reward", "setup", "turn"]
    assert ours == str(tree)
    assert theirs.count("chat m") == 1
    assert "('openai', 'chat m')" in theirs
    assert "('hudtrace', 'turn')" in theirs
