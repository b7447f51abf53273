"""The openai client's other calls: fetched responses, embeddings, completions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI, _base_client

import hudtrace as hud
from hudtrace import runtime
from hudtrace.messages import Usage
from hudtrace.store import queries
from hudtrace.testing import CapturedSpan

HTTP: Any = getattr(_base_client, "httpx2", None) or vars(_base_client)["httpx"]
REQUEST: dict[str, Any] = {"model": "scripted-1", "input": "count"}
TEXT = "one two three four five six"
Read = Callable[[str], list[queries.StoredSpan]]

COMPLETION: dict[str, Any] = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "scripted-1",
    "choices": [
        {"index": 0, "text": " upon", "finish_reason": "length", "logprobs": None}
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}
EMBEDDING = {
    "object": "list",
    "model": "scripted-1",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}],
    "usage": {"prompt_tokens": 7, "total_tokens": 7},
}

COMPACTED = {
    "id": "resp_c",
    "object": "response.compaction",
    "created_at": 1,
    "output": [
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "count"}],
        },
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "zzz"},
    ],
    "usage": {
        "input_tokens": 90,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 110,
    },
}


def answer(request: Any) -> Any:
    """Answer as the API does, for a mock transport."""
    asked = json.loads(request.content)
    if request.url.path.endswith("/responses/compact"):
        return HTTP.Response(200, json=COMPACTED)
    if request.url.path.endswith("/embeddings"):
        if asked["input"] == "":
            body: Any = {"error": {"message": "input is empty"}}
            return HTTP.Response(400, json=body)
        return HTTP.Response(200, json=EMBEDDING)
    if not asked.get("stream"):
        return HTTP.Response(200, json=COMPLETION)
    (choice,) = COMPLETION["choices"]
    chunks = [
        {**COMPLETION, "usage": None, "choices": [{**choice, "text": text}]}
        for text in (" up", "on")
    ]
    chunks[0]["choices"][0]["finish_reason"] = None
    chunks.append({**COMPLETION, "choices": []})
    sent = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    kind = {"content-type": "text/event-stream"}
    return HTTP.Response(200, headers=kind, text="".join([*sent, "data: [DONE]\n\n"]))


@pytest.fixture
def mocked() -> Iterator[OpenAI]:
    """A client whose answers are made here."""
    transport = HTTP.MockTransport(answer)
    http: Any = HTTP.Client(transport=transport)
    with OpenAI(
        base_url="https://api.test/v1", api_key="x", max_retries=0, http_client=http
    ) as client:
        yield client


@pytest.fixture
async def amocked() -> Any:
    """An async client whose answers are made here."""
    transport = HTTP.MockTransport(answer)
    http: Any = HTTP.AsyncClient(transport=transport)
    async with AsyncOpenAI(
        base_url="https://api.test/v1", api_key="x", max_retries=0, http_client=http
    ) as client:
        yield client


def only(spans: list[CapturedSpan], stored: Read) -> queries.StoredSpan:
    """Return the one span there is, as it is stored."""
    (span,) = spans
    assert span.kind == "CLIENT"
    return next(s for s in stored(span.trace_id) if s.span_id == span.span_id)


def conversation_of(span: queries.StoredSpan) -> queries.Conversation:
    with runtime.get_runtime().pipeline.reading() as db:
        found = queries.conversation(db, span)
    assert found is not None
    return found


# Fetched responses ------------------------------------------------------------------


def fetched(client: OpenAI, response_id: str) -> Any:
    return client.responses.retrieve(response_id).output_text


def fetched_raw(client: OpenAI, response_id: str) -> Any:
    answer = client.responses.with_raw_response.retrieve(response_id)
    return answer.parse().output_text


def fetched_open(client: OpenAI, response_id: str) -> Any:
    surface = client.responses.with_streaming_response
    with surface.retrieve(response_id) as answer:
        return answer.parse().output_text


def fetched_stream(client: OpenAI, response_id: str) -> Any:
    events: Any = client.responses.retrieve(response_id, stream=True)
    kind = "response.output_text.delta"
    return "".join(event.delta for event in events if event.type == kind)


def fetched_helper(client: OpenAI, response_id: str) -> Any:
    with client.responses.stream(response_id=response_id) as events:
        return events.get_final_response().output_text


@pytest.mark.parametrize(
    "fetch",
    [fetched, fetched_raw, fetched_open, fetched_stream, fetched_helper],
    ids=lambda f: f.__name__,
)
def test_background_mode(
    fetch: Callable[..., Any],
    sync: OpenAI,
    spans: list[CapturedSpan],
    stored: Read,
) -> None:
    """A response made in the background is queued; fetching it is a span of its own."""
    queued = sync.responses.create(**REQUEST, background=True)
    created = only(spans, stored)
    assert created.name == "chat scripted-1"
    assert "gen_ai.response.finish_reasons" not in created.attributes
    assert "gen_ai.usage.input_tokens" not in created.attributes
    assert conversation_of(created).output == []
    spans.clear()
    assert fetch(sync, queued.id) == TEXT
    span = only(spans, stored)
    got = span.attributes
    assert (span.name, span.status) == ("fetch_response", 0)
    assert got["gen_ai.operation.name"] == "fetch_response"
    assert got["gen_ai.response.id"] == queued.id
    assert got["gen_ai.response.finish_reasons"] == ["stop"]
    assert got["gen_ai.response.status"] == "completed"
    assert not [key for key in got if key.startswith(("gen_ai.usage", "hud.cost"))]
    (message,) = conversation_of(span).output
    assert message["parts"][0]["content"] == TEXT


async def test_fetch_async(
    client: AsyncOpenAI, spans: list[CapturedSpan], stored: Read
) -> None:
    """So it is for the async client."""
    queued = await client.responses.create(**REQUEST, background=True)
    spans.clear()
    assert (await client.responses.retrieve(queued.id)).output_text == TEXT
    assert only(spans, stored).attributes["gen_ai.response.id"] == queued.id


def test_fetch_of_what_is_not_there(
    sync: OpenAI, spans: list[CapturedSpan], stored: Read
) -> None:
    """A fetch that fails is an error on its span, which still says of what."""
    with pytest.raises(openai.NotFoundError):
        sync.responses.retrieve("resp_none")
    span = only(spans, stored)
    assert span.attributes["error.type"] == "openai.NotFoundError"
    assert span.attributes["gen_ai.response.id"] == "resp_none"


async def test_a_background_response_counts_once(
    client: AsyncOpenAI, task: hud.Task, spans: list[CapturedSpan]
) -> None:
    """In an eval, its tokens and its answer are the agent's, however often fetched."""
    async with hud.eval(task) as ctx:
        queued = await client.responses.create(**REQUEST, background=True)
        assert ctx.messages[-1]["role"] == "user"
        for _ in range(3):
            await client.responses.retrieve(queued.id)
        assert [m["role"] for m in ctx.messages] == ["user", "assistant"]
        plain = await client.responses.create(**REQUEST)
        await client.responses.retrieve(plain.id)
        await ctx.submit("JR")
    assert ctx.result.usage == Usage(200, 40, 120, 0, 10)
    assert ctx.result.turns == 2
    assert [s.name for s in spans].count("fetch_response") == 4


# Embeddings and legacy completions ----------------------------------------------


def test_compaction(mocked: OpenAI, spans: list[CapturedSpan], stored: Read) -> None:
    """Compacting a conversation is a span with its tokens."""
    if not hasattr(mocked.responses, "compact"):
        pytest.skip("this client cannot compact conversations")
    made = mocked.responses.compact(model="scripted-1", input="count")
    assert made.output[-1].type == "compaction"
    (span,) = spans
    hud.flush()
    got = stored(span.trace_id)[0].attributes
    assert span.name == "compact scripted-1"
    assert got["gen_ai.operation.name"] == "compact"
    assert got["gen_ai.usage.input_tokens"] == 90
    assert got["gen_ai.usage.output_tokens"] == 20
    assert got["gen_ai.response.id"] == "resp_c"


def test_embeddings(mocked: OpenAI, spans: list[CapturedSpan], stored: Read) -> None:
    """Embeddings are a span with their tokens, without texts or vectors."""
    made = mocked.embeddings.create(model="scripted-1", input="x", dimensions=2)
    assert made.data[0].embedding == [0.5, 0.25]
    span = only(spans, stored)
    got = span.attributes
    assert span.name == "embeddings scripted-1"
    assert got["gen_ai.operation.name"] == "embeddings"
    assert "gen_ai.usage.output_tokens" not in got
    assert got["gen_ai.usage.input_tokens"] == 7
    assert got["gen_ai.embeddings.dimension.count"] == 2
    assert got["gen_ai.request.encoding_formats"] == ["base64"]
    assert got["gen_ai.response.model"] == "scripted-1"


async def test_embeddings_async(
    amocked: AsyncOpenAI, spans: list[CapturedSpan], stored: Read
) -> None:
    """So are those of the async client, raw ones too."""
    surface = amocked.embeddings.with_raw_response
    await surface.create(model="scripted-1", input=["x"], encoding_format="float")
    got = only(spans, stored).attributes
    assert got["gen_ai.request.encoding_formats"] == ["float"]
    assert got["gen_ai.usage.input_tokens"] == 7


def test_embeddings_refused(
    mocked: OpenAI, spans: list[CapturedSpan], stored: Read
) -> None:
    """A refused request is raised to the user and marked on the span."""
    with pytest.raises(openai.BadRequestError):
        mocked.embeddings.create(model="scripted-1", input="")
    got = only(spans, stored).attributes
    assert got["error.type"] == "openai.BadRequestError"


async def test_embeddings_are_no_turn(
    amocked: AsyncOpenAI,
    client: AsyncOpenAI,
    task: hud.Task,
    spans: list[CapturedSpan],
) -> None:
    """Embeddings open no turn, leave the conversation, and count as tokens."""
    async with hud.eval(task) as ctx:
        await amocked.embeddings.create(model="other", input="x")
        await client.responses.create(**REQUEST)
        said = ctx.messages
        await amocked.embeddings.create(model="other", input="x")
        assert ctx.messages == said
        await ctx.submit("JR")
    assert ctx.result.turns == 1
    assert ctx.result.usage.input_tokens == 100 + 7 + 7
    agent = next(s for s in spans if s.name.startswith("invoke_agent"))
    embeddings = [s for s in spans if s.name == "embeddings other"]
    assert [s.parent_id for s in embeddings] == [agent.span_id] * 2
    root = next(s for s in spans if s.name.startswith("eval"))
    assert root.attributes["hud.model"] == "scripted-1"


@pytest.mark.parametrize("stream", [False, True])
def test_completions(
    mocked: OpenAI, spans: list[CapturedSpan], stored: Read, stream: bool
) -> None:
    """A legacy completion is a span with its prompt and how it goes on."""
    options: Any = {"stream": True} if stream else {}
    made: Any = mocked.completions.create(
        model="scripted-1", prompt="once", max_tokens=1, **options
    )
    if stream:
        assert "".join(c.choices[0].text for c in made if c.choices) == " upon"
    span = only(spans, stored)
    got = span.attributes
    assert span.name == "text_completion scripted-1"
    assert got["gen_ai.operation.name"] == "text_completion"
    assert got["gen_ai.request.max_tokens"] == 1
    assert got["gen_ai.response.finish_reasons"] == ["length"]
    assert got["gen_ai.usage.input_tokens"] == 3
    assert got["gen_ai.usage.output_tokens"] == 1
    conversation = conversation_of(span)
    assert conversation.input == [
        {"role": "user", "parts": [{"type": "text", "content": "once"}]}
    ]
    assert conversation.output == [
        {"role": "assistant", "parts": [{"type": "text", "content": " upon"}]}
    ]


def test_completions_of_many_prompts(
    mocked: OpenAI, spans: list[CapturedSpan], stored: Read
) -> None:
    """Several prompts are several messages; token ids are kept as such."""
    prompts: Any = ["a", "b"]
    mocked.completions.create(model="scripted-1", prompt=prompts)
    sent = conversation_of(only(spans, stored)).input
    assert [m["parts"][0]["content"] for m in sent] == ["a", "b"]
    spans.clear()
    mocked.completions.create(model="scripted-1", prompt=[1, 2])
    (sent_ids,) = conversation_of(only(spans, stored)).input
    assert sent_ids["parts"] == [{"type": "tokens", "content": [1, 2]}]
