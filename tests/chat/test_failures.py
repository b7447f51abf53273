"""Chats that go wrong: unusable arguments, failing providers, streams that end early."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import openai
import pytest

import hudtrace as hud
from hudtrace.testing import (
    CapturedSpan,
    ScriptedModel,
    call,
    captured_spans,
    error,
    say,
)

pytestmark = pytest.mark.usefixtures("store")
Connect = Callable[..., Any]
UNFINISHED = {
    "chat_completions": {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": "J"}}],
    },
    "responses": {
        "type": "response.output_text.delta",
        "item_id": "i",
        "output_index": 0,
        "content_index": 0,
        "delta": "J",
        "sequence_number": 1,
        "logprobs": [],
    },
    "anthropic": {
        "type": "message_start",
        "message": {
            "id": "msg",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [],
            "usage": {"input_tokens": 1, "output_tokens": 1},
        },
    },
    "gemini": {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "J"}]}}]
    },
}


def named(spans: list[CapturedSpan], prefix: str) -> list[CapturedSpan]:
    """Return the spans whose name begins with *prefix*."""
    return [span for span in spans if span.name.startswith(prefix)]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_steps": 0}, "max_steps=0"),
        ({"max_steps": -1}, "max_steps=-1"),
        ({"max_steps": 1.5}, "max_steps=1.5"),
        ({"max_steps": True}, "max_steps=True"),
        ({"system_prompt": ["a"]}, r"system_prompt=\['a'\]"),
        ({"request": "x"}, "request='x'"),
        ({"request": {"tools": None}}, "'tools': None"),
        ({"request": {"model": "n"}}, "model="),
        ({"request": {"stream": True}}, r"send_stream\(\)"),
        ({"limits": {"turns": 1}}, r"hud\.Limits"),
        ({"model": None}, "model=None"),
        ({"task": "trivia"}, "task='trivia'"),
        ({"task": None, "env": 1, "scenario": "s", "args": "abc"}, "args='abc'"),
    ],
    ids=lambda value: str(value)[:30],
)
@pytest.mark.parametrize("interactive", [False, True])
async def test_unusable_arguments_open_nothing(
    task: hud.Task,
    api: Any,
    connect: Connect,
    wrong: Any,
    message: str,
    interactive: bool,
) -> None:
    """They are refused by name before a trace is begun."""
    run = hud.run_scenario_chat_interactive if interactive else hud.run_scenario_chat
    with ScriptedModel([say("JR")]) as model, captured_spans() as spans:
        asked = {"client": connect(model), "model": "m", "task": task, "api": api}
        with pytest.raises((TypeError, ValueError), match=message):
            done: Any = run(**{**asked, **wrong})
            await done
    assert (spans, model.requests) == ([], [])


@pytest.mark.parametrize("key", ["history", "system"])
async def test_options_that_the_chat_sets_itself(
    task: hud.Task, api: Any, connect: Connect, key: str
) -> None:
    """History and a second system prompt are refused, and the caller's list is kept."""
    names = {
        "chat_completions": {"history": "messages"},
        "responses": {"history": "input"},
        "anthropic": {"history": "messages", "system": "system"},
        "gemini": {"history": "contents", "system": "system_instruction"},
    }[api]
    if key not in names:
        pytest.skip("this API has the system prompt among the messages")
    request = {names[key]: []}
    with ScriptedModel([say("JR")]) as model:
        with pytest.raises(ValueError, match=names[key]):
            await hud.run_scenario_chat(
                client=connect(model),
                model="m",
                task=task,
                api=api,
                system_prompt="Be brief.",
                request=request,
            )
    assert request == {names[key]: []}


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(error(500), id="500"),
        pytest.param(say("JR").but(raw=b"<html>busy</html>"), id="no JSON"),
        pytest.param(say("JR" * 400).but(cut_after=100), id="cut"),
    ],
)
async def test_what_the_provider_breaks_is_its_error(
    task: hud.Task, api: Any, connect: Connect, sync: bool, reply: Any
) -> None:
    """The outcome is `provider_error`, and the call's span carries the error."""
    with ScriptedModel([reply]) as model, captured_spans() as spans:
        result = await hud.run_scenario_chat(
            client=connect(model, sync=sync), model="m", task=task, api=api
        )
    assert (result.outcome, result.reward) == ("provider_error", None), result.error
    assert result.error
    assert {span.status for span in named(spans, "chat")} == {2}


async def test_a_server_that_is_not_there(
    task: hud.Task, api: Any, connect: Connect, sync: bool
) -> None:
    """A refused connection is the provider's error too."""
    with ScriptedModel([say("JR")]) as model:
        client = connect(model, sync=sync)
    with captured_spans() as spans:
        result = await hud.run_scenario_chat(
            client=client, model="m", task=task, api=api
        )
    assert result.outcome == "provider_error", result.error
    assert {span.status for span in named(spans, "chat")} == {2}


@pytest.mark.parametrize("how", ["cut", "unfinished"])
async def test_a_stream_without_its_end_is_no_answer(
    task: hud.Task, api: Any, connect: Connect, sync: bool, how: str
) -> None:
    """What came of it is not graded; the span says that it was cut."""
    event = json.dumps(UNFINISHED[api]).encode()
    reply = (
        say("J and R " * 50).but(cut_after=1)
        if how == "cut"
        else say("").but(raw=event)
    )
    with ScriptedModel([reply]) as model, captured_spans() as spans:
        chat = hud.run_scenario_chat_interactive(
            client=connect(model, sync=sync),
            model="m",
            task=task,
            api=api,
            on_error="record",
        )
        async with chat:
            async for _ in chat.send_stream():
                pass
    assert (chat.result.outcome, chat.result.answer) == ("provider_error", None)
    [span] = named(spans, "chat")
    expected = "error" if how == "cut" else "cut"
    assert span.attributes["hud.response.incomplete"] == expected
    assert span.status == 2


async def test_a_failed_message_takes_its_text_back(
    task: hud.Task, api: Any, connect: Connect
) -> None:
    """What was said on the way to a failure is not handed in as the answer."""
    lookup = call(("lookup_ceo", {"company": "HUD"}), text="Let me look.")
    with ScriptedModel([say("JR"), lookup, error(500)]) as model:
        chat = hud.run_scenario_chat_interactive(
            client=connect(model), model="m", task=task, api=api
        )
        async with chat:
            await chat.send()
            with pytest.raises(Exception, match="scripted error"):
                await chat.send("Are you sure?")
    assert (chat.result.answer, chat.result.reward) == ("JR", 1.0)


async def test_a_stream_that_is_left_stops_the_model(
    task: hud.Task, api: Any, connect: Connect, sync: bool
) -> None:
    """The call is ended as soon as its client can be stopped, and not as an error."""
    slow = say("JR " * 200).but(chunk_delay=0.05)
    with ScriptedModel([slow]) as model, captured_spans() as spans:
        chat = hud.run_scenario_chat_interactive(
            client=connect(model, sync=sync), model="m", task=task, api=api
        )
        async with chat:
            stream = chat.send_stream()
            async for _ in stream:
                break
            await stream.aclose()
            for _ in range(1000):
                if not named(spans, "chat"):
                    await asyncio.sleep(0.01)
    [span] = named(spans, "chat")
    assert span.attributes["hud.response.incomplete"] in ("closed", "cancelled")
    # A stream read to its end would have taken longer than all of this.
    assert span.end - span.start < 5e9


async def test_first_messages_at_once_hold_the_prompt_once(
    task: hud.Task, api: Any, connect: Connect
) -> None:
    """Of two first messages sent together only one carries the prompt."""
    with ScriptedModel([say("JR")] * 2) as model:
        chat = hud.run_scenario_chat_interactive(
            client=connect(model), model="m", task=task, api=api
        )
        async with chat:
            await asyncio.gather(chat.send("a"), chat.send("b"))
            prompt = chat.context.prompt
    assert json.dumps(model.requests[1]).count(prompt) == 1


async def test_tool_calls_are_in_the_order_of_the_calls(
    api: Any, connect: Connect
) -> None:
    """However long each takes, `reply.tool_calls` is as the model asked."""
    env = hud.Environment("slow")

    @env.tool
    async def wait(seconds: float) -> float:
        """Wait."""
        await asyncio.sleep(seconds)
        return seconds

    @env.scenario("one")
    async def one() -> Any:
        yield "p"
        yield 1.0

    asked = [0.2, 0.0, 0.1]
    calls = call(*[("wait", {"seconds": each}) for each in asked])
    with ScriptedModel([calls, say("done")]) as model:
        chat = hud.run_scenario_chat_interactive(
            client=connect(model), model="m", task=one(), api=api
        )
        async with chat:
            reply = await chat.send()
    assert [r.arguments["seconds"] for r in reply.tool_calls if r.arguments] == asked


async def test_a_chat_in_a_job_of_many_tasks(
    task: hud.Task, api: Any, connect: Connect
) -> None:
    """`hud.run_chat` works inside the job's episodes, and opens none of its own."""
    with ScriptedModel(lambda _: say("JR")) as model, captured_spans() as spans:
        client = connect(model)

        @hud.traced_eval([task], group=3)
        async def run(ctx: hud.EvalContext) -> None:
            await hud.run_chat(ctx, client=client, model="m", api=api)

        job = await run()
    assert [result.reward for result in job.results] == [1.0] * 3
    assert len(named(spans, "eval ")) == 3


def test_a_chat_in_sync_code(
    task: hud.Task, api: Any, connect: Connect, sync: bool
) -> None:
    """`hud.run_chat` takes a sync eval's context, and returns the reply."""
    with ScriptedModel([say("JR"), say("JR")]) as model, captured_spans() as spans:
        client = connect(model, sync=sync)
        with hud.eval(task) as ctx:
            reply = hud.run_chat(ctx, client=client, model="m", api=api)
        assert (reply.answer, ctx.answer, ctx.reward) == ("JR", "JR", 1.0)

        @hud.traced_eval([task])
        def run(ctx: hud.SyncEvalContext) -> None:
            hud.run_chat(ctx, client=client, model="m", api=api)

        assert run().mean == 1.0
    (turn, _) = named(spans, "turn")
    (agent, _) = named(spans, "invoke_agent")
    assert turn.parent_id == agent.span_id


def test_a_chat_in_sync_code_stops_at_a_limit(task: hud.Task) -> None:
    """A limit ends it as it ends one in async code; the eval is graded."""
    lookup = call(("lookup_ceo", {"company": "HUD"}))
    with ScriptedModel(lambda _: lookup) as model:
        client = openai.OpenAI(base_url=model.url, api_key="x")
        with hud.eval(task, limits=hud.Limits(turns=2)) as ctx:
            hud.run_chat(ctx, client=client, model="m", max_steps=None)
            pytest.fail("the limit must end the block")
    assert (ctx.result.stopped_by, ctx.result.turns) == ("turns", 2)


def test_forms_that_a_chat_does_not_have(task: hud.Task) -> None:
    """A chat with a user is async; `run_chat` takes a context: both say so."""
    client = openai.OpenAI(base_url="http://127.0.0.1:9", api_key="x")
    chat = hud.run_scenario_chat_interactive(client=client, model="m", task=task)
    with pytest.raises(TypeError, match="a chat is for async code: 'async with"), chat:
        pytest.fail("the body must not run")
    with pytest.raises(TypeError, match="takes the context of an open eval"):
        hud.run_chat(task, client=client, model="m")  # type: ignore[call-overload]


async def test_a_client_that_is_not_instrumented(task: hud.Task) -> None:
    """Its calls are spans all the same, with tokens in the result, under limits."""

    class Stub:
        """Has the methods of a client, and nothing else of it."""

        def __init__(self) -> None:
            self.chat = SimpleNamespace(completions=self)

        async def create(self, **body: Any) -> Any:
            usage = {"prompt_tokens": 70, "completion_tokens": 5}
            message = {"role": "assistant", "content": "JR"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            if not body.get("stream"):
                return {"model": "m", "choices": [choice], "usage": usage}
            return self.pieces({**choice, "delta": message}, usage)

        async def pieces(self, choice: Any, usage: Any) -> Any:
            yield {"model": "m", "choices": [choice], "usage": usage}

    asked: Any = {
        "client": Stub(),
        "model": "m",
        "task": task,
        "api": "chat_completions",
    }
    with captured_spans() as spans:
        result = await hud.run_scenario_chat(**asked)
        async with hud.run_scenario_chat_interactive(**asked) as chat:
            async for _ in chat.send_stream():
                pass
        limited = hud.run_scenario_chat_interactive(
            **asked, limits=hud.Limits(tokens=9)
        )
        async with limited:
            await limited.send()
            await limited.send("again")
    for each in (result, chat.result):
        assert (each.reward, each.turns) == (1.0, 1)
        assert (each.usage.input_tokens, each.usage.output_tokens) == (70, 5)
    assert limited.result.stopped_by == "tokens"
    assert len(named(spans, "chat m")) == 3
