"""LangChain 0.3 and 1.x: agents of both generations, async and sync."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pydantic
import pytest
from contract import Contract, People, SyncContract, check_trace, framework, tree
from page_code import GATEWAY, page, run, snippet

import hudtrace as hud
from hudtrace.notices import seen
from hudtrace.testing import ScriptedModel, call, captured_spans, redirect, say

langchain = framework("langchain")

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage  # noqa: E402
from langchain_core.prompts import ChatPromptTemplate  # noqa: E402
from langchain_openai import ChatOpenAI  # noqa: E402

pytestmark = pytest.mark.usefixtures("store")

NEW = langchain.__version__ >= "1"
new = pytest.mark.skipif(not NEW, reason="create_agent came with LangChain 1")

if NEW:
    from langchain.agents import create_agent
    from langchain_classic.agents import AgentExecutor, create_tool_calling_agent
else:
    from langchain.agents import AgentExecutor, create_tool_calling_agent


def chat(model: ScriptedModel, **options: Any) -> Any:
    """Make the chat model that asks *model*."""
    return ChatOpenAI(
        model=model.model, base_url=model.url, api_key="none", max_retries=0, **options
    )


def executor(ctx: Any, llm: Any) -> Any:
    """Make an agent like the page's."""
    tools = ctx.as_langchain_tools()
    prompt = ChatPromptTemplate.from_messages(
        [
            ("system", "You are a helpful assistant."),
            ("human", "{input}"),
            ("placeholder", "{agent_scratchpad}"),
        ]
    )
    agent = create_tool_calling_agent(llm, tools, prompt)
    return AgentExecutor(agent=agent, tools=tools)


def graph(ctx: Any, llm: Any) -> Any:
    """Make an agent as of LangChain 1."""
    return create_agent(llm, tools=ctx.as_langchain_tools())


def said(ctx: Any) -> dict[str, Any]:
    """Say the prompt as the new agents want it."""
    return {"messages": [{"role": "user", "content": ctx.prompt}]}


class TestExecutor(Contract):
    """`AgentExecutor.ainvoke`, which streams from the model."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        return await executor(ctx, chat(model)).ainvoke({"input": ctx.prompt})


class TestExecutorSync(SyncContract):
    """`AgentExecutor.invoke`."""

    together = False

    def run_sync(self, ctx: Any, model: ScriptedModel) -> Any:
        return executor(ctx, chat(model)).invoke({"input": ctx.prompt})


@new
class TestAgent(Contract):
    """`create_agent`, over Chat Completions."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        return await graph(ctx, chat(model)).ainvoke(said(ctx))


@new
class TestAgentOverResponses(Contract):
    """`create_agent`, over the Responses API."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        llm = chat(model, use_responses_api=True)
        return await graph(ctx, llm).ainvoke(said(ctx))


@new
class TestAgentSync(SyncContract):
    """`create_agent(…).invoke`, which runs tools in threads."""

    def run_sync(self, ctx: Any, model: ScriptedModel) -> Any:
        return graph(ctx, chat(model)).invoke(said(ctx))


@new
class TestAgentStreamed(Contract):
    """`create_agent(…).astream`, read to its end."""

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        agent = graph(ctx, chat(model, streaming=True))
        states = agent.astream(said(ctx), stream_mode="values")
        return [state async for state in states][-1]


SCRIPT = [call(("lookup_ceo", {"company": "HUD"})), say("The initials are JR.")]
TREE = tree("gpt-4o", ["lookup_ceo"], [], env="trivia:initials")


def run_page(code: str, names: dict[str, Any]) -> None:
    """Run the page's example against a scripted model: reward 1.0, the right tree."""
    with (
        ScriptedModel(SCRIPT) as model,
        redirect({GATEWAY: model.origin}),
        captured_spans() as spans,
    ):
        done = run(code, names, names["task"])
    check_trace(spans, done["ctx"].result, TREE)
    assert model.requests[1]["messages"][-1]["content"] == "Jay Ram"


@page
@pytest.mark.skipif(NEW, reason="the page was written for LangChain before 1")
@pytest.mark.section("LangChain", "langchain", "as on the page")
def test_the_page(page_names: dict[str, Any]) -> None:
    """The page's example, byte for byte."""
    run_page(snippet("LangChain"), page_names)


@page
@new
@pytest.mark.section(
    "LangChain", "langchain", "as on the page", result="no AgentExecutor"
)
def test_the_page_on_langchain_1(page_names: dict[str, Any]) -> None:
    """`langchain.agents` has no `AgentExecutor` any more, and says so."""
    with pytest.raises(ImportError, match="create_tool_calling_agent"):
        run(snippet("LangChain"), page_names, page_names["task"])


@page
@new
@pytest.mark.section(
    "LangChain", "langchain-classic", "as on the page, from langchain_classic"
)
def test_the_page_on_langchain_classic(page_names: dict[str, Any]) -> None:
    """With the import from `langchain_classic`, the page's example runs."""
    code = snippet("LangChain")
    moved = code.replace("from langchain.agents", "from langchain_classic.agents")
    assert moved != code
    run_page(moved, page_names)


@new
@pytest.mark.section("LangChain", "langchain", "create_agent")
async def test_the_form_of_today(task: hud.Task) -> None:
    """`create_agent` with the eval's tools; its state goes to `ctx.submit`."""
    with ScriptedModel(SCRIPT) as model, captured_spans() as spans:
        async with hud.eval(task) as ctx:
            await ctx.submit(await graph(ctx, chat(model)).ainvoke(said(ctx)))
    assert ctx.answer == "The initials are JR."
    expected = tree(model.model, ["lookup_ceo"], [], env="trivia:initials")
    check_trace(spans, ctx.result, expected)
    (tool,) = [span for span in spans if span.name == "execute_tool lookup_ceo"]
    answer = model.requests[1]["messages"][-1]
    assert tool.attributes["gen_ai.tool.call.id"] == answer["tool_call_id"]


@new
async def test_a_structured_response(task: hud.Task) -> None:
    """Where the agent has a response format, its object is the answer."""

    class Initials(pydantic.BaseModel):
        letters: str

    with ScriptedModel([call(("Initials", {"letters": "JR"}))]) as model:
        async with hud.eval(task, on_error="record") as ctx:
            agent = create_agent(
                chat(model), ctx.as_langchain_tools(), response_format=Initials
            )
            await ctx.submit(await agent.ainvoke(said(ctx)))
    assert ctx.answer == Initials(letters="JR")


LIMITS = [hud.Limits(turns=2), hud.Limits(tool_calls=2), hud.Limits(time=0.3)]


def loops(ctx: Any, model: ScriptedModel) -> Any:
    """Run an agent whose model calls tools for ever, from sync code."""
    agent = create_agent(chat(model), ctx.as_langchain_tools())
    return agent.invoke(said(ctx), {"recursion_limit": 1000})


@new
@pytest.mark.parametrize("limits", LIMITS, ids=["turns", "tool_calls", "time"])
def test_a_limit_of_sync_code(limits: hud.Limits, request: Any) -> None:
    """What `invoke` makes of a limit ends the episode as `ainvoke` does."""
    limit = request.node.callspec.id
    people = People()
    slow = call(("slow", {"label": "one"}))
    with ScriptedModel(lambda _: slow) as model:
        with hud.eval(people.task, limits=limits) as ctx:
            ctx.submit(loops(ctx, model))
        assert (ctx.result.outcome, ctx.result.stopped_by) == ("no_answer", limit)

        @hud.traced_eval([people.task] * 2, limits=limits)
        def job(ctx: hud.SyncEvalContext) -> None:
            ctx.submit(loops(ctx, model))

        ended = [(result.outcome, result.stopped_by) for result in job().results]
        assert ended == [("no_answer", limit)] * 2


@new
@pytest.mark.parametrize("limits", LIMITS, ids=["turns", "tool_calls", "time"])
async def test_a_limit_of_a_sync_agent_in_async_code(
    limits: hud.Limits, request: Any
) -> None:
    """So it does where the agent blocks the eval's loop."""
    limit = request.node.callspec.id
    slow = call(("slow", {"label": "one"}))
    with ScriptedModel(lambda _: slow) as model:
        async with hud.eval(People().task, limits=limits) as ctx:
            await ctx.submit(loops(ctx, model))
    assert (ctx.result.outcome, ctx.result.stopped_by) == ("no_answer", limit)


@new
async def test_an_error_beside_a_limit() -> None:
    """An error that no limit has caused stays one, also after a limit."""
    limits = hud.Limits(tool_calls=1)
    async with hud.eval(People().task, limits=limits, on_error="record") as ctx:
        await ctx.call_tool("slow", label="one")
        with contextlib.suppress(asyncio.CancelledError):
            await ctx.call_tool("slow", label="two")
        raise RuntimeError("node") from ValueError("no limit")
    assert ctx.result.outcome == "agent_error"


async def test_results(task: hud.Task) -> None:
    """An executor's dict is known by its shape, a list of messages by its class."""
    said = {"input": "Who leads HUD?", "output": "JR"}
    other = {"input": "a", "output": "b", "score": 1}
    for given, answer in (
        (said, "JR"),
        ({**said, "chat_history": [], "intermediate_steps": []}, "JR"),
        (other, other),
        ({"output": "b"}, {"output": "b"}),
        (
            [HumanMessage("?"), AIMessage("JR"), ToolMessage("x", tool_call_id="1")],
            "JR",
        ),
    ):
        async with hud.eval(task) as ctx:
            await ctx.submit(given)
        assert ctx.answer == answer


@new
async def test_a_tool_bound_to_a_blocked_loop(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What belongs to the loop that `invoke` blocks fails, and we say what to write."""
    env = hud.Environment("bound")
    queue: asyncio.Queue[str] = asyncio.Queue()

    @env.tool
    async def take() -> str:
        """Take what comes next."""
        return await asyncio.wait_for(queue.get(), 5)

    @env.scenario("s")
    async def s() -> Any:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(queue.get(), 0.01)  # the queue is of this loop now
        answer = yield "Go."
        yield float(answer == "JR")

    before = seen("tool-on-another-loop")
    for in_thread in (False, True):
        with ScriptedModel([call(("take", {})), say("JR")]) as model:
            async with hud.eval(s()) as ctx:
                agent = create_agent(chat(model), ctx.as_langchain_tools())
                if in_thread:
                    queue.put_nowait("x")
                    result = await asyncio.to_thread(agent.invoke, said(ctx))
                else:
                    result = agent.invoke(said(ctx))
                await ctx.submit(result)
            assert ctx.result.tool_errors == (0 if in_thread else 1)
    assert seen("tool-on-another-loop") == before + 1
    assert "asyncio.to_thread(agent.invoke, ...)" in capsys.readouterr().err


async def test_a_token_limit_without_usage() -> None:
    """Where a stream says nothing of tokens, a limit on them is not kept, we say so."""
    before = seen("token-limit-without-usage")
    script = [call(("slow", {"label": "one"})), say("all done")]
    for told in (True, False):
        with ScriptedModel(script) as model:
            async with hud.eval(People().task, limits=hud.Limits(tokens=10**6)) as ctx:
                llm = chat(model, streaming=True, stream_usage=told)
                await ctx.submit(
                    await executor(ctx, llm).ainvoke({"input": ctx.prompt})
                )
        assert ctx.answer == "all done"
        assert (ctx.result.usage.output_tokens > 0) is told
        assert (seen("token-limit-without-usage") > before) is not told


async def test_call_tool(task: hud.Task) -> None:
    """A call in a model's message gets the `ToolMessage` that answers it."""
    async with hud.eval(task) as ctx:
        reply = chat_reply(("lookup_ceo", {"company": "HUD"}), ("nothing", {}))
        good, unknown = await ctx.call_tools(reply.tool_calls)
        broken = AIMessage(content="", tool_calls=[], invalid_tool_calls=[BROKEN])
        (bad,) = await ctx.call_tools(broken.invalid_tool_calls)
        await ctx.submit(AIMessage(content=[{"type": "text", "text": "JR"}]))
    assert good == ToolMessage("Jay Ram", tool_call_id="c0", name="lookup_ceo")
    assert isinstance(unknown, ToolMessage)
    assert (unknown.status, unknown.tool_call_id) == ("error", "c1")
    assert (bad.status, bad.tool_call_id) == ("error", "c9")
    assert "not valid JSON" in bad.content
    assert (ctx.answer, ctx.reward) == ("JR", 1.0)


BROKEN: Any = {
    "type": "invalid_tool_call",
    "id": "c9",
    "name": "lookup_ceo",
    "args": "{",
    "error": None,
}


def chat_reply(*calls: tuple[str, dict[str, Any]]) -> Any:
    """Make a message of a model that calls tools."""
    return AIMessage(
        content="",
        tool_calls=[
            {"type": "tool_call", "id": f"c{at}", "name": name, "args": arguments}
            for at, (name, arguments) in enumerate(calls)
        ],
    )


async def test_arguments_of_any_name() -> None:
    """A tool may have arguments that LangChain's own functions have, too."""
    env = hud.Environment("names")
    got = {}

    @env.tool
    def odd(config: dict[str, int], run_manager: str, callbacks: list[int]) -> str:
        """Take odd names."""
        got.update(config=config, run_manager=run_manager, callbacks=callbacks)
        return "fine"

    @env.scenario("one")
    async def one() -> Any:
        yield "p"
        yield 1.0

    sent = {"config": {"a": 1}, "run_manager": "x", "callbacks": [1]}
    async with hud.eval(one()) as ctx:
        (tool,) = ctx.as_langchain_tools()
        assert await tool.ainvoke(sent) == "fine"
        assert got == sent
        got.clear()
        assert tool.invoke(sent) == "fine"
        assert got == sent
        message = tool.invoke(chat_reply(("odd", {})).tool_calls[0])
        assert (message.status, message.tool_call_id) == ("error", "c0")


def test_the_example(run_example: Callable[[str], str]) -> None:
    """The example runs offline and earns its reward."""
    assert run_example("11_langchain.py").count("reward 1.0") == 1 + NEW
