"""`hud.run_scenario_chat`: one loop over four APIs, each with its real client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import openai
import pytest

import hudtrace as hud
from hudtrace.messages import Usage
from hudtrace.testing import (
    ScriptedModel,
    call,
    captured_spans,
    error,
    say,
    span_tree,
    tool_results,
)

pytestmark = pytest.mark.usefixtures("store")
Connect = Callable[..., Any]
LOOKUP = call(("lookup_ceo", {"company": "HUD"}))
SAY_JR = say("The initials are JR.")
TREE = """\
eval trivia:initials reward=1.0 outcome=scored
├─ setup
├─ invoke_agent agent
│  ├─ turn 1
│  │  ├─ chat m
│  │  └─ execute_tool lookup_ceo
│  └─ turn 2
│     └─ chat m
└─ reward score=1.0"""


async def test_a_task_is_worked_on_and_graded(
    task: hud.Task, api: Any, connect: Connect, sync: bool
) -> None:
    """The model calls the tool, answers, is graded: one trace of the right shape."""
    with ScriptedModel([LOOKUP, SAY_JR]) as model, captured_spans() as spans:
        result = await hud.run_scenario_chat(
            client=connect(model, sync=sync), model="m", task=task, api=api
        )
    assert (result.reward, result.outcome) == (1.0, "scored")
    assert result.answer == "The initials are JR."
    assert (result.turns, result.tool_calls, result.model) == (2, 1, "m")
    assert span_tree(spans) == TREE
    assert {span.trace_id for span in spans} == {result.trace_id}
    assert tool_results(model.requests[1])[0].find("Jay Ram") >= 0
    asked = [m["role"] for m in model.requests[0].conversation]
    assert asked == ["user"]  # the prompt, once
    assert [m["role"] for m in result.messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]


async def test_auto_takes_the_api_of_the_client(
    task: hud.Task, api: str, connect: Connect
) -> None:
    """`api="auto"` goes by the client's type; openai means Chat Completions."""
    with ScriptedModel([SAY_JR]) as model:
        client = connect(model)
        result = await hud.run_scenario_chat(client=client, model="m", task=task)
    assert result.reward == 1.0
    key = {"anthropic": "messages", "gemini": "contents"}.get(api, "messages")
    assert key in model.requests[0]


async def test_tool_calls_of_a_turn_run_at_the_same_time(
    api: Any, connect: Connect
) -> None:
    """Three calls of one turn are under way together, and answered in order."""
    env = hud.Environment("parallel")
    meeting = threading.Barrier(3, timeout=10)

    @env.tool
    def meet(number: int) -> str:
        """Wait for the two others."""
        meeting.wait()
        return f"met {number}"

    @env.scenario("one")
    async def one() -> Any:
        answer = yield "meet"
        yield float(answer == "done")

    calls = call(*(("meet", {"number": n}) for n in range(3)))
    with ScriptedModel([calls, say("done")]) as model:
        result = await hud.run_scenario_chat(
            client=connect(model), model="m", task=one(), api=api
        )
    assert result.reward == 1.0
    results = tool_results(model.requests[1])
    assert ["met 0" in results[0], "met 1" in results[1], "met 2" in results[2]] == [
        True
    ] * 3


async def test_mistakes_go_back_to_the_model(
    task: hud.Task, api: Any, connect: Connect
) -> None:
    """An unknown tool and wrong arguments are answered in a form the API takes."""
    mistakes = call(("lookup_ceos", {"company": "x"}), ("lookup_ceo", {"firm": "x"}))
    with ScriptedModel([mistakes, LOOKUP, SAY_JR]) as model:
        result = await hud.run_scenario_chat(
            client=connect(model), model="m", task=task, api=api
        )
    assert (result.reward, result.tool_calls, result.tool_errors) == (1.0, 3, 2)
    unknown, wrong = tool_results(model.requests[1])
    assert "unknown tool 'lookup_ceos'; available: lookup_ceo" in unknown
    assert "firm" in wrong


async def test_the_step_limit_grades_the_last_text(
    task: hud.Task, api: Any, connect: Connect
) -> None:
    """After max_steps turns the eval ends, graded with the last thing said."""
    talk = call(("lookup_ceo", {"company": "HUD"}), text="Perhaps JR?")
    with ScriptedModel([talk] * 5) as model:
        result = await hud.run_scenario_chat(
            client=connect(model), model="m", task=task, api=api, max_steps=2
        )
    assert (result.outcome, result.stopped_by, result.turns) == ("scored", "turns", 2)
    assert (result.answer, result.reward) == ("Perhaps JR?", 1.0)
    assert len(model.requests) == 2


async def test_limits_hold(task: hud.Task, api: Any, connect: Connect) -> None:
    """Tokens and tool calls are limited as in any eval."""
    with ScriptedModel([LOOKUP.but(usage=Usage(900, 200))] * 5) as model:
        result = await hud.run_scenario_chat(
            client=connect(model),
            model="m",
            task=task,
            api=api,
            limits=hud.Limits(tokens=1000),
        )
    assert (result.stopped_by, result.outcome) == ("tokens", "no_answer")
    assert len(model.requests) == 1


async def test_tokens_and_cost(task: hud.Task, api: Any, connect: Connect) -> None:
    """Usage is what the provider reported, the cost that of the price table."""
    names = {"anthropic": "claude-sonnet-4-20250514", "gemini": "gemini-2.0-flash"}
    prices = {"anthropic": (3.0, 15.0), "gemini": (0.1, 0.4)}  # dollars a million
    given, made = prices.get(api, (2.5, 10.0))
    usage = Usage(1000, 200)
    script = [LOOKUP.but(usage=usage), SAY_JR.but(usage=usage)]
    with ScriptedModel(script) as model, captured_spans() as spans:
        result = await hud.run_scenario_chat(
            client=connect(model), model=names.get(api, "gpt-4o"), task=task, api=api
        )
    assert (result.usage.input_tokens, result.usage.output_tokens) == (2000, 400)
    assert result.usage.cost == pytest.approx((2000 * given + 400 * made) / 1e6)
    (root,) = [span for span in spans if span.parent_id is None]
    assert root.attributes["hud.cost.total"] == pytest.approx(result.usage.cost)
    calls = [span for span in spans if span.name.startswith("chat")]
    assert all(
        span.attributes["hud.cost.table"].startswith("genai-prices ") for span in calls
    )


async def test_an_unknown_model_has_no_cost(
    task: hud.Task, api: Any, connect: Connect
) -> None:
    """A price that is not known is absent, never 0."""
    with ScriptedModel([SAY_JR]) as model, captured_spans() as spans:
        result = await hud.run_scenario_chat(
            client=connect(model), model="home-grown-7", task=task, api=api
        )
    assert result.usage.cost is None
    assert not any("cost" in key for span in spans for key in span.attributes)


async def test_a_cost_that_is_known_in_part(task: hud.Task) -> None:
    """The total is absent, not the known part of it; a limit counts that part."""
    dear = SAY_JR.but(usage=Usage(input_tokens=10_000_000, output_tokens=1))
    ask: Any = [{"role": "user", "content": "?"}]

    async def spend(client: Any, limit: float, *models: str) -> hud.EvalResult:
        async with hud.eval(task, limits=hud.Limits(cost=limit)) as ctx:
            for name in models:
                await client.chat.completions.create(model=name, messages=ask)
        return ctx.result

    with ScriptedModel([dear, SAY_JR, SAY_JR, SAY_JR]) as model:
        async with openai.AsyncOpenAI(base_url=model.url, api_key="k") as client:
            in_part = await spend(client, 1, "home-grown-7", "gpt-4o", "home-grown-7")
            limited = await spend(client, 1e-9, "gpt-4o", "home-grown-7")
    assert (in_part.usage.cost, in_part.stopped_by) == (None, None)
    assert (limited.stopped_by, limited.turns) == ("cost", 1)


async def test_a_provider_error_is_an_outcome(
    task: hud.Task, api: Any, connect: Connect, sync: bool
) -> None:
    """What the provider raises ends the episode as provider_error, not as a reward."""
    with ScriptedModel([error(400, "no such model")]) as model:
        result = await hud.run_scenario_chat(
            client=connect(model, sync=sync), model="m", task=task, api=api
        )
    assert (result.outcome, result.reward, result.failure) == (
        "provider_error",
        None,
        "infra",
    )
    assert "no such model" in str(result.error)


async def test_a_provider_error_can_be_raised(
    task: hud.Task, api: Any, connect: Connect
) -> None:
    """With on_error="raise" the client's own exception comes out."""
    with ScriptedModel([error(400, "no such model")]) as model:
        with pytest.raises(Exception, match="no such model"):
            await hud.run_scenario_chat(
                client=connect(model),
                model="m",
                task=task,
                api=api,
                on_error="raise",
            )


async def test_cancellation_ends_the_trace(
    task: hud.Task, api: Any, connect: Connect
) -> None:
    """A cancelled chat leaves nothing open, and stays cancelled."""
    with ScriptedModel([say("late", delay=30)]) as model, captured_spans() as spans:
        chat = asyncio.create_task(
            hud.run_scenario_chat(client=connect(model), model="m", task=task, api=api)
        )
        while not model.requests:  # noqa: ASYNC110  it fills in another thread
            await asyncio.sleep(0.01)
        chat.cancel()
        with pytest.raises(asyncio.CancelledError):
            await chat
    (root,) = [span for span in spans if span.parent_id is None]
    assert root.attributes["hud.outcome"] == "cancelled"
    (asked,) = [span for span in spans if span.name == "chat m"]
    assert asked.attributes["hud.response.incomplete"] == "cancelled"


async def test_options_and_system_prompt(
    task: hud.Task, api: Any, connect: Connect
) -> None:
    """The system prompt comes first, and options of the API reach it."""
    with ScriptedModel([SAY_JR]) as model:
        await hud.run_scenario_chat(
            client=connect(model),
            model="m",
            task=task,
            api=api,
            system_prompt="Be brief.",
            request={"temperature": 0.25},
        )
    request = model.requests[0]
    first = request.conversation[0]
    assert (first["role"], first["parts"][0]["content"]) == ("system", "Be brief.")
    settings = request.get("generationConfig", request)
    assert settings["temperature"] == 0.25


async def test_a_prompt_with_an_image(api: Any, connect: Connect) -> None:
    """A prompt of content blocks reaches the model with its image."""
    env = hud.Environment("pictures")
    image = hud.Image(b"\x89PNG\r\n\x1a\n" + b"\0" * 8)

    @env.scenario("look")
    async def look() -> Any:
        answer = yield [{"type": "text", "text": "What is it?"}, image.block()]
        yield float(answer == "a picture")

    with ScriptedModel([say("a picture")]) as model:
        result = await hud.run_scenario_chat(
            client=connect(model), model="m", task=look(), api=api
        )
    assert result.reward == 1.0
    kinds = [part["type"] for part in model.requests[0].conversation[0]["parts"]]
    assert kinds == ["text", "blob"]


async def test_an_empty_answer_is_no_answer(
    task: hud.Task, api: Any, connect: Connect
) -> None:
    """A model that says nothing has not answered."""
    with ScriptedModel([say("")]) as model:
        result = await hud.run_scenario_chat(
            client=connect(model), model="m", task=task, api=api
        )
    assert (result.outcome, result.answer) == ("no_answer", None)


async def test_an_environment_failure_ends_the_episode(
    api: Any, connect: Connect
) -> None:
    """A tool that breaks down stops the chat, and its siblings with it."""
    env = hud.Environment("broken")
    outcome: list[str] = []

    @env.tool
    async def crash() -> str:
        """Break."""
        raise hud.EnvironmentFailure("the machine is gone")

    @env.tool
    async def wait() -> str:
        """Wait."""
        try:
            await asyncio.sleep(30)
        finally:
            outcome.append("ended")
        return "never"

    @env.scenario("one")
    async def one() -> Any:
        yield "go"
        yield 1.0

    with ScriptedModel([call(("wait", {}), ("crash", {}))]) as model:
        result = await hud.run_scenario_chat(
            client=connect(model), model="m", task=one(), api=api
        )
    assert (result.outcome, result.reward) == ("environment_error", None)
    assert outcome == ["ended"]


class TestWrongArguments:
    """What does not go together is said before anything is sent."""

    async def test_task_and_env(self, env: hud.Environment, task: hud.Task) -> None:
        """A task beside env, scenario or args is refused with the right call."""
        client = openai.AsyncOpenAI(api_key="k")
        with pytest.raises(ValueError, match=r"not both\..*task=env\('name'"):
            await hud.run_scenario_chat(client=client, model="m", task=task, env=env)
        with pytest.raises(ValueError, match=r"needs a task: task=env\("):
            await hud.run_scenario_chat(client=client, model="m", env=env)
        with pytest.raises(ValueError, match="needs a task"):
            await hud.run_scenario_chat(client=client, model="m")

    async def test_api(self, task: hud.Task) -> None:
        """An API that there is not, or that the client does not speak, is refused."""
        client = openai.AsyncOpenAI(api_key="k")
        unknown: Any = "completions"
        with pytest.raises(ValueError, match="'auto' or one of chat_completions"):
            await hud.run_scenario_chat(
                client=client, model="m", task=task, api=unknown
            )
        with pytest.raises(ValueError, match="speaks chat_completions and responses"):
            await hud.run_scenario_chat(
                client=client, model="m", task=task, api="anthropic"
            )

    async def test_client(self, task: hud.Task) -> None:
        """A client of an unknown kind needs the API to be named."""
        with pytest.raises(TypeError, match="cannot tell which API a object speaks"):
            await hud.run_scenario_chat(client=object(), model="m", task=task)
