"""`hud.run_scenario_chat_interactive`: message by message, streamed or not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

import hudtrace as hud
from hudtrace.chat import ChatEvent
from hudtrace.errors import EvalFinished
from hudtrace.messages import text_of
from hudtrace.testing import ScriptedModel, call, captured_spans, error, say

pytestmark = pytest.mark.usefixtures("store")
Connect = Callable[..., Any]
LOOKUP = call(("lookup_ceo", {"company": "HUD"}))


def open_chat(env: hud.Environment, client: Any, api: Any, **options: Any) -> Any:
    return hud.run_scenario_chat_interactive(
        client=client,
        model="m",
        env=env,
        scenario="initials",
        args={"company": "HUD"},
        api=api,
        **options,
    )


async def test_messages_and_their_answers(
    env: hud.Environment, api: str, connect: Connect, sync: bool
) -> None:
    """Each message is answered; the last answer is graded at the end."""
    with ScriptedModel([LOOKUP, say("Jay Ram"), say("JR")]) as model:
        async with open_chat(env, connect(model, sync=sync), api) as chat:
            first = await chat.send("Start.")
            second = await chat.send("Shorter.")
            result = await chat.finish()
            assert await chat.finish() is result
    assert (first.answer, str(second)) == ("Jay Ram", "JR")
    (used,) = first.tool_calls
    assert (used.name, used.arguments) == ("lookup_ceo", {"company": "HUD"})
    assert used.result.text == "Jay Ram"
    assert not second.tool_calls
    assert (result.reward, result.answer, result.turns) == (1.0, "JR", 3)
    roles = [m["role"] for m in model.requests[2].conversation]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]
    begin = text_of(model.requests[0].conversation[0])
    assert begin.startswith("What are the initials")
    assert begin.endswith("Start.")


async def test_a_stream_arrives_as_it_is_made(
    env: hud.Environment, api: str, connect: Connect, sync: bool
) -> None:
    """Text comes before the model has finished; tools are seen called and done."""
    slow = say("one two three four").but(chunk_delay=0.05)
    seen: list[tuple[ChatEvent, float]] = []
    with ScriptedModel([LOOKUP, slow]) as model:
        async with open_chat(env, connect(model, sync=sync), api) as chat:
            async for event in chat.send_stream("Go."):
                seen.append((event, time.monotonic()))
    kinds = [event.type for event, _ in seen]
    assert kinds[:2] == ["tool_call", "tool_result"]
    assert kinds[-1] == "done"
    texts = [(e.text, at) for e, at in seen if e.type == "text"]
    assert len(texts) >= 3
    assert "".join(text for text, _ in texts) == "one two three four"
    assert texts[-1][1] - texts[0][1] > 0.05  # not all at the end
    done = seen[-1][0]
    assert done.type == "done"
    assert done.reply.answer == "one two three four"
    assert done.reply.usage.output_tokens > 0
    assert chat.result.answer == "one two three four"


async def test_leaving_hands_in_the_last_answer(
    env: hud.Environment, api: str, connect: Connect
) -> None:
    """A block left without finish is graded with what was said last."""
    with ScriptedModel([say("It is JR")]) as model:
        async with open_chat(env, connect(model), api) as chat:
            await chat.send("Go.")
    assert (chat.result.reward, chat.result.answer) == (1.0, "It is JR")


async def test_an_answer_of_ones_own(
    env: hud.Environment, api: str, connect: Connect
) -> None:
    """`finish(answer=...)` hands in that instead; send after it is an error."""
    with ScriptedModel([say("no idea")]) as model:
        async with open_chat(env, connect(model), api) as chat:
            await chat.send()
            result = await chat.finish("JR")
            with pytest.raises(EvalFinished, match="send came after the end"):
                await chat.send("more")
    assert (result.reward, result.answer) == (1.0, "JR")


async def test_a_failed_message_can_be_sent_again(
    env: hud.Environment, api: str, connect: Connect
) -> None:
    """After a provider's error the conversation is as it was before the message."""
    script = [say("hello"), LOOKUP, error(400, "try later"), say("JR")]
    with ScriptedModel(script) as model:
        async with open_chat(env, connect(model), api) as chat:
            await chat.send("Hi.")
            with pytest.raises(Exception, match="try later"):
                await chat.send("Who?")
            await chat.send("Who is it?")
    assert chat.result.reward == 1.0
    conversation = model.requests[-1].conversation
    assert [m["role"] for m in conversation] == ["user", "assistant", "user"]
    assert text_of(conversation[-1]) == "Who is it?"


async def test_a_stream_can_be_left(
    env: hud.Environment, api: str, connect: Connect
) -> None:
    """Closing the stream stops the model, ends the span, and keeps the chat usable."""
    endless = say("word " * 200).but(chunk_delay=0.02)
    with ScriptedModel([endless, say("JR")]) as model, captured_spans() as spans:
        async with open_chat(env, connect(model), api) as chat:
            stream = chat.send_stream("Go.")
            async for event in stream:
                if event.type == "text":
                    break
            await stream.aclose()
            reply = await chat.send("In short?")
    assert reply.answer == "JR"
    first = next(span for span in spans if span.name == "chat m")
    assert first.attributes["hud.response.incomplete"] in ("closed", "cancelled")
    assert [m["role"] for m in model.requests[-1].conversation] == ["user"]


async def test_steps_of_one_message(
    env: hud.Environment, api: str, connect: Connect
) -> None:
    """A message whose steps are used up says so, and the chat goes on."""
    with ScriptedModel([LOOKUP, LOOKUP, say("JR")]) as model:
        async with open_chat(env, connect(model), api, max_steps=2) as chat:
            first = await chat.send("Go.")
            second = await chat.send("Well?")
    assert (first.stopped_by, len(first.tool_calls)) == ("turns", 2)
    assert (second.stopped_by, second.answer) == (None, "JR")
    assert chat.result.reward == 1.0


async def test_options_of_one_message(
    env: hud.Environment, api: str, connect: Connect
) -> None:
    """Model, options and steps can be given for a message; they hold for it alone."""
    script = [say("one"), LOOKUP, say("two")]
    with ScriptedModel(script) as model:
        async with open_chat(
            env, connect(model), api, request={"temperature": 0.25}
        ) as chat:
            await chat.send("a")
            changed = {"model": "other", "request": {"temperature": 0.75}}
            async for event in chat.send_stream("b", **changed, max_steps=1):
                last = event
            assert last.type == "done"
            assert last.reply.stopped_by == "turns"
            await chat.send("c")

    def temperature(request: Any) -> Any:
        return {**request, **request.get("generationConfig", {})}["temperature"]

    assert [temperature(r) for r in model.requests] == [0.25, 0.75, 0.25]
    if api != "gemini":  # the model is in the path there
        assert [r["model"] for r in model.requests] == ["m", "other", "m"]


async def test_a_bad_option_of_a_message(
    env: hud.Environment, api: str, connect: Connect
) -> None:
    """It is refused before anything is sent, and the chat goes on."""
    with ScriptedModel([say("JR")]) as model:
        async with open_chat(env, connect(model), api) as chat:
            with pytest.raises(ValueError, match="a chat sets this itself"):
                await chat.send("a", request={"model": "x"})
            with pytest.raises(ValueError, match="max_steps=0"):
                await chat.send("a", max_steps=0)
            await chat.send("a")
    assert len(model.requests) == 1


async def test_messages_wait_for_each_other(
    env: hud.Environment, api: str, connect: Connect
) -> None:
    """Two messages sent at once are answered one after the other."""
    with ScriptedModel([say("one", delay=0.1), say("JR")]) as model:
        async with open_chat(env, connect(model), api) as chat:
            first, second = await asyncio.gather(chat.send("a"), chat.send("b"))
    assert (first.answer, second.answer) == ("one", "JR")
    assert len(model.requests[1].conversation) == 3


async def test_the_prompt_alone_comes_first(
    env: hud.Environment, api: str, connect: Connect
) -> None:
    """`send()` gives the scenario's prompt, once."""
    with ScriptedModel([say("JR")]) as model:
        async with open_chat(env, connect(model), api) as chat:
            await chat.send()
            with pytest.raises(ValueError, match="has already; say something"):
                await chat.send()
    assert chat.result.reward == 1.0


async def test_a_stop_by_a_limit_while_streaming(
    env: hud.Environment, api: str, connect: Connect
) -> None:
    """A limit that is reached inside a stream ends the block, graded."""
    limits = hud.Limits(turns=1)
    with ScriptedModel(
        [call(("lookup_ceo", {"company": "HUD"}), text="JR?")] * 3
    ) as model:
        async with open_chat(env, connect(model), api, limits=limits) as chat:
            async for _ in chat.send_stream("Go."):
                pass
    assert (chat.result.stopped_by, chat.result.answer) == ("turns", "JR?")
    assert chat.result.reward == 1.0
