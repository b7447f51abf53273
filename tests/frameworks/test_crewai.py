"""CrewAI: its own tools, LangChain's, and the page's example where it runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest
from contract import BARE, Contract, People, check_trace, framework, tree
from page_code import GATEWAY, PAGE, run, snippet

import hudtrace as hud
from hudtrace.testing import ScriptedModel, call, captured_spans, redirect, say

os.environ["CREWAI_DISABLE_TELEMETRY"] = "true"  # it would phone home
os.environ["CREWAI_TRACING_ENABLED"] = "false"
framework("crewai")

from crewai import LLM, Agent, Crew, Task  # noqa: E402

pytestmark = pytest.mark.usefixtures("store", "home")


@pytest.fixture
def home(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it keeps on the disk goes to a place of the test's own."""
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path))


SCRIPT = [call(("lookup_ceo", {"company": "HUD"})), say("The initials are JR.")]


def crew(
    ctx: hud.EvalContext,
    model: ScriptedModel,
    *,
    name: str | None = None,
    tools: list[Any] | None = None,
) -> Any:
    """Make a crew of one, who asks *model*."""
    llm = LLM(
        model=name or "gpt-4o", base_url=model.url, api_key="none", provider="openai"
    )
    helper = Agent(
        role="Helper",
        goal="Do what is asked",
        backstory="Helpful",
        tools=ctx.as_crewai_tools() if tools is None else tools,
        llm=llm,
    )
    task = Task(description=ctx.prompt, expected_output="An answer", agent=helper)
    return Crew(agents=[helper], tasks=[task])


class _Crew(Contract):
    images = False  # a tool's result is text

    def tree(self, model: str, *turns: Any) -> str:
        return tree("gpt-4o", *turns)


class TestAsync(_Crew):
    """`akickoff`, in the loop of the eval."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        return await crew(ctx, model).akickoff()


class TestThread(_Crew):
    """`kickoff_async`, which runs the crew in a thread."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        return await crew(ctx, model).kickoff_async()


class TestLangChainTools(_Crew):
    """Tools of `as_langchain_tools`, which are both where CrewAI is imported."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        made = crew(ctx, model, tools=ctx.as_langchain_tools())
        return await made.akickoff()


@pytest.mark.section("CrewAI", "crewai", "LLM, as_crewai_tools, akickoff")
async def test_modern(task: hud.Task) -> None:
    """The modern form of the page's section: the tool is called, the answer right."""
    with ScriptedModel(SCRIPT) as model, captured_spans() as spans:
        async with hud.eval(task) as ctx:
            await ctx.submit(await crew(ctx, model).akickoff())
    assert ctx.answer == "The initials are JR."
    expected = tree("gpt-4o", ["lookup_ceo"], [], env="trivia:initials")
    check_trace(spans, ctx.result, expected)


@pytest.mark.timeout(60)
def test_in_sync_code() -> None:
    """`kickoff` in a sync eval: no hang, every span in its place."""
    people = People()
    script = [call(("slow", {"label": "one"}), ("slow", {"label": "two"}))]
    with (
        ScriptedModel([*script, say("all done")]) as model,
        captured_spans() as spans,
    ):
        with hud.eval(people.task) as ctx:
            ctx.submit(crew(ctx, model).kickoff())
    assert ctx.answer == "all done"
    check_trace(spans, ctx.result, tree("gpt-4o", ["slow", "slow"], []))


@pytest.mark.timeout(60)
async def test_inside_a_running_loop() -> None:
    """`kickoff` beside a running loop works in a thread, and is refused by CrewAI else."""
    people = People()
    script = [call(("slow", {"label": "one"})), say("all done")]
    with ScriptedModel(script) as model, captured_spans() as spans:
        async with hud.eval(people.task) as ctx:
            made = crew(ctx, model)
            with pytest.raises(RuntimeError, match="running event loop"):
                made.kickoff()
            await ctx.submit(await asyncio.to_thread(made.kickoff))
    assert ctx.answer == "all done"
    check_trace(spans, ctx.result, tree("gpt-4o", ["slow"], []))


async def test_maps() -> None:
    """A map, which strict mode cannot say, is asked for as text and arrives as a map."""
    people = People()
    wanted = {"query": BARE["query"], "ident": 1, "address": BARE["address"]}
    sent = {**wanted, "meta": '{"lang": "en"}', "limit": None, "sort": None}
    script = [call(("search", sent)), say("all done")]
    with ScriptedModel(script) as model:
        async with hud.eval(people.task) as ctx:
            await ctx.submit(await crew(ctx, model).akickoff())
    (record,) = ctx.tool_calls
    assert record.arguments == {**sent, "meta": {"lang": "en"}}
    assert people.received[0]["meta"] == {"lang": "en"}
    assert people.received[0]["limit"] == 5
    function = model.requests[0]["tools"][0]["function"]
    assert function["strict"] is True
    (text, null) = function["parameters"]["properties"]["meta"]["anyOf"]
    assert (text["type"], null["type"]) == ("string", "null")
    assert "JSON object" in text["description"]


async def test_the_same_call_again() -> None:
    """A call that was made before is made again: an environment changes."""
    people = People()
    again = call(("slow", {"label": "one"}))
    with ScriptedModel([again, again, say("all done")]) as model:
        async with hud.eval(people.task) as ctx:
            await ctx.submit(await crew(ctx, model).akickoff())
    assert len(ctx.tool_calls) == 2


async def test_a_copy(task: hud.Task) -> None:
    """A copied tool runs in the same eval."""
    async with hud.eval(task) as ctx:
        for tool in (*ctx.as_crewai_tools(), *ctx.as_langchain_tools()):
            made = tool.model_copy()
            assert await asyncio.to_thread(made.run, company="HUD") == "Jay Ram"
        await ctx.submit("JR")
    assert len(ctx.tool_calls) == 2


async def test_langchain_still_runs_them(task: hud.Task) -> None:
    """Tools that are both are LangChain's as before, for a call and for arguments."""
    async with hud.eval(task) as ctx:
        (tool,) = ctx.as_langchain_tools()
        asked = {"type": "tool_call", "name": "lookup_ceo", "id": "c1"}
        said = await tool.ainvoke({**asked, "args": {"company": "HUD"}})
        assert (said.content, said.tool_call_id) == ("Jay Ram", "c1")
        assert await asyncio.to_thread(tool.invoke, {"company": "HUD"}) == "Jay Ram"
        wrong = await tool.ainvoke({**asked, "args": {"firm": "HUD"}})
        assert wrong.status == "error"
        await ctx.submit("JR")


# The page ---------------------------------------------------------------------------


@pytest.mark.skipif(not PAGE.exists(), reason=f"the page is not at {PAGE}")
@pytest.mark.section("CrewAI", "crewai", "as on the page", result="two errors")
def test_as_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """The example's model is refused, then its `kickoff`; corrected, it works."""
    monkeypatch.setenv("HUD_API_KEY", "page-key-123")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(snippet("The Example Environment"), "page", "exec"), names)
    code = snippet("CrewAI")
    with pytest.raises(ValueError, match="llm"):
        run(code, dict(names), names["task"])
    code = code.replace(
        "from langchain_openai import ChatOpenAI", "from crewai import LLM"
    )
    code = code.replace("ChatOpenAI(", "LLM(")
    with pytest.raises(RuntimeError, match="running event loop"):
        run(code, dict(names), names["task"])
    code = code.replace("crew.kickoff()", "await crew.akickoff()")
    with (
        ScriptedModel(SCRIPT) as model,
        redirect({GATEWAY: model.origin}),
        captured_spans() as spans,
    ):
        done = run(code, names, names["task"])
    expected = tree("gpt-4o", ["lookup_ceo"], [], env="trivia:initials")
    check_trace(spans, done["ctx"].result, expected)


def test_the_example(run_example: Callable[[str], str]) -> None:
    """The example runs offline and earns its reward."""
    assert "reward 1.0" in run_example("14_crewai.py")
