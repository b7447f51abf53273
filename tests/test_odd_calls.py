"""Calls without ids, and OpenAI's custom calls, whose input is free text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletionMessageCustomToolCall

import hudtrace as hud
from hudtrace.dialects import anthropic_messages, openai_chat, openai_responses
from hudtrace.messages import Message, with_ids

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture
def box() -> hud.Task:
    """A task with a tool that takes one text, and one that takes a number."""
    env = hud.Environment("box")

    @env.tool
    def run_code(code: str, timeout: float = 1.0) -> str:
        """Run code."""
        return f"ran {code}"

    @env.tool
    def add(a: int) -> int:
        """Add one."""
        return a + 1

    @env.scenario("one")
    async def one() -> Any:
        yield "p"
        yield 1.0

    return one()


def custom_call(api: str, name: str, text: str) -> Any:
    if api == "responses":
        wire = {"type": "custom_tool_call", "call_id": "c", "id": "ctc_1"}
        return {**wire, "name": name, "input": text}
    inner = {"name": name, "input": text}
    wire = {"id": "c", "type": "custom", "custom": inner}
    if api == "chat":
        return wire
    return ChatCompletionMessageCustomToolCall.model_validate(wire)


def content(reply: Any) -> str:
    assert reply.get("tool_call_id") or reply["call_id"] == "c"
    return str(reply.get("content") or reply.get("output"))


@pytest.mark.parametrize("api", ["chat", "chat object", "responses"])
async def test_a_custom_call_gives_its_text(box: hud.Task, api: str) -> None:
    """Free text is the one text that a tool takes; JSON arguments work too."""
    async with hud.eval(box) as ctx:
        for text in ("print(1)", '{"code": "print(1)"}'):
            reply = await ctx.call_tool(custom_call(api, "run_code", text))
            assert content(reply) == "ran print(1)"
        reply = await ctx.call_tool(custom_call(api, "run_code", '{"a": 1}'))
        assert content(reply) == 'ran {"a": 1}'
        assert content(await ctx.call_tool(custom_call(api, "add", '{"a": 1}'))) == "2"
        wrong = content(await ctx.call_tool(custom_call(api, "add", "one")))
    assert (
        wrong
        == "Error: the tool takes a JSON object of arguments; send one as the input"
    )
    assert ctx.tool_calls[0].arguments == {"code": "print(1)"}


def no_ids() -> list[Message]:
    call: Any = {"type": "tool_call", "id": None, "name": "f", "arguments": {}}
    other: Any = {**call, "name": "g"}
    answers: list[Any] = [
        {"type": "tool_call_response", "id": None, "name": "g", "response": "G"},
        {"type": "tool_call_response", "id": None, "name": "f", "response": "F"},
    ]
    return [
        {"role": "assistant", "parts": [call, other]},
        {"role": "tool", "parts": [answers[0]]},
        {"role": "tool", "parts": [answers[1]]},
    ]


def test_ids_are_made_for_calls_that_have_none() -> None:
    """Each answer gets the id of its call; what has ids, or no answer, stays."""
    calls, first, second = with_ids(no_ids())
    assert [part["id"] for part in calls["parts"]] == ["call_2", "call_1"]
    assert (first["parts"][0]["id"], second["parts"][0]["id"]) == ("call_1", "call_2")
    alone = no_ids()[:1]
    assert with_ids(alone) == alone


@pytest.mark.parametrize(
    "dialect", [openai_chat, openai_responses, anthropic_messages], ids=lambda d: d.name
)
def test_a_conversation_without_ids_goes_to_apis_that_want_them(dialect: Any) -> None:
    """A conversation of Gemini, written for another API, has an id for each call."""
    written = json.dumps(dialect.write_messages(no_ids()))
    assert written.count("call_1") == written.count("call_2") == 2
    alone = json.dumps(dialect.write_messages(no_ids()[:1]))
    assert 'id": null' not in alone
