"""What other instrumentors record is read: their own spans, made here or recorded."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hudtrace import semconv
from hudtrace.store.decode import DecodedEvent
from hudtrace.testing import ScriptedModel, call, say
from hudtrace.transcript import foreign

RECORDED = Path(__file__).parent / "recorded"
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PARAMETERS = {"type": "object", "properties": {"x": {"type": "string"}}}
TOOL = {"name": "look", "description": "d", "parameters": PARAMETERS}


_CALL_ID = re.compile(r"(call|toolu)_[0-9]+_0")


def said(attributes: Any, events: Any = ()) -> list[str]:
    """Return the messages of a span as lines, the model's own marked."""
    found = foreign.messages_of(attributes, events)
    assert found is not None
    given, answered, _ = found
    lines = [f"{m['role']}: {_parts(m)}" for m in given]
    lines += [f"*{m['role']}: {_parts(m)}" for m in answered]
    return [_CALL_ID.sub("ID", line) for line in lines]


def _parts(message: Any) -> str:
    shown = []
    for part in message["parts"]:
        if part["type"] == "tool_call":
            shown.append(
                f"{part['id']}={part['name']}({json.dumps(part['arguments'])})"
            )
        elif part["type"] == "tool_call_response":
            shown.append(f"{part['id']} -> {part['response']}")
        elif part["type"] == "text":
            shown.append(part["content"])
        else:
            shown.append(f"[{part['type']} {part.get('uri', '')[:20]}]")
    return " + ".join(shown)


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Where the spans of an instrumentor go."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    """A provider of the test's own."""
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    """A model that looks something up, twice."""
    once = [call(("look", {"x": "a"}), text="I look."), say("done")]
    with ScriptedModel([*once, *once]) as served:
        yield served


def chat(model: ScriptedModel) -> None:
    """Have two calls of Chat Completions, with an image and a tool's result."""
    import openai

    with openai.OpenAI(base_url=model.url, api_key="k", max_retries=0) as client:
        image = {"type": "image_url", "image_url": {"url": PIXEL}}
        hi = {"role": "user", "content": [{"type": "text", "text": "hi"}, image]}
        messages: list[Any] = [{"role": "system", "content": "Be brief."}, hi]
        tools: Any = [{"type": "function", "function": TOOL}]
        create = client.chat.completions.create
        reply = create(model="scripted-1", messages=messages, tools=tools).choices[0]
        messages.append(reply.message.model_dump(exclude_none=True))
        (asked,) = reply.message.tool_calls or ()
        result = {"role": "tool", "tool_call_id": asked.id, "content": "res"}
        create(model="scripted-1", messages=[*messages, result], tools=tools)


def respond(model: ScriptedModel) -> None:
    """Have two calls of the Responses API."""
    import openai

    with openai.OpenAI(base_url=model.url, api_key="k", max_retries=0) as client:
        items: list[Any] = [{"role": "user", "content": "hi"}]
        options: Any = {
            "model": "scripted-1",
            "instructions": "Be brief.",
            "tools": [{"type": "function", **TOOL}],
        }
        reply = client.responses.create(input=items, **options)
        items += [item.model_dump(exclude_none=True) for item in reply.output]
        answers = items[-1]["call_id"]
        result = {"type": "function_call_output", "call_id": answers, "output": "res"}
        client.responses.create(input=[*items, result], **options)


class TestOpenInference:
    """openinference-instrumentation-openai and -anthropic."""

    @pytest.fixture(autouse=True)
    def instrumented(self, provider: TracerProvider) -> Iterator[None]:
        """Instrument the client for the test."""
        module = pytest.importorskip("openinference.instrumentation.openai")
        instrumentor = module.OpenAIInstrumentor()
        instrumentor.instrument(tracer_provider=provider)
        yield
        instrumentor.uninstrument()

    def test_chat(self, model: ScriptedModel, exporter: InMemorySpanExporter) -> None:
        """Messages, images, tool calls and results are read from numbered attributes."""
        chat(model)
        first, second = exporter.get_finished_spans()
        assert all(foreign.is_call(span.attributes or {}) for span in (first, second))
        assert said(first.attributes) == [
            "system: Be brief.",
            "user: hi + [uri data:image/png;base6]",
            '*assistant: I look. + ID=look({"x": "a"})',
        ]
        assert said(second.attributes)[2:] == [
            'assistant: I look. + ID=look({"x": "a"})',
            "tool: ID -> res",
            "*assistant: done",
        ]
        found = foreign.messages_of(first.attributes or {}, ())
        assert found is not None
        assert found[2][0]["function"]["name"] == "look"

    def test_responses(
        self, model: ScriptedModel, exporter: InMemorySpanExporter
    ) -> None:
        """Instructions and items are messages."""
        respond(model)
        _, second = exporter.get_finished_spans()
        assert said(second.attributes) == [
            "system: Be brief.",
            "user: hi",
            "assistant: I look.",
            'assistant: ID=look({"x": "a"})',
            "tool: ID -> res",
            "*assistant: done",
        ]

    def test_anthropic(
        self,
        model: ScriptedModel,
        provider: TracerProvider,
        exporter: InMemorySpanExporter,
    ) -> None:
        """Blocks of Anthropic's are parts, and a tool call is there once."""
        import anthropic

        module = pytest.importorskip("openinference.instrumentation.anthropic")
        instrumentor = module.AnthropicInstrumentor()
        instrumentor.instrument(tracer_provider=provider)
        try:
            with anthropic.Anthropic(base_url=model.origin, api_key="k") as client:
                client.messages.create(
                    model="scripted-1",
                    max_tokens=10,
                    system="Be brief.",
                    messages=[{"role": "user", "content": "hi"}],
                    tools=[{"name": "look", "input_schema": PARAMETERS}],  # type: ignore[list-item]
                )
        finally:
            instrumentor.uninstrument()
        span = exporter.get_finished_spans()[-1]
        lines = said(span.attributes)
        assert lines[:2] == ["system: Be brief.", "user: hi"]
        assert lines[2].count("look(") == 1
        assert "I look." in lines[2]


class TestOpenLLMetry:
    """opentelemetry-instrumentation-openai, as it is and as it was."""

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_today(
        self,
        model: ScriptedModel,
        provider: TracerProvider,
        exporter: InMemorySpanExporter,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The version that is installed writes the conventions' JSON."""
        monkeypatch.setenv("TRACELOOP_TRACE_CONTENT", "true")
        module = pytest.importorskip("opentelemetry.instrumentation.openai")
        instrumentor = module.OpenAIInstrumentor()
        instrumentor.instrument(tracer_provider=provider)
        try:
            respond(model)
        finally:
            instrumentor.uninstrument()
        _, second = exporter.get_finished_spans()
        lines = said(second.attributes)
        assert lines[:3] == ["system: Be brief.", "user: hi", "assistant: I look."]
        assert lines[-1] == "*assistant: done"

    def test_before(self) -> None:
        """Older versions number their attributes."""
        first, second = recorded("openllmetry_0_40.json")
        assert said(second) == [
            "system: sys",
            "user: hi",
            'assistant: let me see + ID=look({"x": "a"})',
            "tool: ID -> res a",
            "*assistant: done",
        ]
        assert said(first)[-1] == ('*assistant: let me see + ID=look({"x": "a"})')
        found = foreign.messages_of(first, ())
        assert found is not None
        assert found[2][0]["name"] == "look"
        assert foreign.is_call(first)


def test_genai_instrumentation(
    model: ScriptedModel,
    provider: TracerProvider,
    exporter: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OpenTelemetry's own instrumentor: messages, and instructions beside them."""
    monkeypatch.setitem(
        os.environ, "OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental"
    )
    monkeypatch.setitem(
        os.environ, "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "span_only"
    )
    module = pytest.importorskip("opentelemetry.instrumentation.genai.openai")
    instrumentor = module.OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        chat(model)
        respond(model)
    finally:
        instrumentor.uninstrument()
    spans = exporter.get_finished_spans()
    assert said(spans[1].attributes) == [
        "system: Be brief.",
        "user: hi + [blob ]",
        'assistant: ID=look({"x": "a"}) + I look.',
        "tool: ID -> res",
        "*assistant: done",
    ]
    assert said(spans[3].attributes)[0] == "system: Be brief."


def recorded(name: str) -> list[Any]:
    """Return the attributes of recorded spans that are model calls."""
    spans = json.loads((RECORDED / name).read_text("utf-8"))
    every = [span["attributes"] for span in spans]
    return [attributes for attributes in every if foreign.is_call(attributes)]


def test_vercel() -> None:
    """The AI SDK of Vercel: the inner spans are the calls, with tools and results."""
    first, second = recorded("vercel_ai_6.json")
    assert said(first) == [
        "system: be good",
        "user: hi",
        '*assistant: let me see + ID=look({"x": "a"})',
    ]
    assert said(second) == [
        "system: be good",
        "user: hi",
        'assistant: let me see + ID=look({"x": "a"})',
        "tool: ID -> res a",
        "*assistant: done",
    ]
    tools = json.loads((RECORDED / "vercel_ai_6.json").read_text("utf-8"))
    found = [foreign.tool_of(span["attributes"]) for span in tools]
    (tool,) = [each for each in found if each is not None]
    assert (tool.name, tool.arguments, tool.result) == ("look", {"x": "a"}, "res a")
    assert foreign.model_of(first) == "scripted-1"
    found_tools = foreign.messages_of(first, ())
    assert found_tools is not None
    assert found_tools[2][0]["name"] == "look"


def test_pydantic_ai() -> None:
    """Pydantic AI: arguments that are text are read, results are where calls are."""
    _, second = recorded("pydantic_ai_2_68.json")
    assert said(second) == [
        "system: be good",
        "user: hi",
        'assistant: let me see + ID=look({"x": "a"})',
        "user: ID -> res a",
        "*assistant: done",
    ]


def test_logfire() -> None:
    """Logfire's own instrumentation of the client."""
    _, second = recorded("logfire_5_4.json")
    assert said(second)[0] == "system: sys"
    assert said(second)[-1] == "*assistant: done"


def test_logfire_before() -> None:
    """Older Logfire has the request and the response as they were."""
    asked = {"id": "c", "function": {"name": "look", "arguments": '{"x":1}'}}
    attributes = {
        "request_data": json.dumps(
            {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        ),
        "response_data": json.dumps(
            {"message": {"role": "assistant", "content": None, "tool_calls": [asked]}}
        ),
    }
    assert foreign.is_call(attributes)
    assert said(attributes) == ["user: hi", '*assistant: c=look({"x": 1})']


def test_pydantic_ai_before() -> None:
    """Older Pydantic AI has a list of events in an attribute."""
    events = [
        {"event.name": "gen_ai.system.message", "content": "be good"},
        {"event.name": "gen_ai.user.message", "content": "hi", "role": "user"},
        {
            "event.name": "gen_ai.tool.message",
            "role": "tool",
            "id": "c",
            "content": "res",
        },
        {
            "event.name": "gen_ai.choice",
            "index": 0,
            "message": {"role": "assistant", "content": "done"},
        },
    ]
    attributes = {"events": json.dumps(events), semconv.OPERATION: "chat"}
    assert said(attributes) == [
        "system: be good",
        "user: hi",
        "tool: c -> res",
        "*assistant: done",
    ]


def test_events_of_the_conventions() -> None:
    """Events of a span: one for each message, one for all, or the prompt as JSON."""

    def event(name: str, **attributes: Any) -> DecodedEvent:
        known = {key.replace("__", "."): value for key, value in attributes.items()}
        return DecodedEvent(name, 0, known)

    single = [
        event("gen_ai.user.message", content="hi"),
        event("gen_ai.choice", message='{"role": "assistant", "content": "done"}'),
    ]
    assert said({}, single) == ["user: hi", "*assistant: done"]
    whole = {
        semconv.INPUT_MESSAGES: '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]',
        semconv.OUTPUT_MESSAGES: '[{"role":"assistant","parts":[]}]',
    }
    assert (
        said({}, [DecodedEvent(semconv.OPERATION_DETAILS, 0, whole)])[0] == "user: hi"
    )
    oldest = [
        event(
            "gen_ai.content.prompt", gen_ai__prompt='[{"role":"user","content":"hi"}]'
        ),
        event(
            "gen_ai.content.completion",
            gen_ai__completion='[{"role":"assistant","content":"done"}]',
        ),
    ]
    assert said({}, oldest) == ["user: hi", "*assistant: done"]


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"llm.input_messages.x.message.role": "user"},
        {semconv.INPUT_MESSAGES: "not json"},
        {semconv.INPUT_MESSAGES: '"text"', semconv.OUTPUT_MESSAGES: "[[[]]]"},
        {semconv.INPUT_MESSAGES: "[" * 5000},
        {"gen_ai.prompt.0": "text", "gen_ai.prompt.0.role": "user"},
        {"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0": "text"},
        {"ai.prompt": "[1,2]", "ai.response.toolCalls": "{}"},
        {"request_data": '{"messages": 3}'},
        {"events": "[1, null, {}]"},
        {"llm.input_messages.0.message": 7, "llm.output_messages": [1]},
        {semconv.OUTPUT_MESSAGES: '[{"role": null, "parts": [null, 1, {"type": 3}]}]'},
    ],
)
def test_what_is_broken(attributes: dict[str, Any]) -> None:
    """Whatever attributes hold, messages come of it or nothing: never an error."""
    found = foreign.messages_of(attributes, ())
    for message in [*found[0], *found[1]] if found else ():
        assert isinstance(message["role"], str)
        assert all(isinstance(part["type"], str) for part in message["parts"])
    foreign.is_call(attributes)
    foreign.tool_of(attributes)
