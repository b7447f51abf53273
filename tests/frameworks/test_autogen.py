"""AutoGen as the page has it: pyautogen 0.2, and ag2 before 1.0, which went on from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pytest
from contract import Contract, People, check_trace, framework, tree
from page_code import GATEWAY, PAGE, run, snippet

import hudtrace as hud
from hudtrace.frameworks.autogen import keep_context
from hudtrace.testing import (
    ScriptedModel,
    call,
    captured_spans,
    redirect,
    say,
    span_tree,
)

autogen = framework("autogen")

from autogen import AssistantAgent, UserProxyAgent  # noqa: E402

pytestmark = pytest.mark.usefixtures("store")


def distribution() -> str:
    """Name the distribution that the package `autogen` is from."""
    try:
        version("pyautogen")
    except PackageNotFoundError:
        return "ag2"
    return "pyautogen"


SCRIPT = [call(("lookup_ceo", {"company": "HUD"})), say("The initials are JR.")]
#: The model is asked in an executor's thread, without the context of the eval.
INFERRED = """\
eval trivia:initials reward=1.0 outcome=scored
├─ setup
├─ invoke_agent agent
│  ├─ chat gpt-4o context=inferred
│  ├─ execute_tool lookup_ceo
│  └─ chat gpt-4o context=inferred
└─ reward score=1.0"""


def agents(
    ctx: hud.EvalContext, model: ScriptedModel, *, sync: bool = False
) -> tuple[Any, Any]:
    """Make the agent that asks *model*, and the one that has the tools."""
    config = {"model": model.model, "base_url": model.url, "api_key": "none"}
    assistant = AssistantAgent(
        name="assistant", llm_config={"config_list": [config], "cache_seed": None}
    )
    user = UserProxyAgent(
        name="user",
        human_input_mode="NEVER",
        code_execution_config=False,
        max_consecutive_auto_reply=8,
        is_termination_msg=lambda m: bool(m.get("content")) and not m.get("tool_calls"),
    )
    for function in ctx.as_autogen_tools(sync=sync):
        autogen.register_function(
            function,
            caller=assistant,
            executor=user,
            name=function.__name__,
            description=function.__doc__,
        )
    return assistant, user


class TestAsync(Contract):
    """`a_initiate_chat`, in a loop whose executor keeps the context."""

    images = False  # tool messages are text

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        keep_context()
        assistant, user = agents(ctx, model)
        return await user.a_initiate_chat(assistant, message=ctx.prompt)


class TestSync(Contract):
    """`initiate_chat` in a thread, with functions that are not coroutine functions."""

    images = False
    together = False

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        assistant, user = agents(ctx, model, sync=True)
        return await asyncio.to_thread(
            user.initiate_chat, assistant, message=ctx.prompt
        )


@pytest.mark.timeout(30)
async def test_sync_inside_a_running_loop() -> None:
    """`initiate_chat` beside a running loop ends, with every span in its place."""
    people = People()
    script = [call(("slow", {"label": "one"})), say("all done")]
    with ScriptedModel(script) as model, captured_spans() as spans:
        async with hud.eval(people.task) as ctx:
            assistant, user = agents(ctx, model, sync=True)
            await ctx.submit(user.initiate_chat(assistant, message=ctx.prompt))
    assert ctx.answer == "all done"
    check_trace(spans, ctx.result, tree(model.model, ["slow"], []))


@pytest.mark.timeout(30)
def test_in_sync_code() -> None:
    """`initiate_chat` in a sync eval: the same."""
    people = People()
    script = [call(("slow", {"label": "one"})), say("all done")]
    with ScriptedModel(script) as model, captured_spans() as spans:
        with hud.eval(people.task) as ctx:
            assistant, user = agents(ctx, model, sync=True)
            ctx.submit(user.initiate_chat(assistant, message=ctx.prompt))
    assert ctx.answer == "all done"
    check_trace(spans, ctx.result, tree(model.model, ["slow"], []))


async def test_lost_context() -> None:
    """Without `keep_context` the model's calls go to the one eval that is open."""
    people = People()
    script = [call(("slow", {"label": "one"})), say("all done")]
    with ScriptedModel(script) as model, captured_spans() as spans:
        async with hud.eval(people.task) as ctx:
            assistant, user = agents(ctx, model)
            await ctx.submit(await user.a_initiate_chat(assistant, message=ctx.prompt))
    expected = INFERRED.replace("trivia:initials", "people:errand")
    expected = expected.replace("gpt-4o", model.model).replace("lookup_ceo", "slow")
    check_trace(spans, ctx.result, expected)


# The page ---------------------------------------------------------------------------

page = pytest.mark.skipif(not PAGE.exists(), reason=f"the page is not at {PAGE}")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> dict[str, Any]:
    """The names that the page's first snippet defines."""
    monkeypatch.setenv("HUD_API_KEY", "page-key-123")
    monkeypatch.chdir(tmp_path)  # the library caches replies below `.cache`
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(snippet("The Example Environment"), "page", "exec"), names)
    return names


@page
@pytest.mark.section(
    "AutoGen",
    distribution(),
    "as on the page",
    result="runs, no tools, no answer",
)
def test_page(names: dict[str, Any]) -> None:
    """The example runs, but the model is told of no tool, and asked many times.

    What is submitted is the last message, the empty one after the last reply.
    """
    with (
        ScriptedModel(lambda request: say("The initials are JR.")) as model,
        redirect({GATEWAY: model.origin}),
        captured_spans() as spans,
    ):
        done = run(snippet("AutoGen"), names, names["task"])
    assert done["ctx"].answer == ""
    asked = len(model.requests)
    assert asked >= 50
    assert not any({"tools", "functions"} & set(body) for body in model.requests)
    lines = INFERRED.replace("1.0", "0.0").splitlines()
    assert span_tree(spans) == "\n".join(
        [*lines[:3], *lines[3:4] * (asked - 1), *lines[5:]]
    )
    assert {span.trace_id for span in spans} == {done["ctx"].trace_id}


@page
@pytest.mark.section("AutoGen", distribution(), "registered for both agents")
def test_corrected(names: dict[str, Any]) -> None:
    """With `as_autogen_tools` registered for both agents the tool is called."""
    code = snippet("AutoGen")
    start, end = code.index("    for tool in"), code.index("    user = ")
    close = code.index("    result = ")
    register = """\
    for function in ctx.as_autogen_tools():
        autogen.register_function(
            function, caller=assistant, executor=user,
            name=function.__name__, description=function.__doc__,
        )

"""
    code = code[:start] + code[end:close] + register + code[close:]
    stop = """human_input_mode="NEVER",
        is_termination_msg=lambda m: not m.get("tool_calls"),"""
    code = code.replace('human_input_mode="NEVER",', stop)
    with (
        ScriptedModel(SCRIPT) as model,
        redirect({GATEWAY: model.origin}),
        captured_spans() as spans,
    ):
        done = run(code, {**names, "autogen": autogen}, names["task"])
    check_trace(spans, done["ctx"].result, INFERRED)
    assert model.requests[1]["messages"][-1]["content"] == "Jay Ram"


def test_the_example(run_example: Callable[[str], str]) -> None:
    """The example runs offline and earns its reward."""
    assert "reward 1.0" in run_example("15_autogen_page_form.py")
