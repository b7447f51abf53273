"""Google's Agent Development Kit, 1.x and 2.x."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any

import own_spans
import pytest
from contract import Contract, People, check_trace, framework
from page_code import PAGE, run, snippet

import hudtrace as hud
from hudtrace.testing import ScriptedModel, call, captured_spans, say

framework("google.adk")

from google.adk.agents import Agent  # noqa: E402
from google.adk.models.google_llm import Gemini  # noqa: E402
from google.adk.runners import InMemoryRunner, Runner  # noqa: E402
from google.adk.sessions import InMemorySessionService  # noqa: E402
from google.adk.version import __version__  # noqa: E402
from google.genai import types  # noqa: E402

from hudtrace.frameworks import adk  # noqa: E402

pytestmark = pytest.mark.usefixtures("store", "key")
NEW = not __version__.startswith("1.")
AROUND = ["invoke_workflow helper" if NEW else "invocation", "invoke_agent helper"]
MODEL = "gemini-2.0-flash"
SCRIPT = [call(("lookup_ceo", {"company": "HUD"})), say("The initials are JR.")]


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client wants one."""
    monkeypatch.setenv("GOOGLE_API_KEY", "none")


def agent(ctx: hud.EvalContext, model: ScriptedModel) -> Any:
    """Make an agent that asks *model*."""
    return Agent(
        name="helper",
        model=Gemini(model=model.model, base_url=model.origin),
        instruction="Do what you are asked.",
        tools=ctx.as_adk_tools(),
    )


def message(text: str) -> Any:
    """Say *text* as a user."""
    return types.Content(role="user", parts=[types.Part(text=text)])


class _Adk(Contract):
    images = False  # a function response is an object
    unknown_tool = None if NEW else ValueError  # it ends the agent

    def tree(self, model: str, *turns: Sequence[str]) -> str:
        return own_spans.tree(model, *turns, around=AROUND)


class TestHelper(_Adk):
    """An agent run by `hudtrace.frameworks.adk.run`."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        return await adk.run(agent(ctx, model), ctx.prompt)


class TestRunner(_Adk):
    """An agent run by ADK's own `Runner`, whose events are submitted."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        sessions = InMemorySessionService()
        session = await sessions.create_session(app_name="app", user_id="u")
        runner = Runner(
            agent=agent(ctx, model), app_name="app", session_service=sessions
        )
        events = runner.run_async(
            user_id="u", session_id=session.id, new_message=message(ctx.prompt)
        )
        return [event async for event in events]


class TestDebug(_Adk):
    """An agent run by `InMemoryRunner.run_debug`."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        runner = InMemoryRunner(agent=agent(ctx, model))
        return await runner.run_debug(ctx.prompt, quiet=True)


def events_of(runner: Any, session: Any, prompt: str) -> list[Any]:
    """Run an agent by ADK's sync entry, which has a thread and a loop of its own."""
    events = runner.run(user_id="u", session_id=session.id, new_message=message(prompt))
    return list(events)


@pytest.mark.timeout(30)
async def test_sync_inside_a_running_loop() -> None:
    """`Runner.run` beside a running loop ends, with every span in its place."""
    people = People()
    script = [call(("slow", {"label": "one"}), ("photo", {"person": "x"}))]
    with (
        ScriptedModel([*script, say("all done")]) as model,
        captured_spans() as spans,
    ):
        async with hud.eval(people.task) as ctx:
            runner = InMemoryRunner(agent=agent(ctx, model))
            session = await runner.session_service.create_session(
                app_name=runner.app_name, user_id="u"
            )
            await ctx.submit(events_of(runner, session, ctx.prompt))
    assert ctx.answer == "all done"
    expected = own_spans.tree(model.model, ["slow", "photo"], [], around=AROUND)
    if not NEW:  # its thread has no context: the eval is the only one that is open
        expected = re.sub(f"(chat {model.model})", r"\1 context=inferred", expected)
        lines = expected.splitlines()
        kept = [line for line in lines if not line.endswith(tuple(AROUND))]
        expected = "\n".join(kept).replace("│        ", "│  ")
    check_trace(spans, ctx.result, expected)


@pytest.mark.timeout(30)
def test_in_sync_code() -> None:
    """In a sync eval both `asyncio.run` of the helper and `Runner.run` work."""
    people = People()
    script = [call(("slow", {"label": "one"})), say("first"), say("all done")]
    with ScriptedModel(script) as model, captured_spans() as spans:
        with hud.eval(people.task) as ctx:
            helper = agent(ctx, model)
            assert asyncio.run(adk.run(helper, ctx.prompt)) == "first"
            runner = InMemoryRunner(agent=helper)
            session = asyncio.run(
                runner.session_service.create_session(
                    app_name=runner.app_name, user_id="u"
                )
            )
            ctx.submit(events_of(runner, session, "Once more."))
    assert ctx.answer == "all done"
    assert ctx.result.reward == 1.0
    assert {span.trace_id for span in spans} == {ctx.trace_id}
    names = [span.name for span in spans]
    assert names.count(f"chat {model.model}") == 3
    assert names.count("execute_tool slow") == 1


async def test_results(task: hud.Task) -> None:
    """An event, and a list of events, are submitted as the text they end with."""
    event = types.Content(role="model", parts=[types.Part(text="JR")])
    for given in (
        adk_event(event),
        [adk_event(message("?"), "user"), adk_event(event)],
    ):
        async with hud.eval(task) as ctx:
            await ctx.submit(given)
        assert ctx.answer == "JR"
        assert ctx.result.reward == 1.0


async def test_events_without_an_answer(task: hud.Task) -> None:
    """Events that end with no text are no answer."""
    asked = types.Part(function_call=types.FunctionCall(name="lookup_ceo"))
    asks = adk_event(types.Content(role="model", parts=[asked]))
    for given in ([asks], [adk_event(message("?"), "user"), asks], asks):
        async with hud.eval(task) as ctx:
            await ctx.submit(given)
        assert (ctx.result.outcome, ctx.answer) == ("no_answer", None)


def adk_event(content: Any, author: str = "helper") -> Any:
    """Make an event of ADK."""
    from google.adk.events import Event

    return Event(author=author, content=content)


# The page ---------------------------------------------------------------------------

page = pytest.mark.skipif(not PAGE.exists(), reason=f"the page is not at {PAGE}")


@page
@pytest.mark.section(
    "Google ADK", "google-adk", "as on the page", result="three errors"
)
def test_as_written(task: hud.Task) -> None:
    """The example has three errors of its own, in every version; each is ADK's."""
    code = snippet("Google ADK")
    with pytest.raises(ValueError, match="identifier"):
        run(code, {}, task)
    code = code.replace("trivia-agent", "trivia_agent")
    with pytest.raises((TypeError, ValueError), match=r"session_service|app_name"):
        run(code, {}, task)
    made = "Runner(app_name='trivia', session_service=sessions, agent=agent)"
    code = code.replace("Runner(agent=agent)", made)
    with pytest.raises(TypeError, match="positional"):
        run(code, {"sessions": InMemorySessionService()}, task)


@page
@pytest.mark.section("Google ADK", "google-adk", "as on the page, with adk.run")
def test_corrected(task: hud.Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `adk.run` in the place of the runner, and a name that is one, it works."""
    code = snippet("Google ADK").replace("trivia-agent", "trivia_agent")
    code = code.replace(
        "runner = Runner(agent=agent)", "from hudtrace.frameworks import adk"
    )
    code = code.replace("runner.run(ctx.prompt)", "adk.run(agent, ctx.prompt)")
    code = code.replace("result.output", "result")
    with ScriptedModel(SCRIPT) as model, captured_spans() as spans:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", model.origin)
        done = run(code, {}, task)
    around = [name.replace("helper", "trivia_agent") for name in AROUND]
    turns = [["lookup_ceo"], []]
    expected = own_spans.tree(MODEL, *turns, around=around, env="trivia:initials")
    check_trace(spans, done["ctx"].result, expected)


def test_the_example(run_example: Callable[[str], str]) -> None:
    """The example runs offline and earns its reward."""
    assert "reward 1.0" in run_example("13_adk.py")
