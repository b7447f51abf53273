"""The documented page runs verbatim, byte for byte, against this project."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI
from page_code import GATEWAY, page, run, snippet

from hudtrace.testing import (
    ScriptedModel,
    call,
    captured_spans,
    redirect,
    say,
    span_tree,
)

pytestmark = [
    pytest.mark.usefixtures("store"),
    # The page does not close its client.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    page,
]

TREE = """\
eval trivia:initials reward=1.0 outcome=scored
├─ setup
├─ invoke_agent agent
│  ├─ turn 1
│  │  ├─ chat gpt-4o
│  │  └─ execute_tool lookup_ceo
│  └─ turn 2
│     └─ chat gpt-4o
└─ reward score=1.0"""


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Let go of what other tests left, and here of the page's open clients."""
    gc.collect()
    yield
    gc.collect()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that the page's first snippet defines."""
    monkeypatch.setenv("HUD_API_KEY", "page-key-123")
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(snippet("The Example Environment"), "page", "exec"), names)
    return names


SCRIPT = [call(("lookup_ceo", {"company": "HUD"})), say("The initials are JR.")]
ONE_TURN = """\
eval trivia:initials reward=1.0 outcome=scored
├─ setup
├─ invoke_agent agent
│  └─ turn 1
│     └─ chat gpt-4o
└─ reward score=1.0"""


def test_chat_completions(names: dict[str, Any]) -> None:
    """The environment and the Chat Completions example: reward 1.0, the right tree."""
    with (
        ScriptedModel(SCRIPT) as model,
        redirect({GATEWAY: model.origin}),
        captured_spans() as spans,
    ):
        done = run(snippet("Chat Completions"), names, names["task"])
    assert done["ctx"].result.reward == 1.0
    assert span_tree(spans) == TREE
    assert {span.trace_id for span in spans} == {done["ctx"].result.trace_id}
    assert model.requests[1]["messages"][-1]["content"] == "Jay Ram"


def test_single_call_runner(
    names: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """`hud.run_scenario_chat` on an environment given by its name alone."""
    with (
        ScriptedModel(SCRIPT) as model,
        redirect({GATEWAY: model.origin}),
        captured_spans() as spans,
    ):
        code = snippet("Chat Completions (Single-Call Runner)")
        result = run(code, {"__name__": "page"}, None)["result"]
    printed = capsys.readouterr().out.split("\n")
    assert printed[:3] == ["The initials are JR.", "1.0", result.trace_id]
    assert span_tree(spans) == TREE
    assert {span.trace_id for span in spans} == {result.trace_id}


def test_interactive_chat(
    names: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """`hud.run_scenario_chat_interactive`: two messages, then the reward."""
    script = [SCRIPT[0], say("It is Jay Ram."), say("JR")]
    with (
        ScriptedModel(script) as model,
        redirect({GATEWAY: model.origin}),
        captured_spans() as spans,
    ):
        code = snippet("Interactive Scenario Chat (Turn-by-Turn)")
        result = run(code, {"__name__": "page"}, None)["result"]
    printed = capsys.readouterr().out.split("\n")
    assert printed[:4] == ["It is Jay Ram.", "JR", "1.0", result.trace_id]
    assert result.turns == 3
    assert {span.trace_id for span in spans} == {result.trace_id}
    (first,) = model.requests[0]["messages"]  # the prompt and the message are one
    assert "initials of the CEO of HUD" in first["content"]
    assert "initial investigation" in first["content"]


def test_responses(names: dict[str, Any]) -> None:
    """The Responses example; it makes one request, so the model answers at once."""
    with (
        ScriptedModel([say("The initials are JR.")]) as model,
        redirect({GATEWAY: model.origin}),
        captured_spans() as spans,
    ):
        client = AsyncOpenAI(base_url=GATEWAY, api_key="page-key-123")
        code = snippet("Responses API")
        done = run(code, {**names, "client": client}, names["task"])
    assert done["ctx"].result.reward == 1.0
    assert span_tree(spans) == ONE_TURN
    assert {span.trace_id for span in spans} == {done["ctx"].result.trace_id}


def test_responses_with_a_tool_call(names: dict[str, Any]) -> None:
    """Where the model calls a tool instead, the example runs it and has no answer."""
    with (
        ScriptedModel(SCRIPT) as model,
        redirect({GATEWAY: model.origin}),
        captured_spans() as spans,
    ):
        client = AsyncOpenAI(base_url=GATEWAY, api_key="page-key-123")
        code = snippet("Responses API")
        done = run(code, {**names, "client": client}, names["task"])
    assert done["ctx"].result.reward == 0.0
    assert "execute_tool lookup_ceo" in span_tree(spans)


def test_anthropic(names: dict[str, Any]) -> None:
    """The Anthropic example: reward 1.0, the right tree."""
    with (
        ScriptedModel(SCRIPT) as model,
        redirect({GATEWAY: model.origin}),
        captured_spans() as spans,
    ):
        done = run(snippet("Anthropic"), names, names["task"])
    assert done["ctx"].result.reward == 1.0
    assert span_tree(spans) == TREE.replace("gpt-4o", "claude-sonnet-4-20250514")
    assert {span.trace_id for span in spans} == {done["ctx"].result.trace_id}
    (returned,) = model.requests[1]["messages"][-1]["content"]
    assert returned["type"] == "tool_result"
