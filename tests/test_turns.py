"""Turns: one test for each sentence of their rules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI
from opentelemetry import trace

import hudtrace as hud
from hudtrace.testing import (
    CapturedSpan,
    ScriptedModel,
    ScriptedReply,
    call,
    captured_spans,
    say,
    span_tree,
)

pytestmark = pytest.mark.usefixtures("store")
LOOKUP = ("lookup_ceo", {"company": "HUD"})


def answer(request: dict[str, Any]) -> ScriptedReply:
    """Ask for a tool until there is a result; then say something."""
    wants = "tool" in str(request["messages"][0]["content"])
    if wants and request["messages"][-1]["role"] != "tool":
        return call(LOOKUP)
    return say("JR")


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    """A scripted model."""
    with ScriptedModel(answer) as served:
        yield served


@pytest.fixture
def spans() -> Iterator[list[CapturedSpan]]:
    """The spans that end during the test."""
    with captured_spans() as caught:
        yield caught


class Client:
    """A client of the scripted model; `ask` makes one call."""

    def __init__(self, model: ScriptedModel) -> None:
        self.openai = AsyncOpenAI(base_url=model.url, api_key="scripted")

    async def ask(self, text: str = "hello") -> Any:
        response = await self.openai.chat.completions.create(
            model="scripted-1",
            messages=[{"role": "user", "content": text}],
            tools=[{"type": "function", "function": {"name": "lookup_ceo"}}],
        )
        return response.choices[0].message


@pytest.fixture
async def client(model: ScriptedModel) -> AsyncIterator[Client]:
    """A client of the scripted model."""
    client = Client(model)
    yield client
    await client.openai.close()


async def test_a_model_call_opens_a_turn(
    task: hud.Task, client: Client, spans: list[CapturedSpan]
) -> None:
    """A call while the agent span is current opens a turn; the next one ends it."""
    async with hud.eval(task) as ctx:
        await client.ask()
        assert not [s for s in spans if s.name == "turn"]
        await client.ask()
        assert len([s for s in spans if s.name == "turn"]) == 1
    assert ctx.result.turns == 2
    turns = [s for s in spans if s.name == "turn"]
    assert [t.attributes["hud.turn.index"] for t in turns] == [1, 2]
    chats = [s for s in spans if s.name.startswith("chat")]
    assert [c.parent_id for c in chats] == [t.span_id for t in turns]


async def test_submit_ends_the_turn(
    task: hud.Task, client: Client, spans: list[CapturedSpan]
) -> None:
    """An open turn ends at submit."""
    async with hud.eval(task) as ctx:
        await client.ask()
        await ctx.submit("JR")
        assert [s.name for s in spans if s.name == "turn"] == ["turn"]


async def test_exit_ends_the_turn(
    task: hud.Task, client: Client, spans: list[CapturedSpan]
) -> None:
    """An open turn ends when the body does."""
    with pytest.raises(ValueError, match="over"):
        async with hud.eval(task):
            await client.ask()
            raise ValueError("over")
    assert [s.name for s in spans if s.name == "turn"] == ["turn"]


async def test_tool_call_goes_to_the_turn_of_its_id(
    task: hud.Task, client: Client, spans: list[CapturedSpan]
) -> None:
    """A tool call belongs to the turn whose reply holds its id, though others came."""
    async with hud.eval(task) as ctx:
        first = await client.ask("tool please")
        await client.ask("something else")
        await ctx.call_tool(first.tool_calls[0])
        await ctx.submit("JR")
    tool = next(s for s in spans if s.name.startswith("execute_tool"))
    turn = next(s for s in spans if s.span_id == tool.parent_id)
    assert turn.attributes["hud.turn.index"] == 1
    assert tool.attributes["hud.turn.index"] == 1


async def test_tool_call_without_id_goes_by_name_and_arguments(
    task: hud.Task, client: Client, spans: list[CapturedSpan]
) -> None:
    """Without an id, the turn with an open call of that name and arguments has it."""
    async with hud.eval(task) as ctx:
        await client.ask("tool please")
        await client.ask("something else")
        await ctx.call_tool("lookup_ceo", company="HUD")
        await ctx.submit("JR")
    tool = next(s for s in spans if s.name.startswith("execute_tool"))
    assert tool.attributes["hud.turn.index"] == 1


async def test_other_tool_calls_go_to_the_latest_turn(
    task: hud.Task, client: Client, spans: list[CapturedSpan]
) -> None:
    """A call that no reply asked for belongs to the latest turn."""
    async with hud.eval(task) as ctx:
        await client.ask("tool please")
        await client.ask("something else")
        await ctx.call_tool("lookup_ceo", company="OpenAI")
        await ctx.submit("JR")
    tool = next(s for s in spans if s.name.startswith("execute_tool"))
    assert tool.attributes["hud.turn.index"] == 2


async def test_parallel_calls_are_sibling_turns(
    task: hud.Task, client: Client, spans: list[CapturedSpan]
) -> None:
    """Model calls at the same time are turns beside each other."""
    async with hud.eval(task) as ctx:
        await asyncio.gather(*(client.ask() for _ in range(3)))
        await ctx.submit("JR")
    turns = [s for s in spans if s.name == "turn"]
    agent = next(s for s in spans if s.name == "invoke_agent agent")
    assert {t.parent_id for t in turns} == {agent.span_id}
    assert sorted(t.attributes["hud.turn.index"] for t in turns) == [1, 2, 3]


async def test_a_users_span_is_not_re_parented(
    task: hud.Task, client: Client, spans: list[CapturedSpan]
) -> None:
    """Below a user's span, chat and tool stay there and only get the index."""
    tracer = trace.get_tracer("user")
    async with hud.eval(task) as ctx:
        with tracer.start_as_current_span("mine"):
            message = await client.ask("tool please")
            await ctx.call_tool(message.tool_calls[0])
        await ctx.submit("JR")
    mine = next(s for s in spans if s.name == "mine")
    below = [s for s in spans if s.parent_id == mine.span_id]
    assert [s.name.split()[0] for s in below] == ["chat", "execute_tool"]
    assert [s.attributes["hud.turn.index"] for s in below] == [1, 1]
    assert not [s for s in spans if s.name == "turn"]
    assert ctx.result.turns == 1


async def test_a_users_span_is_stored_and_stamped(
    task: hud.Task, spans: list[CapturedSpan]
) -> None:
    """A user's span inside an eval is part of its trace, with the eval's stamps."""
    async with hud.eval(task, job="nightly") as ctx:
        with trace.get_tracer("user").start_as_current_span("mine"):
            pass
        await ctx.submit("JR")
    mine = next(s for s in spans if s.name == "mine")
    assert mine.trace_id == ctx.trace_id
    assert mine.attributes["hud.job.id"] == "nightly"
    assert mine.attributes["hud.phase"] == "agent"


async def test_a_turn_by_hand(
    task: hud.Task, client: Client, spans: list[CapturedSpan]
) -> None:
    """`async with ctx.turn()` holds several model calls in one turn."""
    async with hud.eval(task) as ctx:
        async with ctx.turn():
            await client.ask()
            await client.ask()
        await ctx.submit("JR")
    assert ctx.result.turns == 1
    turn = next(s for s in spans if s.name == "turn")
    chats = [s for s in spans if s.name.startswith("chat")]
    assert [c.parent_id for c in chats] == [turn.span_id] * 2


async def test_calls_inside_tools_setup_and_grading_open_no_turn(
    client: Client, spans: list[CapturedSpan]
) -> None:
    """Only the agent's own calls are turns; the others' tokens are told apart."""
    env = hud.Environment("nested")

    @env.tool
    async def think() -> str:
        """Think."""
        return str((await client.ask()).content)

    @env.scenario("one")
    async def one() -> Any:
        await client.ask()
        yield "p"
        await client.ask()
        yield 1.0

    async with hud.eval(one()) as ctx:
        await client.ask()
        await ctx.call_tool("think")
        await ctx.submit("x")
    assert ctx.result.turns == 1
    assert (
        span_tree(spans)
        == """\
eval nested:one reward=1.0 outcome=scored
├─ setup
│  └─ chat scripted-1
├─ invoke_agent agent
│  └─ turn 1
│     ├─ chat scripted-1
│     └─ execute_tool think
│        └─ chat scripted-1
└─ reward score=1.0
   └─ chat scripted-1"""
    )
    assert ctx.result.usage.input_tokens == ctx.result.judge_usage.input_tokens > 0


async def test_the_model_is_learned_from_the_first_call(
    task: hud.Task, client: Client, spans: list[CapturedSpan]
) -> None:
    """Without `model=`, the first agent call names it, on all later spans too."""
    async with hud.eval(task) as ctx:
        await client.ask()
        await ctx.submit("JR")
    assert ctx.result.model == "scripted-1"
    for name in ("turn", "reward", "eval trivia:initials"):
        span = next(s for s in spans if s.name == name)
        assert span.attributes["hud.model"] == "scripted-1", name


async def test_turn_limit(task: hud.Task, client: Client) -> None:
    """The model call past the limit on turns is not made."""
    made = 0
    async with hud.eval(task, limits=hud.Limits(turns=2)) as ctx:
        while True:
            await client.ask()
            made += 1
    assert made == ctx.result.turns == 2
    assert ctx.result.stopped_by == "turns"


async def test_token_limit(task: hud.Task, client: Client) -> None:
    """The model call past the limit on tokens is not made."""
    async with hud.eval(task, limits=hud.Limits(tokens=3)) as ctx:
        await ctx.submit("JR")
        while True:
            await client.ask()
    assert ctx.result.stopped_by == "tokens"
    assert ctx.result.turns == 1
    assert ctx.result.reward == 1.0
