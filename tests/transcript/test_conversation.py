"""A conversation is told once: each call with what is new, each tool with its result."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from openai import APIStatusError

import hudtrace as hud
from hudtrace.testing import call, error, say
from hudtrace.transcript import conversation
from hudtrace.verdicts import record_verdict

Told = Callable[[str], list[str]]
Db = Callable[[], sqlite3.Connection]
SYSTEM = {"role": "system", "content": "Be brief."}
HUD, ACME = ("lookup_ceo", {"company": "HUD"}), ("lookup_ceo", {"company": "Acme"})


async def test_an_episode(agent: Any, task: hud.Task, told: Told) -> None:
    """Calls have only what is new, tools their results, and the end its verdict."""
    worker = agent(call(HUD, text="I look."), say("JR"))
    async with hud.eval(task) as ctx:
        await ctx.submit(await worker.work(ctx, SYSTEM, str(ctx.prompt)))
    assert told(ctx.result.trace_id) == [
        "agent 0: 0 before",
        "  1 system: Be brief.",
        "  2 user: What are the initials of the CEO of HUD?",
        "  3 assistant*: I look.",
        '  3 assistant*: lookup_ceo({"company": "HUD"}) -> #4 Jay Ram',
        "agent 0: 3 before",
        "  5 assistant*: JR",
        "answer: JR",
        "reward reward: 1.0 None",
    ]


async def test_parallel_tool_calls(agent: Any, task: hud.Task, told: Told) -> None:
    """Each of the tool calls of one reply has the result with its id."""
    worker = agent(call(HUD, ACME), say("JR"))
    async with hud.eval(task) as ctx:
        await ctx.submit(await worker.work(ctx, str(ctx.prompt)))
    assert told(ctx.result.trace_id)[1:5] == [
        "  1 user: What are the initials of the CEO of HUD?",
        '  2 assistant*: lookup_ceo({"company": "HUD"}) -> #3 Jay Ram',
        '  2 assistant*: lookup_ceo({"company": "Acme"}) -> #4 Unknown',
        "agent 0: 2 before",
    ]


async def test_a_result_that_no_message_has(
    agent: Any, task: hud.Task, told: Told
) -> None:
    """A result that the model never saw is that of the tool's own span."""
    worker = agent(call(HUD, ("nope", {})))
    async with hud.eval(task) as ctx:
        reply = await worker.ask(str(ctx.prompt))
        for each in reply.tool_calls:
            await ctx.call_tool(each)
    lines = told(ctx.result.trace_id)
    assert '  2 assistant*: lookup_ceo({"company": "HUD"}) -> Jay Ram' in lines
    assert any(line.startswith("  2 assistant*: nope!({}) -> ") for line in lines)


async def test_a_call_of_a_tool_that_was_not_done(
    agent: Any, task: hud.Task, told: Told
) -> None:
    """What was asked for and never done has no span and no result."""
    worker = agent(call(HUD))
    async with hud.eval(task) as ctx:
        await worker.ask(str(ctx.prompt))
    lines = told(ctx.result.trace_id)
    assert '  2 assistant*: lookup_ceo?({"company": "HUD"})' in lines


async def test_tools_that_no_model_asked_for(task: hud.Task, told: Told) -> None:
    """Without a model, there are the prompt, the calls of tools, and the answer."""
    async with hud.eval(task) as ctx:
        await ctx.call_tool("lookup_ceo", company="HUD")
        await ctx.submit("JR")
    assert told(ctx.result.trace_id) == [
        "prompt: What are the initials of the CEO of HUD?",
        'agent tool: lookup_ceo({"company": "HUD"}) -> Jay Ram',
        "answer: JR",
        "reward reward: 1.0 None",
    ]


async def test_history_that_is_compacted(
    agent: Any, task: hud.Task, said: Told
) -> None:
    """Where an agent puts a summary in place of the past, that is said and shown."""
    worker = agent(say("one"), say("two"), say("three"), say("four"))
    async with hud.eval(task) as ctx:
        await worker.ask(SYSTEM, "first")
        await worker.ask("second")
        summary = {"role": "user", "content": "Summary of what went before."}
        worker.messages[1:] = [summary, *worker.messages[-2:]]
        await worker.ask("third")
        await worker.ask("fourth")
    assert said(ctx.result.trace_id) == [
        "agent 0: 0 before",
        "  1 system: Be brief.",
        "  2 user: first",
        "  3 assistant*: one",
        "agent 0: 3 before",
        "  4 user: second",
        "  5 assistant*: two",
        "agent 0: 3 before, rewritten at 1",
        "  6 user: Summary of what went before.",
        "  7 user: third",
        "  8 assistant*: three",
        "agent 0: 6 before",
        "  9 user: fourth",
        "  10 assistant*: four",
    ]


async def test_a_window_that_slides(agent: Any, task: hud.Task, said: Told) -> None:
    """Messages that stay while others go are not told again."""
    worker = agent(*(say(f"said {n}") for n in range(4)))
    async with hud.eval(task) as ctx:
        for n in range(4):
            worker.messages = worker.messages[-3:]
            await worker.ask(f"ask {n}")
    assert said(ctx.result.trace_id) == [
        "agent 0: 0 before",
        "  1 user: ask 0",
        "  2 assistant*: said 0",
        "agent 0: 2 before",
        "  3 user: ask 1",
        "  4 assistant*: said 1",
        "agent 0: 3 before, rewritten at 0",
        "  5 user: ask 2",
        "  6 assistant*: said 2",
        "agent 0: 3 before, rewritten at 0",
        "  7 user: ask 3",
        "  8 assistant*: said 3",
    ]


async def test_a_reply_that_was_changed(agent: Any, task: hud.Task, said: Told) -> None:
    """A reply that comes back as something else is a rewritten history."""
    worker = agent(say("It is JM."), say("ok"))
    async with hud.eval(task) as ctx:
        await worker.ask("hello")
        worker.messages[-1]["content"] = "It is JR."
        await worker.ask("go on")
    assert said(ctx.result.trace_id)[3:] == [
        "agent 0: 1 before, rewritten at 1",
        "  3 assistant: It is JR.",
        "  4 user: go on",
        "  5 assistant*: ok",
    ]


async def test_reasoning_that_is_not_sent_back(
    agent: Any, task: hud.Task, told: Told
) -> None:
    """A reply that comes back without its reasoning is the same reply."""
    worker = agent(call(HUD).but(reasoning="Hm."), say("JR").but(reasoning="Aha."))
    async with hud.eval(task) as ctx:
        reply = await worker.ask(str(ctx.prompt))
        worker.messages[-1].pop("reasoning", None)
        worker.messages[-1].pop("reasoning_content", None)
        result = await ctx.call_tool(reply.tool_calls[0])
        await worker.ask(result)
    lines = told(ctx.result.trace_id)
    assert "agent 0: 2 before" in lines
    assert not any("rewritten" in line for line in lines)


async def test_agents_below_an_agent(
    agent: Any, env: hud.Environment, told: Told
) -> None:
    """A model called within a tool has a thread of its own, also with the same words."""
    inner = agent(say("inner 1"), say("inner 2"))

    @env.tool()
    async def delegate(work: str) -> str:
        inner.messages = []
        await inner.ask(SYSTEM, work)
        return str((await inner.ask("go on")).content)

    outer = agent(call(("delegate", {"work": "do it"})), say("done"))
    async with hud.eval(env("initials", company="HUD")) as ctx:
        await ctx.submit(await outer.work(ctx, SYSTEM, "do it"))
    assert told(ctx.result.trace_id) == [
        "prompt: What are the initials of the CEO of HUD?",
        "agent 0: 0 before",
        "  1 system: Be brief.",
        "  2 user: do it",
        '  3 assistant*: delegate({"work": "do it"}) -> #7 inner 2',
        "agent 1: 2 before",
        "  4 assistant*: inner 1",
        "agent 1: 3 before",
        "  5 user: go on",
        "  6 assistant*: inner 2",
        "agent 0: 3 before",
        "  8 assistant*: done",
        "answer: done",
        "reward reward: 0.0 None",
    ]


async def test_two_conversations_side_by_side(
    agent: Any, task: hud.Task, told: Told
) -> None:
    """Calls that overlap and share only their instructions are two threads."""
    pair = [agent(say("x").but(delay=0.1), say("y")) for _ in range(2)]

    async def talk(number: int) -> None:
        await pair[number].ask(SYSTEM, f"part {number}")
        await pair[number].ask("and?")

    async with hud.eval(task) as ctx:
        await asyncio.gather(talk(0), talk(1))
    heads = [line for line in told(ctx.result.trace_id) if line.startswith("agent")]
    assert sorted(heads) == [
        "agent 0: 0 before",
        "agent 0: 3 before",
        "agent 1: 1 before",
        "agent 1: 3 before",
    ]


async def test_questions_one_after_the_other(
    agent: Any, task: hud.Task, told: Told
) -> None:
    """Single questions with the same instructions are not one rewritten history."""
    worker = agent(say("a"), say("b"))
    async with hud.eval(task) as ctx:
        for question in ("first", "second"):
            worker.messages = []
            await worker.ask(SYSTEM, question)
    lines = told(ctx.result.trace_id)
    assert "agent 1: 1 before" in lines
    assert not any("rewritten" in line for line in lines)


async def test_several_replies_to_the_same(
    agent: Any, task: hud.Task, said: Told
) -> None:
    """A question that is put again has nothing new but its reply."""
    worker = agent(say("a"), say("b"), say("c"))
    async with hud.eval(task) as ctx:
        for _ in range(2):
            worker.messages = []
            await worker.ask("same")
        await worker.ask("more")
    assert said(ctx.result.trace_id) == [
        "agent 0: 0 before",
        "  1 user: same",
        "  2 assistant*: a",
        "agent 0: 1 before",
        "  3 assistant*: b",
        "agent 0: 2 before",
        "  4 user: more",
        "  5 assistant*: c",
    ]


async def test_a_judge(agent: Any, told: Told) -> None:
    """What a judge is asked comes after the answer, before the reward, on its own."""
    judge = agent(say("Good: 0.5"))
    env = hud.Environment("judged")

    @env.scenario("s")
    async def scenario() -> Any:
        answer = yield "Say something."
        await judge.ask(f"How good is {answer!r}?")
        yield hud.Grade(0.5, explanation="as the judge says")

    async with hud.eval(env("s")) as ctx:
        await agent(say("something")).work(ctx, str(ctx.prompt))
        await ctx.submit("something")
    assert told(ctx.result.trace_id) == [
        "agent 0: 0 before",
        "  1 user: Say something.",
        "  2 assistant*: something",
        "answer: something",
        "grade 1: 0 before",
        "  3 user: How good is 'something'?",
        "  4 assistant*: Good: 0.5",
        "reward reward: 0.5 as the judge says",
    ]


@pytest.mark.parametrize("where", ["setup", "body", "grade"])
async def test_failures(where: str, task: hud.Task, told: Told) -> None:
    """An episode that failed ends with its error, whatever had failed."""
    env = hud.Environment("failing")

    @env.scenario("s")
    async def scenario() -> Any:
        if where == "setup":
            raise RuntimeError("no set-up")
        yield "Go."
        if where == "grade":
            raise RuntimeError("no grade")
        yield 1.0

    ctx = hud.eval(env("s"))
    with pytest.raises(RuntimeError, match=r"set-up|body|grade"):
        async with ctx:
            await ctx.submit("x")
            if where == "body":
                raise RuntimeError("no body")
    lines = told(ctx.result.trace_id)
    assert "RuntimeError" in lines[-1]
    assert lines[-1].startswith("error: ")


async def test_a_call_that_fails(agent: Any, task: hud.Task, said: Told) -> None:
    """A call that got no answer has what was asked, and why."""
    worker = agent(error(429), say("fine"))
    async with hud.eval(task) as ctx:
        with pytest.raises(APIStatusError):
            await worker.ask("hello")
        await worker.ask()
    assert said(ctx.result.trace_id) == [
        "agent 0: 0 before",
        "  1 user: hello",
        "  failed: openai.RateLimitError",
        "agent 0: 1 before",
        "  2 assistant*: fine",
    ]


async def test_a_stream_that_was_cut(
    agent: Any, task: hud.Task, db: Db, told: Told
) -> None:
    """A stream that was left early has what came, and says that it is incomplete."""
    worker = agent(say("a text of several words"))
    async with hud.eval(task) as ctx:
        stream = await worker.client.chat.completions.create(
            model="scripted-1",
            messages=[{"role": "user", "content": "hello"}],
            stream=True,
        )
        async for _ in stream:
            break
        await stream.close()
    reader = db()
    found = conversation.read(reader, ctx.result.trace_id)
    cut = next(
        item
        for item in conversation.page(reader, found, 0, 10)
        if item["kind"] == "call"
    )
    assert cut["incomplete"] == "closed"
    assert cut["new"][0]["parts"][0]["text"] == "hello"


async def test_a_conversation_that_the_provider_keeps(
    agent: Any, task: hud.Task, said: Told
) -> None:
    """A call that only names the response before it goes on in its thread."""
    worker = agent(say("one"), say("two"))
    async with hud.eval(task) as ctx:
        first = await worker.client.responses.create(model="scripted-1", input="hello")
        await worker.client.responses.create(
            model="scripted-1", input="more", previous_response_id=first.id
        )
    assert said(ctx.result.trace_id) == [
        "agent 0: 0 before",
        "  1 user: hello",
        "  2 assistant*: one",
        "agent 0: 2 before",
        "  3 user: more",
        "  4 assistant*: two",
    ]


async def test_an_episode_under_way(agent: Any, task: hud.Task, db: Db) -> None:
    """While an episode runs, its open spans are there, and numbers stay as they are."""
    worker = agent(call(HUD), say("JR").but(delay=1.5))
    async with hud.eval(task) as ctx:
        work = asyncio.create_task(worker.work(ctx, str(ctx.prompt)))
        await asyncio.sleep(1.3)
        reader = db()
        early = conversation.read(reader, ctx.trace_id)
        shown = conversation.page(reader, early, 0, 10)
        await work
    assert shown[0]["state"] == "done"
    reader = db()
    late = conversation.read(reader, ctx.trace_id)
    first = conversation.page(reader, late, 0, 1)[0]
    assert [m["n"] for m in first["new"]] == [m["n"] for m in shown[0]["new"]]
    assert [late.item_of_message(n) for n in (2, 3, 4)] == [0, 0, 1]
    assert late.item_of_message(5) is None


async def test_a_later_verdict(task: hud.Task, told: Told, db: Db) -> None:
    """A verdict that came later is last, with its explanation, and the first stays."""
    async with hud.eval(task) as ctx:
        await ctx.submit("JM")
    db()
    better = hud.Grade(1.0, explanation="a human says so")
    record_verdict(ctx.result.trace_id, better, evaluator="me", kind="human")
    assert told(ctx.result.trace_id)[-2:] == [
        "reward reward: 0.0 None",
        "reward reward: 1.0 a human says so",
    ]


async def test_an_instrumentor_beside_ours(
    agent: Any, task: hud.Task, told: Told
) -> None:
    """A call that another instrumentor records too is told once."""
    module = pytest.importorskip("openinference.instrumentation.openai")
    from opentelemetry import trace

    worker = agent(call(HUD), say("JR"))
    async with hud.eval(task) as ctx:
        instrumentor = module.OpenAIInstrumentor()
        instrumentor.instrument(tracer_provider=trace.get_tracer_provider())
        try:
            await ctx.submit(await worker.work(ctx, str(ctx.prompt)))
        finally:
            instrumentor.uninstrument()
    lines = told(ctx.result.trace_id)
    assert len([line for line in lines if line.startswith("agent")]) == 2
    assert lines[1] == "  1 user: What are the initials of the CEO of HUD?"


async def test_a_trace_that_is_not_there(task: hud.Task, db: Db) -> None:
    """An unknown trace has no items."""
    async with hud.eval(task):
        pass
    found = conversation.read(db(), "0" * 32)
    assert (found.calls, found.entries, found.messages) == ([], [], 0)


async def test_what_is_read(agent: Any, task: hud.Task, db: Db) -> None:
    """The skeleton asks for each new message once, a page only for what it shows."""
    asked: list[tuple[int, int]] = []
    for turns in (10, 40):
        worker = agent(*[call(HUD)] * turns, say("JR"))
        async with hud.eval(task) as ctx:
            await worker.work(ctx, str(ctx.prompt))
        reader, statements = db(), list[str]()
        reader.set_trace_callback(statements.append)
        found = conversation.read(reader, ctx.result.trace_id)
        skeleton = len(statements)
        conversation.page(reader, found, 3, 4)
        asked.append((skeleton, len(statements) - skeleton))
        reader.set_trace_callback(None)
    assert found.messages == 82
    (few, page), (many, same_page) = asked
    assert many - few == 30
    assert page == same_page
