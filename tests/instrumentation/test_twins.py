"""Beside other instrumentors, each model call of an eval is still one span."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Run in a process of its own, as not all of them can be switched off again.
PROLOGUE = """
import asyncio
from {module} import {name}
{provider}
other = {name}()
{late} or other.instrument(skip_dep_check=True)

import hudtrace as hud
from anthropic import Anthropic
from openai import OpenAI
from hudtrace.testing import ScriptedModel, captured_spans, say, span_tree

hud.configure(store="off", quiet=True, instrument={instrument})
{late} and other.instrument(skip_dep_check=True)
env = hud.Environment("trivia")

@env.scenario("initials")
async def initials():
    answer = yield "p"
    yield float(answer == "JR")

async def run(calls):
    with ScriptedModel([say("JR")] * 4) as model, captured_spans() as spans:
        async with hud.eval(initials()) as ctx:
            calls(model)
            await ctx.submit("JR")
    hud.flush()
    report = ctx.result.delivery
    assert (report.started, report.dropped) == (report.stored, 0)
    return spans

ASK = [{{"role": "user", "content": "hi"}}]

def openai_calls(model):
    with OpenAI(base_url=model.url, api_key="k") as client:
        client.chat.completions.create(model="m", messages=ASK)
        list(client.chat.completions.create(model="m", messages=ASK, stream=True))
        client.responses.create(model="m", input="hi")
        list(client.responses.create(model="m", input="hi", stream=True))

def anthropic_calls(model):
    with Anthropic(base_url=model.origin, api_key="k") as client:
        for stream in (False, True) * 2:
            said = client.messages.create(
                model="m", max_tokens=9, messages=ASK, stream=stream
            )
            if stream:
                list(said)
"""
TREE = """\
eval trivia:initials reward=1.0 outcome=scored
├─ setup
├─ invoke_agent agent
│  ├─ turn 1
│  │  └─ chat m
│  ├─ turn 2
│  │  └─ chat m
│  ├─ turn 3
│  │  └─ chat m
│  └─ turn 4
│     └─ chat m
└─ reward score=1.0
"""
GENAI = "opentelemetry.instrumentation.genai.openai"


def output(
    code: str, module: str, name: str = "OpenAIInstrumentor", **how: object
) -> str:
    """Run *code* beside an instrumentor; return what it prints."""
    pytest.importorskip(module)
    how = {"provider": "", "instrument": True, "late": False, **how}
    script = PROLOGUE.format(module=module, name=name, **how) + code
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "module",
    [
        GENAI,
        "openinference.instrumentation.openai",
        "opentelemetry.instrumentation.openai",
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_openai(module: str, late: bool) -> None:
    """Chat Completions and Responses: the tree is what it is without the other."""
    code = "print(span_tree(asyncio.run(run(openai_calls))))"
    assert output(code, module, late=late) == TREE


@pytest.mark.parametrize("late", [False, True])
def test_anthropic(late: bool) -> None:
    """The same with Anthropic's client."""
    module, name = "openinference.instrumentation.anthropic", "AnthropicInstrumentor"
    code = "print(span_tree(asyncio.run(run(anthropic_calls))))"
    assert output(code, module, name, late=late) == TREE


def test_without_our_instrumentation() -> None:
    """Where we do not trace a client, the other's spans are kept."""
    code = "print([s.name for s in asyncio.run(run(openai_calls))].count('chat m'))"
    assert output(code, GENAI, instrument=False) == "4\n"


def test_the_users_own_backend_sees_each_call_once() -> None:
    """A provider of the user's gets the other's span of a call, and not ours as well."""
    provider = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

seen = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(seen))
trace.set_tracer_provider(provider)
"""
    code = """
print(span_tree(asyncio.run(run(openai_calls))))
spans = seen.get_finished_spans()
print({s.instrumentation_scope.name for s in spans if s.name == "chat m"})
print(sorted(s.name for s in spans))
"""
    printed = output(code, GENAI, provider=provider)
    names = ["chat m"] * 4 + ["eval trivia:initials", "invoke_agent agent", "reward"]
    expected = f"{{'{GENAI}'}}\n{[*names, 'setup', *['turn'] * 4]}\n"
    assert printed == TREE + expected
