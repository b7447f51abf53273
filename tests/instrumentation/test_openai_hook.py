"""The hook into the openai client: what it must never do to its user."""

from __future__ import annotations

import gc
import pickle
import threading
from typing import Any

import openai
import pydantic
import pytest
from openai import OpenAI, _base_client

import hudtrace as hud
from hudtrace import runtime
from hudtrace.notices import seen
from hudtrace.testing import CapturedSpan, ScriptedModel, ScriptedReply, say
from hudtrace.tracing.provider import get_tracer

REQUEST: dict[str, Any] = {
    "model": "scripted-1",
    "messages": [{"role": "user", "content": "count"}],
}
TEXT = "one two three four five six"


class Count(pydantic.BaseModel):
    n: int


def ask(client: OpenAI) -> str | None:
    return client.chat.completions.create(**REQUEST).choices[0].message.content


def test_uninstrument(sync: OpenAI, spans: list[CapturedSpan], chat: Any) -> None:
    """`uninstrument` gives the client back; `instrument` twice is like once."""
    hud.uninstrument()
    assert ask(sync) == TEXT
    assert not spans
    assert "openai" in hud.instrument()
    assert hud.instrument(["openai"]) == ["openai"]
    assert ask(sync) == TEXT
    assert chat.said() == TEXT


def test_below_another_instrumentor(
    sync: OpenAI,
    spans: list[CapturedSpan],
    chat: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Below another's patch, undoing stops our spans and redoing never doubles."""
    ours = _base_client.SyncAPIClient.request

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        return ours(self, *args, **kwargs)

    monkeypatch.setattr(_base_client.SyncAPIClient, "request", theirs)
    hud.uninstrument()
    assert ask(sync) == TEXT
    assert not spans
    hud.instrument()
    assert ask(sync) == TEXT
    assert chat.said() == TEXT
    hud.uninstrument()
    monkeypatch.undo()
    hud.instrument()


def test_missing_hook(monkeypatch: pytest.MonkeyPatch, store: object) -> None:
    """A client without the method we hook into stays as it is, and we say so."""
    hud.uninstrument()
    before = seen("openai-hook")
    sync_request = _base_client.SyncAPIClient.request
    with monkeypatch.context() as without:
        without.delattr(_base_client.AsyncAPIClient, "request")
        assert hud.instrument(["openai"]) == []
        assert _base_client.SyncAPIClient.request is sync_request
    assert seen("openai-hook") == before + 1
    assert "openai" in hud.instrument()


def test_our_fault_is_not_the_users(sync: OpenAI, store: object) -> None:
    """A fault of ours before the request is noted, and the call goes on."""
    tracer: Any = get_tracer()
    clock, place = tracer.clock, "internal:opening a call:ZeroDivisionError"
    before = seen(place)
    tracer.clock = lambda: 1 // 0
    try:
        assert ask(sync) == TEXT
    finally:
        tracer.clock = clock
    assert seen(place) == before + 1


def test_odd_answers(sync: OpenAI, chat: Any, replies: list[ScriptedReply]) -> None:
    """An answer that we cannot read is the user's as it is."""
    replies[0] = say("x").but(raw=b'{"choices": [{"message": 7}], "usage": "no"}')
    sync.chat.completions.create(**REQUEST)
    assert chat.span().status == 0


def test_the_collector_ends_no_span(sync: OpenAI, chat: Any) -> None:
    """A collected stream's span ends on another thread.

    The collector may run where this one holds the pipeline's own locks.
    """
    ended_by: list[int] = []
    runtime.get_runtime().pipeline.taps.append(
        lambda _: ended_by.append(threading.get_ident())
    )
    chunks = sync.chat.completions.create(**REQUEST, stream=True)
    next(iter(chunks))
    del chunks
    gc.collect()
    assert chat.span().attributes["hud.response.incomplete"] == "abandoned"
    assert threading.get_ident() not in ended_by


def test_response_is_as_it_was(sync: OpenAI, spans: list[CapturedSpan]) -> None:
    """After its end a stream's response can be pickled, and holds nothing of ours."""
    chunks = sync.chat.completions.create(**REQUEST, stream=True)
    list(chunks)
    assert pickle.dumps(chunks.response)
    own = vars(chunks.response).values()
    assert not [each for each in own if "hudtrace" in str(type(each).__module__)]
    assert not [
        each for each in own if "hudtrace" in (getattr(each, "__module__", None) or "")
    ]


def test_answer_that_does_not_parse(sync: OpenAI, chat: Any) -> None:
    """An answer that `parse` refuses was paid for: tokens and text are kept."""
    with pytest.raises(pydantic.ValidationError):
        sync.chat.completions.parse(**REQUEST, response_format=Count)
    span = chat.span()
    assert span.status == 2
    assert span.attributes["error.type"].endswith("ValidationError")
    assert span.attributes["gen_ai.usage.input_tokens"] == 100
    assert chat.said() == TEXT


def test_length_limit_of_parse(
    sync: OpenAI, chat: Any, replies: list[ScriptedReply]
) -> None:
    """So is one that `parse` refuses because it was cut at the token limit."""
    replies[0] = say('{"n": 1', finish="length")
    with pytest.raises(openai.LengthFinishReasonError):
        sync.chat.completions.parse(**REQUEST, response_format=Count)
    span = chat.span()
    assert span.attributes["error.type"] == "openai.LengthFinishReasonError"
    assert span.attributes["gen_ai.response.finish_reasons"] == ["length"]


def test_extra_body(sync: OpenAI, chat: Any) -> None:
    """Parameters given as `extra_body` are the request's, as they are sent."""
    sync.chat.completions.create(**REQUEST, extra_body={"seed": 7})
    assert chat.span().attributes["gen_ai.request.seed"] == 7


def test_http_response_as_the_result(sync: OpenAI, chat: Any) -> None:
    """A call that asks for the bare HTTP response is read like any other."""
    http: Any = getattr(_base_client, "httpx2", None) or vars(_base_client)["httpx"]
    answer = sync.post("/chat/completions", cast_to=http.Response, body=REQUEST)
    assert TEXT in answer.text
    assert chat.said() == TEXT


def test_messages_changed_after_the_call(sync: OpenAI, chat: Any) -> None:
    """What is stored is what was sent, whatever happens to the list afterwards."""
    block = {"type": "text", "text": "before"}
    messages: Any = [{"role": "user", "content": [block]}]
    sync.chat.completions.create(model="scripted-1", messages=messages)
    block["text"] = "after"
    messages.append({"role": "user", "content": "later"})
    assert chat.sent() == ["before"]


def test_messages_from_a_generator(
    sync: OpenAI, model: ScriptedModel, chat: Any
) -> None:
    """Messages given as an iterator reach the model, and the store."""
    messages: Any = ({"role": "user", "content": text} for text in ("a", "b"))
    sync.chat.completions.create(model="scripted-1", messages=messages)
    assert [m["content"] for m in model.requests[0]["messages"]] == ["a", "b"]
    assert chat.sent() == ["a", "b"]


def test_other_endpoints(sync: OpenAI, spans: list[CapturedSpan]) -> None:
    """Requests that are no model calls are left alone."""
    with pytest.raises(openai.NotFoundError):
        sync.models.list()
    assert not spans
