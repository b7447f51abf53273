"""`ctx.call_tool` with each provider's own calls, and answers that its API takes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

import hudtrace as hud
from hudtrace.testing import ScriptedModel, call, say

pytestmark = pytest.mark.usefixtures("store")
Connect = Callable[..., Any]
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8


@pytest.fixture
def box() -> hud.Task:
    """A task with tools that answer in every way."""
    env = hud.Environment("box")

    @env.tool
    def add(a: int, b: int = 1) -> int:
        """Add two numbers."""
        return a + b

    @env.tool
    def boom() -> str:
        """Fail."""
        raise RuntimeError("internal detail")

    @env.tool
    def refuse() -> str:
        """Refuse."""
        raise hud.ToolError("the door is locked; find the key")

    @env.tool
    def picture() -> hud.Image:
        """Draw."""
        return hud.Image(PNG)

    @env.scenario("one")
    async def one() -> Any:
        yield "p"
        yield 1.0

    return one()


class Talk:
    """One model call after the other, through a real client, as its users write it."""

    def __init__(self, api: str, client: Any, ctx: hud.EvalContext) -> None:
        self.api, self.client, self.ctx = api, client, ctx
        self.history: list[Any] = [{"role": "user", "content": "go"}]
        if api == "gemini":
            self.history = [{"role": "user", "parts": [{"text": "go"}]}]

    async def ask(self) -> list[Any]:
        """Send the conversation; return the tool calls that come back."""
        ctx, history = self.ctx, self.history
        if self.api == "chat_completions":
            tools: Any = ctx.as_openai_chat_tools(strict=True)
            answer = await self.client.chat.completions.create(
                model="m", messages=history, tools=tools
            )
            message = answer.choices[0].message
            history.append(message)
            return list(message.tool_calls or ())
        if self.api == "responses":
            tools = ctx.as_openai_responses_tools(strict=True)
            answer = await self.client.responses.create(
                model="m", input=history, tools=tools
            )
            history += answer.output
            return [item for item in answer.output if item.type == "function_call"]
        if self.api == "anthropic":
            tools = ctx.as_claude_tools(cache_control=True)
            answer = await self.client.messages.create(
                model="m", max_tokens=99, messages=history, tools=tools
            )
            history.append({"role": "assistant", "content": answer.content})
            return [block for block in answer.content if block.type == "tool_use"]
        config = {
            "tools": ctx.as_gemini_tools(),
            "tool_config": ctx.as_gemini_tool_config(),
            "automatic_function_calling": {"disable": True},
        }
        answer = await self.client.aio.models.generate_content(
            model="m", contents=history, config=config
        )
        content = answer.candidates[0].content
        history.append(content)
        return [part for part in content.parts if part.function_call]

    def give(self, results: list[Any]) -> None:
        """Put the results into the conversation."""
        if self.api == "anthropic":
            self.history.append({"role": "user", "content": results})
        elif self.api == "gemini":
            self.history.append({"role": "user", "parts": results})
        else:
            self.history += results


def plain(thing: Any) -> Any:
    """Return what an SDK's object says as JSON."""
    dump = getattr(thing, "model_dump", None)
    return thing if dump is None else dump(mode="json", exclude_none=True)


def is_error(api: str, result: Any) -> bool:
    """Say whether a result is marked as an error in the API's own way."""
    wire = plain(result)
    if api == "anthropic":
        return bool(wire.get("is_error", False))
    if api == "gemini":
        return "error" in wire["function_response"]["response"]
    return str(wire.get("content") or wire.get("output")).startswith("Error")


CALLS = [
    ("add", {"a": 2, "b": 3}, "5", False),
    ("add", {"a": 4}, "5", False),
    ("adds", {"a": 1}, "unknown tool 'adds'; available: add, boom", True),
    ("add", {"a": "many"}, "a: ", True),
    ("add", {}, "a: ", True),
    ("add", {"a": 1, "z": 2}, "z: ", True),
    ("boom", {}, "the tool failed with RuntimeError", True),
    ("refuse", {}, "the door is locked; find the key", True),
]


@pytest.mark.parametrize("as_dict", [False, True], ids=["object", "dict"])
async def test_results_in_the_form_of_the_call(
    box: hud.Task, api: str, connect: Connect, as_dict: bool
) -> None:
    """Good and bad calls of one turn, object or dict: the strict API takes the answers."""
    script = [call(*((name, args) for name, args, _, _ in CALLS)), say("done")]
    with ScriptedModel(script) as model:
        async with hud.eval(box) as ctx:
            talk = Talk(api, connect(model), ctx)
            calls = await talk.ask()
            asked = [plain(each) if as_dict else each for each in calls]
            results = await ctx.call_tools(asked)
            talk.give(results)
            assert await talk.ask() == []
            await ctx.submit("done")
    assert len(results) == len(CALLS)
    for result, (_, _, text, failed) in zip(results, CALLS, strict=True):
        assert text in json.dumps(plain(result), ensure_ascii=False)
        assert is_error(api, result) is failed
    same_kind = isinstance(results[0], dict)
    assert same_kind is (as_dict or api != "gemini")
    tally = ctx.result
    assert (tally.tool_calls, tally.tool_errors, tally.turns) == (8, 6, 2)


async def test_an_image_goes_back_as_one(
    box: hud.Task, api: str, connect: Connect
) -> None:
    """An image is an image where the format has them, and is named elsewhere."""
    with ScriptedModel([call(("picture", {})), say("done")]) as model:
        async with hud.eval(box) as ctx:
            talk = Talk(api, connect(model), ctx)
            talk.give(await ctx.call_tools(await talk.ask()))
            await talk.ask()
    sent = json.dumps(model.requests[1])
    if api == "chat_completions":
        assert "[image: image/png, 16 bytes]" in sent
    else:
        assert base64.b64encode(PNG).decode() in sent.replace("_", "/")


@pytest.mark.parametrize("api", ["chat_completions", "responses"], indirect=True)
@pytest.mark.parametrize("broken", ["{", "[1]", '"x"', "not json", '{"a": 1'])
async def test_arguments_that_are_no_json_object(
    box: hud.Task, api: str, connect: Connect, broken: str
) -> None:
    """Arguments that cannot be read are told to the model, the loop goes on."""
    with ScriptedModel([call(("add", broken)), say("done")]) as model:
        async with hud.eval(box) as ctx:
            talk = Talk(api, connect(model), ctx)
            (result,) = await ctx.call_tools(await talk.ask())
            talk.give([result])
            await talk.ask()
    assert is_error(api, result)
    assert "send a JSON object" in str(plain(result))


async def test_ids_come_back(box: hud.Task, api: str, connect: Connect) -> None:
    """Each result carries the id of its call, also when they are the same call twice."""
    twice = call(("add", {"a": 1}), ("add", {"a": 1}))
    with ScriptedModel([twice, say("done")]) as model:
        async with hud.eval(box) as ctx:
            talk = Talk(api, connect(model), ctx)
            results = [plain(r) for r in await ctx.call_tools(await talk.ask())]
    keys = {"responses": "call_id", "anthropic": "tool_use_id"}
    if api == "gemini":
        results = [result["function_response"] for result in results]
    ids = [
        result[keys.get(api, "id" if api == "gemini" else "tool_call_id")]
        for result in results
    ]
    assert len(set(ids)) == 2
