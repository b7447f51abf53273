"""The hook into the anthropic client: its own tracing, and what it must never do."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import pydantic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import hudtrace as hud
from hudtrace import notices, runtime
from hudtrace.dialects import anthropic_messages
from hudtrace.messages import ModelReply, Usage
from hudtrace.testing import (
    CapturedSpan,
    ScriptedModel,
    ScriptedReply,
    call,
    captured_spans,
    say,
)

OURS = Path(hud.__file__).parent
REQUEST: dict[str, Any] = {
    "model": "scripted-1",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "count"}],
}
STREAM: dict[str, Any] = {**REQUEST, "stream": True}
TEXT = "one two three four five six"

traces_itself = pytest.mark.skipif(
    not hasattr(Anthropic, "open_telemetry"), reason="this client has no tracing"
)


def ask(client: Anthropic) -> Any:
    return client.messages.create(**REQUEST).content[0]


def sent_headers(client: Anthropic) -> dict[str, str]:
    """Return the headers of a request."""
    answer = client.messages.with_raw_response.create(**REQUEST)
    return dict(answer.http_response.request.headers)


def names(spans: list[CapturedSpan]) -> list[str]:
    return [span.name for span in spans if span.kind == "CLIENT"]


@pytest.fixture
def instrumented() -> Iterator[None]:
    """Whatever a test does, the client is instrumented after it."""
    yield
    hud.instrument()


@traces_itself
async def test_its_own_tracing_is_off(
    claude: Anthropic, task: hud.Task, spans: list[CapturedSpan]
) -> None:
    """The client makes no second span, and sends the provider no trace context."""
    async with hud.eval(task):
        assert "traceparent" not in sent_headers(claude)
        claude.messages.count_tokens(model="scripted-1", messages=REQUEST["messages"])
    assert names(spans) == ["chat scripted-1"]


@traces_itself
@pytest.mark.usefixtures("instrumented")
async def test_uninstrument(
    model: ScriptedModel, task: hud.Task, spans: list[CapturedSpan]
) -> None:
    """Undone, the client traces itself again; redone, also one built in between."""
    hud.uninstrument()
    with Anthropic(base_url=model.origin, api_key="x", max_retries=0) as client:
        async with hud.eval(task):
            assert "traceparent" in sent_headers(client)
            assert names(spans) == ["anthropic.messages.create"]
            assert "anthropic" in hud.instrument()
            assert hud.instrument(["anthropic"]) == ["anthropic"]
            assert "traceparent" not in sent_headers(client)
    assert names(spans) == ["anthropic.messages.create", "chat scripted-1"]


@traces_itself
def test_a_provider_of_ones_own(model: ScriptedModel, chat: Any) -> None:
    """A client that was given a tracer provider goes on tracing to that one."""
    theirs = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(theirs))
    options: Any = {"open_telemetry": {"tracer_provider": provider}}
    with Anthropic(base_url=model.origin, api_key="x", **options) as client:
        ask(client)
    assert [s.name for s in theirs.get_finished_spans()] == [
        "anthropic.messages.create"
    ]
    assert chat.said() == TEXT


@pytest.mark.usefixtures("instrumented")
def test_missing_hook(monkeypatch: pytest.MonkeyPatch, store: object) -> None:
    """A client without the method we hook into stays as it is, and we say so."""
    hud.uninstrument()
    before = notices.seen("anthropic-hook")
    with monkeypatch.context() as without:
        without.delattr(anthropic._base_client.AsyncAPIClient, "request")
        assert hud.instrument(["anthropic"]) == []
    assert notices.seen("anthropic-hook") == before + 1


def test_below_another_instrumentor(
    claude: Anthropic, chat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below another's patch of the surface, our span is the one that it was."""
    resource = type(claude.messages)
    create = resource.create

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        with trace.get_tracer("theirs").start_as_current_span("theirs"):
            return create(self, *args, **kwargs)

    monkeypatch.setattr(resource, "create", theirs)
    ask(claude)
    assert chat.span().parent_id is not None
    assert chat.said() == TEXT


def test_messages_changed_after_the_call(claude: Anthropic, chat: Any) -> None:
    """What is stored is what was sent, whatever happens to the list afterwards."""
    block = {"type": "text", "text": "before"}
    messages: Any = [{"role": "user", "content": [block]}]
    claude.messages.create(**{**REQUEST, "messages": messages})
    block["text"] = "after"
    messages.append({"role": "user", "content": "later"})
    assert chat.sent() == ["before"]


def test_messages_from_a_generator(
    claude: Anthropic, model: ScriptedModel, chat: Any
) -> None:
    """Messages given as an iterator reach the model, and the store."""
    messages: Any = ({"role": "user", "content": text} for text in ("a", "b"))
    claude.messages.create(**{**REQUEST, "messages": messages})
    assert [m["content"] for m in model.requests[0]["messages"]] == ["a", "b"]
    assert chat.sent() == ["a", "b"]


def test_system_tools_and_extra_body(claude: Anthropic, chat: Any) -> None:
    """The system prompt is the first message; `extra_body` is the request's too."""
    tool: Any = {"name": "f", "input_schema": {"type": "object"}}
    claude.messages.create(
        **REQUEST, system="be brief", tools=[tool], extra_body={"top_k": 7}
    )
    assert chat.sent() == ["be brief", "count"]
    assert chat.span().attributes["gen_ai.request.top_k"] == 7


def test_answer_that_does_not_parse(claude: Anthropic, chat: Any) -> None:
    """An answer that `parse` refuses was paid for: tokens and text are kept."""
    parse: Any = getattr(claude.messages, "parse", None)
    if parse is None:
        pytest.skip("this client has no parse")

    class Count(pydantic.BaseModel):
        n: int

    with pytest.raises(pydantic.ValidationError):
        parse(**REQUEST, output_format=Count)
    span = chat.span()
    assert span.status == 2
    assert span.attributes["error.type"].endswith("ValidationError")
    assert span.attributes["gen_ai.usage.input_tokens"] == 100
    assert chat.said() == TEXT


def test_the_collector_ends_no_span(claude: Anthropic, chat: Any) -> None:
    """A collected stream's span ends on another thread.

    The collector may run where this one holds the pipeline's own locks.
    """
    ended_by: list[int] = []
    runtime.get_runtime().pipeline.taps.append(
        lambda _: ended_by.append(threading.get_ident())
    )
    events = claude.messages.create(**STREAM)
    next(iter(events))
    del events
    gc.collect()
    assert chat.span().attributes["hud.response.incomplete"] in ("abandoned", "closed")
    assert threading.get_ident() not in ended_by


# In evals ---------------------------------------------------------------------------


async def test_in_an_eval(
    aclaude: AsyncAnthropic,
    env: hud.Environment,
    spans: list[CapturedSpan],
    replies: list[ScriptedReply],
) -> None:
    """A loop of calls and streams is turns of one eval, with their tools and tokens."""
    usage = Usage(100, 20, 60, 0, 5)
    lookup = call(("lookup_ceo", {"company": "HUD"})).but(usage=usage)
    replies[:2] = [lookup, say("JR", usage=usage)]
    messages: list[Any] = []
    async with hud.eval(env("initials", company="HUD")) as ctx:
        inside = otel_context.get_current()
        messages.append({"role": "user", "content": ctx.prompt})
        options: Any = {**REQUEST, "messages": messages}
        answer = await aclaude.messages.create(**options, tools=ctx.as_claude_tools())
        messages.append({"role": "assistant", "content": answer.content})
        uses = [block for block in answer.content if block.type == "tool_use"]
        results = [await ctx.call_tool(use) for use in uses]
        messages.append({"role": "user", "content": results})
        async with aclaude.messages.stream(**options) as stream:
            await ctx.submit(await stream.get_final_text())
        assert otel_context.get_current() is inside
    assert ctx.result.reward == 1.0
    assert ctx.result.usage == usage + usage
    assert [m["role"] for m in ctx.result.messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    turns = [span.span_id for span in spans if span.name == "turn"]
    chats = [span for span in spans if span.name == "chat scripted-1"]
    assert [span.parent_id for span in chats] == turns
    (tool,) = [span for span in spans if span.name == "execute_tool lookup_ceo"]
    assert tool.attributes["hud.turn.index"] == 1


def test_history_is_a_chain(
    claude: Anthropic, stored: Callable[[str], list[Any]], replies: list[ScriptedReply]
) -> None:
    """An answer that is sent back reads as it did, so that it is stored once."""
    replies[0] = call(("f", {"a": 1}), text="let me see").but(reasoning="hm")
    first = claude.messages.create(**REQUEST)
    again = anthropic_messages.read_message(
        {"role": "assistant", "content": [b.to_dict() for b in first.content]}
    )
    (said,) = anthropic_messages.read_response(first).messages
    assert again == said


# Hostile answers ----------------------------------------------------------------


ANSWER = ModelReply(
    [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "text", "content": "let me see"},
                {"type": "tool_call", "id": "t1", "name": "f", "arguments": {"a": 1}},
            ],
        }
    ],
    ["tool_call"],
    id="msg_1",
    model="m",
    usage=Usage(10, 5, 3, 0, 2),
)


ODD: list[Any] = [None, 0, -1, 2.5, True, "", "x", [], {}, [None], {"a": None}]


def mutated(value: Any, chance: random.Random) -> Any:
    """Return *value* with something in it replaced by something odd."""
    if chance.random() < 0.08:
        return chance.choice(ODD)
    if isinstance(value, dict):
        return {key: mutated(child, chance) for key, child in value.items()}
    if isinstance(value, list):
        return [mutated(child, chance) for child in value]
    return value


def our_faults() -> int:
    found = notices._counts.items()
    return sum(count for key, count in found if key.startswith("internal:"))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.filterwarnings("ignore")  # the client's own, of what it did not expect
def test_mutated_answers(
    seed: int, claude: Anthropic, store: object, replies: list[ScriptedReply]
) -> None:
    """Whatever the server sends, what the user gets is the client's own doing."""
    chance = random.Random(seed)
    body = mutated(anthropic_messages.write_response(ANSWER), chance)
    events = [mutated(e, chance) for e in anthropic_messages.write_chunks(ANSWER)]
    replies[0] = say("x").but(raw=json.dumps(body).encode())
    sse = b"\n\n".join(
        b"event: %s\ndata: %s" % (str(_kind(e)).encode(), json.dumps(e).encode())
        for e in events
    )
    replies[1] = say("x").but(raw=b"\n\n" + sse)
    before = our_faults()
    with captured_spans() as caught:
        for surface in (REQUEST, STREAM):
            try:
                answer = claude.messages.create(**surface)
                if surface is STREAM:
                    list(answer)
            except Exception as error:
                raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
                assert not Path(raised_in).is_relative_to(OURS)
        answer = None
        gc.collect()
        for _ in range(200):  # a dropped stream's span ends on another thread
            if len(caught) < 2:
                time.sleep(0.01)
    assert hud.flush(10)
    assert names(caught) == ["chat scripted-1"] * 2
    assert our_faults() == before


def _kind(event: Any) -> Any:
    return event.get("type") if isinstance(event, dict) else None


async def test_many_at_once(aclaude: AsyncAnthropic, spans: list[CapturedSpan]) -> None:
    """Calls that run at the same time do not mix."""
    calls = [aclaude.messages.create(**REQUEST) for _ in range(4)]
    await asyncio.gather(*calls)
    assert names(spans) == ["chat scripted-1"] * 4
