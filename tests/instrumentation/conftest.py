"""What the tests of instrumentation share: a scripted model and its clients."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from anthropic import Anthropic, AsyncAnthropic
from openai import AsyncOpenAI, OpenAI
from opentelemetry import context as otel_context

import hudtrace
from hudtrace import runtime
from hudtrace.messages import Message, Usage
from hudtrace.store import queries
from hudtrace.testing import (
    CapturedSpan,
    ScriptedModel,
    ScriptedReply,
    captured_spans,
    say,
)

USAGE = Usage(input_tokens=100, output_tokens=20, cached_tokens=60, reasoning_tokens=5)


class Chat:
    """The one chat span of a test."""

    def __init__(self, spans: list[CapturedSpan]) -> None:
        self._spans = spans

    def span(self) -> queries.StoredSpan:
        """Return it as it is stored; fail if there is none, or more than one."""
        chats = self._wait()
        assert len(chats) == 1, [span.name for span in self._spans]
        assert chats[0].kind == "CLIENT"
        assert hudtrace.flush(10)
        with runtime.get_runtime().pipeline.reading() as db:
            found = queries.spans(db, chats[0].trace_id)
        return next(span for span in found if span.span_id == chats[0].span_id)

    def sent(self) -> list[str]:
        """Return the texts of the stored request."""
        return _texts(self._conversation().input)

    def said(self) -> str:
        """Return the text of the stored reply."""
        return "".join(_texts(self._conversation().output))

    def _conversation(self) -> queries.Conversation:
        span = self.span()
        with runtime.get_runtime().pipeline.reading() as db:
            conversation = queries.conversation(db, span)
        assert conversation is not None
        return conversation

    def _wait(self) -> list[CapturedSpan]:
        """Wait for the span: that of a dropped stream ends on another thread."""
        for attempt in range(200):
            chats = [span for span in self._spans if span.name == "chat scripted-1"]
            if chats:
                return chats
            if attempt == 0:
                gc.collect()
            time.sleep(0.01)
        return []


def _texts(messages: list[Message]) -> list[str]:
    return [str(part.get("content")) for m in messages for part in m["parts"]]


@pytest.fixture
def replies() -> list[ScriptedReply]:
    """What the model answers; a test may change it."""
    return [say("one two three four five six", usage=USAGE)] * 4


@pytest.fixture
def model(replies: list[ScriptedReply]) -> Iterator[ScriptedModel]:
    """A scripted model."""
    with ScriptedModel(replies) as served:
        yield served


@pytest.fixture
def sync(model: ScriptedModel) -> Iterator[OpenAI]:
    """A sync client of it."""
    with OpenAI(base_url=model.url, api_key="scripted", max_retries=0) as client:
        yield client


@pytest.fixture
async def client(model: ScriptedModel) -> AsyncIterator[AsyncOpenAI]:
    """An async client of it."""
    async with AsyncOpenAI(
        base_url=model.url, api_key="scripted", max_retries=0
    ) as client:
        yield client


@pytest.fixture
def claude(model: ScriptedModel) -> Iterator[Anthropic]:
    """A sync client of it, for Anthropic's API."""
    with Anthropic(base_url=model.origin, api_key="scripted", max_retries=0) as client:
        yield client


@pytest.fixture
async def aclaude(model: ScriptedModel) -> AsyncIterator[AsyncAnthropic]:
    """An async client of it, for Anthropic's API."""
    async with AsyncAnthropic(
        base_url=model.origin, api_key="scripted", max_retries=0
    ) as client:
        yield client


@pytest.fixture
def spans(store: object) -> Iterator[list[CapturedSpan]]:
    """The spans that end during the test; the context must not have changed."""
    before = otel_context.get_current()
    with captured_spans() as caught:
        yield caught
    assert otel_context.get_current() == before


@pytest.fixture
def chat(spans: list[CapturedSpan]) -> Chat:
    """The one chat span of the test."""
    return Chat(spans)
