"""The google-genai client: every surface is exactly one right span for each call."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from google import genai
from google.genai import _api_client, errors, types
from opentelemetry import context as otel_context

import hudtrace as hud
from hudtrace import notices
from hudtrace.messages import Usage
from hudtrace.notices import seen
from hudtrace.testing import (
    CapturedSpan,
    ScriptedModel,
    ScriptedReply,
    call,
    error,
    say,
)

USAGE = Usage(input_tokens=100, output_tokens=20, cached_tokens=60, reasoning_tokens=5)
TEXT = "one two three four five six"
MODEL = "scripted-1"
LONG = say(TEXT * 50, chunk_delay=0.002)

# The client does not close what it does not read to its end.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


def options(model: ScriptedModel, **more: Any) -> types.HttpOptions:
    """Point a client to the scripted model."""
    return types.HttpOptions(base_url=model.origin, **more)


@pytest.fixture
def google(model: ScriptedModel) -> Iterator[genai.Client]:
    """A client of the scripted model, for sync use."""
    with genai.Client(api_key="scripted", http_options=options(model)) as client:
        yield client


@pytest.fixture
async def agoogle(model: ScriptedModel) -> AsyncIterator[Any]:
    """A client of the scripted model, for async use."""
    with genai.Client(api_key="scripted", http_options=options(model)) as client:
        async with client.aio as aio:
            yield aio


# Surfaces: each reads an answer to its end, and returns the text. -----------------


def plain(client: genai.Client) -> Any:
    return client.models.generate_content(model=MODEL, contents="count").text


def stream(client: genai.Client) -> Any:
    chunks = client.models.generate_content_stream(model=MODEL, contents="count")
    return "".join(chunk.text or "" for chunk in chunks)


def chat_plain(client: genai.Client) -> Any:
    return client.chats.create(model=MODEL).send_message("count").text


def chat_stream(client: genai.Client) -> Any:
    chunks = client.chats.create(model=MODEL).send_message_stream("count")
    return "".join(chunk.text or "" for chunk in chunks)


async def aplain(client: Any) -> Any:
    return (await client.models.generate_content(model=MODEL, contents="count")).text


async def astream(client: Any) -> Any:
    chunks = await client.models.generate_content_stream(model=MODEL, contents="count")
    return "".join([chunk.text or "" async for chunk in chunks])


async def achat_plain(client: Any) -> Any:
    return (await client.chats.create(model=MODEL).send_message("count")).text


async def achat_stream(client: Any) -> Any:
    chunks = await client.chats.create(model=MODEL).send_message_stream("count")
    return "".join([chunk.text or "" async for chunk in chunks])


SYNC = [plain, stream, chat_plain, chat_stream]
ASYNC = [aplain, astream, achat_plain, achat_stream]


def name_of(value: object) -> str:
    return str(getattr(value, "__name__", value))


def check_whole(chat: Any, surface: Callable[..., Any]) -> None:
    """The span of an answer that was read to its end."""
    span = chat.span()
    got = span.attributes
    assert got["gen_ai.usage.input_tokens"] == 100
    assert got["gen_ai.usage.output_tokens"] == 20
    assert got["gen_ai.usage.cache_read.input_tokens"] == 60
    assert got["gen_ai.usage.reasoning.output_tokens"] == 5
    assert got["gen_ai.response.finish_reasons"] == ["stop"]
    assert got["gen_ai.response.id"].startswith("resp-scripted")
    assert got["gen_ai.response.model"] == MODEL
    assert got["gen_ai.provider.name"] == "gcp.gemini"
    assert got["server.address"] == "127.0.0.1"
    assert isinstance(got["server.port"], int)
    assert "hud.response.incomplete" not in got
    assert "http.request.resend_count" not in got
    assert span.status == 0
    assert chat.sent() == ["count"]
    assert chat.said() == TEXT
    streams = "stream" in surface.__name__
    assert got["gen_ai.request.stream"] is streams
    assert (got.get("gen_ai.response.time_to_first_chunk", 0) > 0) is streams


@pytest.mark.parametrize("surface", SYNC, ids=name_of)
def test_sync_surfaces(
    surface: Callable[..., Any], google: genai.Client, chat: Any
) -> None:
    """A sync surface read to its end is one whole span."""
    assert surface(google) == TEXT
    check_whole(chat, surface)


@pytest.mark.parametrize("surface", ASYNC, ids=name_of)
async def test_async_surfaces(
    surface: Callable[..., Any], agoogle: Any, chat: Any
) -> None:
    """An async surface read to its end is one whole span."""
    assert await surface(agoogle) == TEXT
    check_whole(chat, surface)


@pytest.mark.parametrize("surface", SYNC, ids=name_of)
def test_errors_sync(
    surface: Callable[..., Any],
    google: genai.Client,
    chat: Any,
    replies: list[ScriptedReply],
) -> None:
    """An error status is raised to the user and marked on the one span."""
    replies[0] = error(400, "not like this")
    with pytest.raises(errors.ClientError):
        surface(google)
    check_error(chat, "google.genai.errors.ClientError", 400)


@pytest.mark.parametrize("surface", ASYNC, ids=name_of)
async def test_errors_async(
    surface: Callable[..., Any],
    agoogle: Any,
    chat: Any,
    replies: list[ScriptedReply],
) -> None:
    """An error status is raised to the user and marked on the one span."""
    replies[0] = error(501, "broken")
    with pytest.raises(errors.ServerError):
        await surface(agoogle)
    check_error(chat, "google.genai.errors.ServerError", 501)


def check_error(chat: Any, kind: str, status: int) -> None:
    span = chat.span()
    assert span.status == 2
    assert span.attributes["error.type"] == kind
    assert span.attributes["http.response.status_code"] == status
    assert "gen_ai.usage.input_tokens" not in span.attributes


def test_retries_sync(
    model: ScriptedModel, chat: Any, replies: list[ScriptedReply]
) -> None:
    """Retries of the client are one span that counts them."""
    replies[:2] = [error(503)] * 2
    retry = types.HttpRetryOptions(attempts=3, initial_delay=0.01, jitter=0.01)
    http = options(model, retry_options=retry)
    with genai.Client(api_key="scripted", http_options=http) as client:
        assert plain(client) == TEXT
    span = chat.span()
    assert span.attributes["http.request.resend_count"] == 2
    assert span.status == 0


async def test_retries_async(
    model: ScriptedModel, chat: Any, replies: list[ScriptedReply]
) -> None:
    """Retries before a stream begins are counted too."""
    replies[0] = error(503)
    retry = types.HttpRetryOptions(attempts=3, initial_delay=0.01, jitter=0.01)
    http = options(model, retry_options=retry)
    with genai.Client(api_key="scripted", http_options=http) as client:
        async with client.aio as aio:
            assert await astream(aio) == TEXT
    assert chat.span().attributes["http.request.resend_count"] == 1


# Streams that are given up --------------------------------------------------------


def close_early(client: genai.Client) -> None:
    chunks: Any = client.models.generate_content_stream(model=MODEL, contents="x")
    next(chunks)
    chunks.close()


def break_and_drop(client: genai.Client) -> None:
    for _ in client.models.generate_content_stream(model=MODEL, contents="x"):
        break


def drop_chat(client: genai.Client) -> None:
    for _ in client.chats.create(model=MODEL).send_message_stream("x"):
        break


async def aclose_early(client: Any) -> None:
    chunks = await client.models.generate_content_stream(model=MODEL, contents="x")
    await anext(aiter(chunks))
    await chunks.aclose()


async def abreak_and_drop(client: Any) -> None:
    async for _ in await client.models.generate_content_stream(
        model=MODEL, contents="x"
    ):
        break


@pytest.mark.parametrize(
    "give_up", [close_early, break_and_drop, drop_chat], ids=name_of
)
def test_given_up_sync(
    give_up: Callable[..., Any],
    google: genai.Client,
    chat: Any,
    replies: list[ScriptedReply],
) -> None:
    """A stream that is not read to its end still ends its span, marked so."""
    replies[0] = LONG
    give_up(google)
    check_given_up(chat)


@pytest.mark.parametrize("give_up", [aclose_early, abreak_and_drop], ids=name_of)
async def test_given_up_async(
    give_up: Callable[..., Any],
    agoogle: Any,
    chat: Any,
    replies: list[ScriptedReply],
) -> None:
    """A stream that is not read to its end still ends its span, marked so."""
    replies[0] = LONG
    await give_up(agoogle)
    gc.collect()
    await asyncio.sleep(0.05)  # the loop closes generators that were collected
    check_given_up(chat)


def check_given_up(chat: Any) -> None:
    # The client drops its response without a word, whoever gives up.
    span = chat.span()
    assert span.attributes["hud.response.incomplete"] == "abandoned"
    assert "hud.response.unread" not in span.attributes
    assert span.status == 0
    assert chat.said().startswith("one")


@pytest.mark.parametrize(
    "give_up", [close_early, break_and_drop, drop_chat], ids=name_of
)
def test_given_up_in_an_eval(
    give_up: Callable[..., Any],
    google: genai.Client,
    task: hud.Task,
    replies: list[ScriptedReply],
    spans: list[CapturedSpan],
) -> None:
    """What was read of it counts in the eval, each time, and its span ends before."""
    replies[:] = [LONG.but(usage=USAGE)] * 4
    for _ in replies:
        with hud.eval(task) as e:
            give_up(google)
            e.submit("JR")
        assert e.result.usage.input_tokens == USAGE.input_tokens
        calls = [span for span in spans if span.name == f"chat {MODEL}"]
        root = next(span for span in spans if span.span_id == e.result.span_id)
        assert spans.index(calls[-1]) < spans.index(root)
        assert calls[-1].trace_id == e.result.trace_id


def test_the_last_chunk_is_enough(google: genai.Client, chat: Any) -> None:
    """A stream that is left at its last chunk is whole."""
    for chunk in google.models.generate_content_stream(model=MODEL, contents="x"):
        candidates = chunk.candidates
        if candidates and candidates[0].finish_reason:
            break
    del chunk, candidates
    span = chat.span()
    assert "hud.response.incomplete" not in span.attributes
    assert span.attributes["gen_ai.usage.output_tokens"] == 20


@pytest.mark.parametrize("surface", [aplain, astream, achat_stream], ids=name_of)
async def test_cancelled(
    surface: Callable[..., Any],
    agoogle: Any,
    chat: Any,
    replies: list[ScriptedReply],
) -> None:
    """A cancelled call ends its span at once, marked cancelled."""
    replies[0] = say(TEXT * 50, delay=0.05, chunk_delay=0.05)
    running = asyncio.create_task(surface(agoogle))
    await asyncio.sleep(0.02 if surface is aplain else 0.3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    span = chat.span()
    assert span.attributes["error.type"] == "cancelled"
    assert span.attributes["hud.response.incomplete"] == "cancelled"


def test_cut(google: genai.Client, chat: Any, replies: list[ScriptedReply]) -> None:
    """A stream that the server cuts is an error on the span, with what was read."""
    replies[0] = say(TEXT, cut_after=3)
    with pytest.raises(Exception, match="peer closed connection"):
        stream(google)
    span = chat.span()
    assert span.status == 2
    assert span.attributes["hud.response.incomplete"] == "error"
    assert chat.said() == "one two three"


def test_error_inside_a_stream(
    google: genai.Client, chat: Any, replies: list[ScriptedReply]
) -> None:
    """An error among the chunks of a stream is an error on the span."""
    body = b'{"error": {"code": 500, "message": "out of memory", "status": "INTERNAL"}}'
    replies[0] = say("x").but(raw=body)
    with contextlib.suppress(errors.APIError):  # old clients let it pass
        stream(google)
    span = chat.span()
    assert (span.status, span.status_message) == (2, "out of memory")
    assert span.attributes["error.type"] == "google.genai.errors.APIError"


# Conversations --------------------------------------------------------------------


def lookup_ceo(company: str) -> str:
    """Look up who leads a company."""
    return "Jay Ram"


async def test_automatic_function_calling(
    agoogle: Any, replies: list[ScriptedReply], spans: list[CapturedSpan]
) -> None:
    """Each inner call of automatic function calling is a span with its own tokens."""
    replies[0] = call(("lookup_ceo", {"company": "HUD"})).but(usage=USAGE)
    replies[1] = say("JR", usage=USAGE)
    config: Any = {"tools": [lookup_ceo]}
    answer = await agoogle.models.generate_content(
        model=MODEL, contents="ceo?", config=config
    )
    assert answer.text == "JR"
    assert [span.name for span in spans] == ["chat scripted-1"] * 2


@pytest.mark.parametrize("streamed", [False, True])
async def test_history_is_stored_once(
    agoogle: Any,
    task: hud.Task,
    replies: list[ScriptedReply],
    stored: Any,
    streamed: bool,
) -> None:
    """The messages that a chat sends back are the ones that are stored already."""
    replies[0] = call(("lookup_ceo", {"company": "HUD"}), text="let me see now")
    async with hud.eval(task) as ctx:
        config: Any = {"automatic_function_calling": {"disable": True}}
        chat = agoogle.chats.create(model=MODEL, config=config)
        if streamed:
            async for chunk in await chat.send_message_stream("who?"):
                asked = chunk.function_calls
        else:
            asked = (await chat.send_message("who?")).function_calls
        part = types.Part(
            function_response=types.FunctionResponse(
                id=asked[0].id, name="lookup_ceo", response={"result": "Jay Ram"}
            )
        )
        assert (await chat.send_message(part)).text == TEXT
        await ctx.submit("JR")
    assert [m["role"] for m in ctx.messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    chats = [s for s in stored(ctx.trace_id) if s.name.startswith("chat")]
    assert len(chats) == 2
    assert chats[1].attributes["hud.history.input_count"] == 3
    with hud.runtime.get_runtime().pipeline.reading() as db:
        first, second = [hud.store.queries.conversation(db, s) for s in chats]
    assert first is not None
    assert second is not None
    assert second.input[:2] == [*first.input, *first.output]
    assert second.input[1]["parts"][0]["content"] == "let me see now"


async def test_parent_is_the_callers_span(
    agoogle: Any, task: hud.Task, spans: list[CapturedSpan]
) -> None:
    """Below an eval, the span hangs from its turn, and nothing stays attached."""
    async with hud.eval(task) as ctx:
        inside = otel_context.get_current()
        await aplain(agoogle)
        await astream(agoogle)
        assert otel_context.get_current() is inside
        await ctx.submit("JR")
    assert ctx.result.usage == Usage(200, 40, 120, 0, 10)
    turns = {s.span_id for s in spans if s.name == "turn"}
    chats = [s for s in spans if s.name.startswith("chat")]
    assert len(chats) == 2
    assert {s.parent_id for s in chats} == turns


def test_request_is_as_sent(
    google: genai.Client, model: ScriptedModel, chat: Any
) -> None:
    """System instruction, parameters and tools are read from what was sent."""
    config = types.GenerateContentConfig(
        system_instruction="be brief",
        temperature=0.5,
        tools=[types.Tool(function_declarations=[types.FunctionDeclaration(name="f")])],
    )
    google.models.generate_content(model=MODEL, contents="count", config=config)
    assert chat.sent() == ["be brief", "count"]
    assert chat.span().attributes["gen_ai.request.temperature"] == 0.5
    assert "systemInstruction" in model.requests[0]


def test_vertex(model: ScriptedModel, chat: Any) -> None:
    """A client of Vertex AI is told apart."""
    http = options(model)
    with genai.Client(vertexai=True, api_key="scripted", http_options=http) as client:
        assert plain(client) == TEXT
    assert chat.span().attributes["gen_ai.provider.name"] == "gcp.vertex_ai"


def test_embeddings_and_counts(google: genai.Client, spans: list[CapturedSpan]) -> None:
    """An embedding is a span of its own operation, counting tokens is none."""
    config: Any = {"output_dimensionality": 2}
    google.models.embed_content(model=MODEL, contents="x", config=config)
    google.models.count_tokens(model=MODEL, contents="x")
    (span,) = spans
    assert span.name == "embeddings scripted-1"
    assert span.attributes["gen_ai.operation.name"] == "embeddings"


# The hook -------------------------------------------------------------------------


def test_uninstrument(
    google: genai.Client, spans: list[CapturedSpan], chat: Any
) -> None:
    """`uninstrument` gives the client back; `instrument` twice is like once."""
    originals = [vars(_api_client.HttpResponse)["segments"]]
    hud.uninstrument()
    assert vars(_api_client.HttpResponse)["segments"] not in originals
    assert stream(google) == TEXT
    assert not spans
    assert "google.genai" in hud.instrument()
    assert hud.instrument(["google.genai"]) == ["google.genai"]
    assert stream(google) == TEXT
    assert chat.said() == TEXT


def test_missing_hook(monkeypatch: pytest.MonkeyPatch, store: object) -> None:
    """A client without the method we hook into stays as it is, and we say so."""
    hud.uninstrument()
    before = seen("google-genai-hook")
    with monkeypatch.context() as without:
        without.delattr(_api_client.BaseApiClient, "_async_request")
        assert hud.instrument(["google.genai"]) == []
    assert seen("google-genai-hook") == before + 1
    assert "google.genai" in hud.instrument()


def test_odd_answers(
    google: genai.Client, chat: Any, replies: list[ScriptedReply]
) -> None:
    """An answer that we cannot read is the user's as it is."""
    replies[0] = say("x").but(raw=b'{"candidates": [], "usageMetadata": {}}')
    assert plain(google) is None
    assert chat.span().status == 0


WIRE: dict[str, Any] = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [{"text": "x"}, {"functionCall": {}}],
            },
            "finishReason": "STOP",
        }
    ],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4},
}


def mutations(value: Any) -> Iterator[Any]:
    """Return copies of *value*, each with one thing in it replaced."""
    yield from (None, 7, "x", [], {}, [None])
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, child in items:
        for changed in mutations(child):
            copy: Any = value.copy()
            copy[key] = changed
            yield copy


@pytest.mark.parametrize("surface", [plain, stream], ids=name_of)
def test_odd_payloads(
    surface: Callable[..., Any], spans: list[CapturedSpan], store: object
) -> None:
    """Whatever the server sends is one span, and the user's as it would be without."""
    bodies = [json.dumps(body).encode() for body in mutations(WIRE)]
    bodies += [b"", b"{", b"[1", b"\xff\xfe"]

    def faults() -> dict[str, int]:
        return {k: n for k, n in notices._counts.items() if k.startswith("internal")}

    def outcome(client: genai.Client) -> str:
        try:
            return repr(surface(client))
        except Exception as error:
            return type(error).__name__

    def outcomes() -> list[str]:
        replies = [say("x").but(raw=body) for body in bodies]
        with ScriptedModel(replies) as model:
            http = options(model)
            with genai.Client(api_key="scripted", http_options=http) as client:
                return [outcome(client) for _ in bodies]

    before = faults()
    traced = outcomes()
    gc.collect()
    for _ in range(200):
        if len(spans) == len(bodies):
            break
        time.sleep(0.01)
    assert len(spans) == len(bodies)
    assert hud.flush(10)
    assert faults() == before
    hud.uninstrument()
    untraced = outcomes()
    hud.instrument()
    assert traced == untraced
