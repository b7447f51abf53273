"""The testing kit: the scripted model is a real server, and as strict as the API."""

from __future__ import annotations

import http.client
import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource

import hudtrace as hud
from hudtrace.comparison import difference, summarize
from hudtrace.result import EvalResult, bucket
from hudtrace.testing import (
    CountingIds,
    ScriptedModel,
    TickingClock,
    call,
    captured_spans,
    error,
    redirect,
    say,
)
from hudtrace.tracing.spans import Tracer

USER: Any = [{"role": "user", "content": "x"}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
    }
]


def test_a_list_of_replies() -> None:
    """Replies come in order; past the end there is an error that says so."""
    with (
        ScriptedModel([say("one"), say("two")]) as model,
        OpenAI(base_url=model.url, api_key="x", max_retries=0) as client,
    ):
        texts = [
            client.chat.completions.create(model="m", messages=USER) for _ in range(2)
        ]
        assert [t.choices[0].message.content for t in texts] == ["one", "two"]
        assert texts[0].model == "scripted-1"
        with pytest.raises(openai.BadRequestError, match="only 2 replies"):
            client.chat.completions.create(model="m", messages=USER)
        assert len(model.requests) == 3


async def test_a_function_of_the_request() -> None:
    """A script may be a function; streams say the same as whole answers."""

    def answer(request: Any) -> Any:
        return say(request["messages"][-1]["content"].upper())

    async with (
        ScriptedModel(answer) as model,
        AsyncOpenAI(base_url=model.url, api_key="x") as client,
    ):
        whole = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "a b  c"}]
        )
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "a b  c"}], stream=True
        )
        pieces = [c.choices[0].delta.content or "" async for c in stream]
    assert whole.choices[0].message.content == "".join(pieces) == "A B  C"
    assert len(pieces) > 3


BAD: list[tuple[str, Any]] = [
    ("model", {"messages": USER}),
    ("not empty", {"model": "m", "messages": []}),
    ("role", {"model": "m", "messages": [{"role": "robot", "content": "x"}]}),
    (
        "must be followed by tool messages",
        {
            "model": "m",
            "messages": [
                *USER,
                {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "c1",
                            "type": "function",
                            "function": {"name": "f", "arguments": "{}"},
                        }
                    ],
                },
                *USER,
            ],
        },
    ),
    (
        "is none",
        {
            "model": "m",
            "messages": [*USER, {"role": "tool", "tool_call_id": "c9", "content": "x"}],
        },
    ),
    (
        "invalid name",
        {
            "model": "m",
            "messages": USER,
            "tools": [{"type": "function", "function": {"name": "bad name!"}}],
        },
    ),
    ("unique", {"model": "m", "messages": USER, "tools": TOOLS * 2}),
    (
        "must be of type",
        {
            "model": "m",
            "messages": USER,
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "f", "parameters": {"type": "string"}},
                }
            ],
        },
    ),
]


@pytest.mark.parametrize(("text", "request_body"), BAD, ids=[b[0] for b in BAD])
def test_wrong_requests_are_refused(text: str, request_body: Any) -> None:
    """The server refuses what the real API refuses, in the API's error form."""
    with ScriptedModel([say("never")]) as model:
        connection = http.client.HTTPConnection("127.0.0.1", model.port)
        connection.request("POST", "/v1/chat/completions", json.dumps(request_body))
        response = connection.getresponse()
        fault = json.loads(response.read())["error"]
        connection.close()
        assert (response.status, fault["type"]) == (400, "invalid_request_error")
        assert text in fault["message"]
        assert not model.requests


def test_faults() -> None:
    """Errors carry their status and Retry-After; other paths are 404."""
    with ScriptedModel([error(429, "slow", retry_after=7)]) as model:
        connection = http.client.HTTPConnection("127.0.0.1", model.port)
        body = json.dumps({"model": "m", "messages": USER})
        connection.request("POST", "/v1/chat/completions", body)
        response = connection.getresponse()
        response.read()
        assert (response.status, response.headers["retry-after"]) == (429, "7")
        connection.request("GET", "/elsewhere")
        assert connection.getresponse().status == 404
        connection.close()


def test_parallel_tool_calls() -> None:
    """Each tool call has an id of its own; broken arguments are sent as they are."""
    with (
        ScriptedModel([call(("f", {"a": 1}), ("f", "{broken"))]) as model,
        OpenAI(base_url=model.url, api_key="x") as client,
    ):
        answer = client.chat.completions.create(model="m", messages=USER, tools=TOOLS)
    calls: Any = answer.choices[0].message.tool_calls
    assert len({c.id for c in calls}) == 2
    assert calls[1].function.arguments == "{broken"
    assert answer.choices[0].finish_reason == "tool_calls"


def test_the_name_says_that_it_is_scripted() -> None:
    """A model that answers from a script cannot pass for a real one."""
    with pytest.raises(ValueError, match="must say that it is scripted"):
        ScriptedModel([], model="gpt-4o")


def test_redirect_moves_one_origin_only() -> None:
    """Requests to the origin go elsewhere, and back to normal afterwards."""
    with ScriptedModel([say("moved")]) as model:
        client = OpenAI(
            base_url="https://gateway.invalid/v1", api_key="x", max_retries=0
        )
        with redirect({"https://gateway.invalid": model.origin}):
            answer = client.chat.completions.create(model="m", messages=USER)
        assert answer.choices[0].message.content == "moved"
        with pytest.raises(openai.APIConnectionError):
            client.chat.completions.create(model="m", messages=USER)
        client.close()


def test_fixed_time_and_ids() -> None:
    """With a clock and ids that count, spans are the same each time."""

    class Sink:
        def started(self, span: Any) -> None: ...
        def ended(self, span: Any) -> None: ...

    tracer = Tracer(Sink(), Resource({}), clock=TickingClock(), ids=CountingIds())
    span = tracer.start("x", Context())
    span.end()
    assert (span.context.trace_id, span.context.span_id) == (1, 1)
    assert span.end_time is not None
    assert span.end_time - span.start_time == 10**9


@pytest.mark.usefixtures("store")
async def test_captured_spans_stop_at_the_block(task: hud.Task) -> None:
    """Spans that end after the block are not in the list."""
    with captured_spans() as spans:
        async with hud.eval(task):
            pass
    count = len(spans)
    async with hud.eval(task):
        pass
    assert len(spans) == count == 4


def result(task: Any, reward: float | None) -> EvalResult:
    """Make a result for a comparison."""
    return EvalResult(reward, "scored", "0", "0", "", task, "x")


def test_comparison_is_paired_and_honest(env: hud.Environment) -> None:
    """Ungraded episodes are left out of the mean and of the pairs."""
    tasks = [env("initials", company=str(n)) for n in range(10)]
    a = [result(t, 0.0) for t in tasks[:9]] + [result(tasks[9], None)]
    b = [result(t, 1.0) for t in tasks]
    summary = summarize("a", a)
    assert (summary.episodes, summary.graded, summary.reward) == (10, 9, 0.0)
    found = difference(a, b)
    assert found is not None
    assert (found.tasks, found.mean, found.clear) == (9, 1.0, True)
    noisy = [result(t, float(n % 2)) for n, t in enumerate(tasks)]
    found = difference(noisy, b[:5] + [result(t, 0.0) for t in tasks[5:]])
    assert found is not None
    assert not found.clear
    assert found.needed is None or found.needed > 10
    assert difference(a[:1], b[:1]) is None


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "none"),
        (0.0, "0"),
        (0.1, "0-0.25"),
        (1.0, "1"),
        (-1.0, "<0"),
        (3.0, ">1"),
    ],
)
def test_buckets(value: float | None, name: str) -> None:
    """A bucket is a short name for a range."""
    assert bucket(value, (0.0, 0.25, 0.5, 0.75, 1.0)) == name
