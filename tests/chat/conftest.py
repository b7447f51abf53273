"""The four APIs, each with the real client that speaks it, sync and async."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

import anthropic
import openai
import pytest
from google import genai

from hudtrace.testing import ScriptedModel

APIS = ("chat_completions", "responses", "anthropic", "gemini")
Connect = Callable[[ScriptedModel], Any]


def make_client(api: str, model: ScriptedModel, *, sync: bool = False) -> Any:
    """Return the real client for *api*, which talks to *model* and does not retry."""
    options: dict[str, Any] = {"api_key": "key-for-tests"}
    if api == "gemini":
        return genai.Client(**options, http_options={"base_url": model.origin})
    options["max_retries"] = 0
    if api == "anthropic":
        kind = anthropic.Anthropic if sync else anthropic.AsyncAnthropic
        return kind(**options, base_url=model.origin)
    other = openai.OpenAI if sync else openai.AsyncOpenAI
    return other(**options, base_url=model.url)


@pytest.fixture(params=APIS)
def api(request: pytest.FixtureRequest) -> str:
    """The name of one API."""
    name: str = request.param
    return name


@pytest.fixture(params=[False, True], ids=["async", "sync"])
def sync(request: pytest.FixtureRequest) -> bool:
    """Whether the client blocks."""
    blocks: bool = request.param
    return blocks


@pytest.fixture
async def connect(api: str) -> AsyncIterator[Callable[..., Any]]:
    """Make clients for the test's API; they are closed at its end."""
    made: list[Any] = []

    def connected(model: ScriptedModel, *, sync: bool = False) -> Any:
        made.append(make_client(api, model, sync=sync))
        return made[-1]

    yield connected
    for client in made:
        for each in (getattr(client, "aio", None), client):
            close = getattr(each, "aclose", None) or getattr(each, "close", None)
            closing = close() if close else None
            if inspect.isawaitable(closing):
                await closing
