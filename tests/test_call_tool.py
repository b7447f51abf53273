"""`ctx.call_tool`: in which form a call comes, in that form it goes back."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import mcp.types
import mcp_types
import pydantic
import pytest
from openai.types.chat import (
    ChatCompletionMessageFunctionToolCall as FunctionToolCall,
)

import hudtrace as hud
from hudtrace.errors import UnknownTool, UnrecognizedToolCall
from hudtrace.store import queries
from hudtrace.testing import captured_spans
from hudtrace.tools import ToolResult

Stored = Callable[[str], list[queries.StoredSpan]]
pytestmark = pytest.mark.usefixtures("store")
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8


class Point(pydantic.BaseModel):
    x: int
    y: int = 0


@dataclasses.dataclass
class Pair:
    a: int
    b: str


@pytest.fixture
def box() -> hud.Task:
    """A task with tools of many kinds."""
    env = hud.Environment("box")

    @env.tool
    def add(a: int, b: int = 1) -> int:
        """Add."""
        return a + b

    @env.tool
    async def boom(secret: str = "s") -> str:
        """Fail."""
        raise RuntimeError(f"internal detail {secret}")

    @env.tool
    async def refuse() -> str:
        """Refuse."""
        raise hud.ToolError("the door is locked; find the key")

    @env.tool
    def picture() -> hud.Image:
        """Draw."""
        return hud.Image(PNG)

    @env.tool
    def move(point: Point, pair: Pair | None = None) -> dict[str, Any]:
        """Move."""
        assert isinstance(point, Point)
        return {"x": point.x, "y": point.y, "pair": pair and pair.b}

    @env.tool(timeout=0.05)
    def sleepy() -> str:
        """Sleep."""
        time.sleep(0.3)
        return "late"

    @env.tool(max_result_bytes=10)
    def long() -> str:
        """Talk."""
        return "x" * 1000

    @env.scenario("one")
    async def one() -> Any:
        yield "p"
        yield 1.0

    return one()


def chat_call(name: str, arguments: str, call_id: str = "call_1") -> dict[str, Any]:
    """Make an OpenAI Chat tool call as a dict."""
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


@pytest.mark.parametrize("as_object", [True, False])
async def test_openai_chat(box: hud.Task, as_object: bool) -> None:
    """An OpenAI Chat call, object or dict, gets a tool message with its id."""
    call: Any = chat_call("add", '{"a": 2, "b": 3}', "call_9")
    if as_object:
        call = FunctionToolCall.model_validate(call)
    async with hud.eval(box) as ctx:
        reply = await ctx.call_tool(call)
    assert reply == {"role": "tool", "tool_call_id": "call_9", "content": "5"}


@pytest.mark.parametrize(
    "call",
    [
        mcp.types.CallToolRequestParams(name="add", arguments={"a": 2}),
        mcp_types.CallToolRequestParams(name="add", arguments={"a": 2}),
        mcp.types.CallToolRequest(
            method="tools/call",
            params=mcp.types.CallToolRequestParams(name="add", arguments={"a": 2}),
        ),
        {"name": "add", "arguments": {"a": 2}},
    ],
    ids=["params", "mcp_types", "request", "dict"],
)
async def test_mcp(box: hud.Task, call: Any) -> None:
    """An MCP request, object or dict, gets a CallToolResult whose str is its text."""
    async with hud.eval(box) as ctx:
        reply = await ctx.call_tool(call)
    assert isinstance(reply, mcp.types.CallToolResult)
    assert str(reply) == "3"
    assert reply.content[0].text == "3"  # type: ignore[union-attr]
    assert not reply.is_error


@pytest.mark.parametrize(
    "wrong",
    [
        chat_call("add", "{}"),
        FunctionToolCall.model_validate(chat_call("add", "{}")),
        "add",
        None,
        3,
    ],
    ids=["dict", "object", "name", "None", "number"],
)
async def test_call_tools_takes_a_list(box: hud.Task, wrong: Any) -> None:
    """One call alone is not taken apart into its keys or letters."""
    async with hud.eval(box) as ctx:
        with pytest.raises(UnrecognizedToolCall, match=r"one call goes to call_tool"):
            await ctx.call_tools(wrong)
        assert await ctx.call_tools(iter([])) == []
    assert ctx.result.tool_calls == 0


async def test_by_name(box: hud.Task) -> None:
    """A name with keywords, a mapping, or JSON text; a tool may have any argument."""
    async with hud.eval(box) as ctx:
        assert str(await ctx.call_tool("add", a=1)) == "2"
        assert str(await ctx.call_tool("add", {"a": 1, "b": 4})) == "5"
        assert str(await ctx.call_tool("add", '{"a": 5}')) == "6"
        with pytest.raises(UnrecognizedToolCall, match="twice"):
            await ctx.call_tool("add", {"a": 1}, b=2)


@pytest.mark.parametrize(
    "wrong", [3, None, [], {"nothing": 1}, object(), {"name": "add"}, {"id": "x"}]
)
async def test_unrecognized(box: hud.Task, wrong: Any) -> None:
    """Anything else is refused with the formats that were tried."""
    async with hud.eval(box) as ctx:
        with pytest.raises(UnrecognizedToolCall, match="OpenAI Chat Completions"):
            await ctx.call_tool(wrong)


MISTAKES = [
    (chat_call("ad", "{}"), "unknown tool 'ad'; available: add, boom", "unknown_tool"),
    (chat_call("add", '{"a": '), "not valid JSON", "invalid_arguments"),
    (chat_call("add", "[1]"), "send a JSON object", "invalid_arguments"),
    (chat_call("add", "{}"), "a: missing, but required", "invalid_arguments"),
    (chat_call("add", '{"a": "x"}'), "- a: ", "invalid_arguments"),
    (chat_call("add", '{"a": 1, "c": 2}'), "c: no such argument", "invalid_arguments"),
    (chat_call("boom", "{}"), "the tool failed with RuntimeError", "RuntimeError"),
    (
        chat_call("refuse", ""),
        "the door is locked; find the key",
        "hudtrace.errors.ToolError",
    ),
    (chat_call("sleepy", "{}"), "took longer than 0.05 s", "timeout"),
]


@pytest.mark.parametrize(
    ("call", "text", "kind"),
    MISTAKES,
    ids=[f"{m[2]}-{i}" for i, m in enumerate(MISTAKES)],
)
async def test_mistakes_come_back_in_band(
    box: hud.Task, call: Any, text: str, kind: str, stored: Stored
) -> None:
    """What the model got wrong or a tool raised is a reply that it can act on."""
    async with hud.eval(box) as ctx:
        reply = await ctx.call_tool(call)
        as_mcp = await ctx.call_tool(
            {"name": call["function"]["name"], "arguments": {"no": "such"}}
        )
        await ctx.submit("x")
    assert reply["tool_call_id"] == "call_1"
    assert text in reply["content"]
    assert reply["content"].startswith("Error")
    assert as_mcp.is_error
    assert "internal detail" not in reply["content"]
    spans = stored(ctx.trace_id)
    tool = next(
        s for s in spans if s.name == f"execute_tool {call['function']['name']}"
    )
    assert (tool.status, tool.attributes["error.type"]) == (2, kind)
    assert tool.attributes["hud.tool.error"] == 1.0
    root = spans[0]
    assert root.attributes["hud.tool.errors"] == 2
    assert root.attributes["hud.tool.failed"] is True
    assert root.status == 0
    assert ctx.result.reward == 1.0


async def test_strict_form(box: hud.Task) -> None:
    """`ctx.tools[name]` gives the value itself, or the tool's own exception."""
    async with hud.eval(box) as ctx:
        assert await ctx.tools["add"](a=1) == 2
        assert await ctx.tools["move"](point={"x": 1}) == {"x": 1, "y": 0, "pair": None}
        with pytest.raises(RuntimeError, match="internal detail"):
            await ctx.tools["boom"]()
        with pytest.raises(ValueError, match="missing, but required"):
            await ctx.tools["add"]()
        with pytest.raises(KeyError):
            _ = ctx.tools["nothing"]
        assert not issubclass(UnknownTool, KeyError)


async def test_calls_at_the_same_time_keep_their_order(box: hud.Task) -> None:
    """`call_tools` runs calls together and returns results in their order."""
    calls = [chat_call("add", f'{{"a": {n}}}', f"call_{n}") for n in range(20)]
    async with hud.eval(box) as ctx:
        replies = await ctx.call_tools(calls)
    assert [r["content"] for r in replies] == [str(n + 1) for n in range(20)]
    assert [r["tool_call_id"] for r in replies] == [f"call_{n}" for n in range(20)]


async def test_images(box: hud.Task) -> None:
    """An image is a content block in MCP, and named where only text is taken."""
    async with hud.eval(box) as ctx:
        as_mcp = await ctx.call_tool("picture")
        as_chat = await ctx.call_tool(chat_call("picture", "{}"))
    assert as_mcp.content[0].type == "image"
    assert as_chat["content"] == "[image: image/png, 16 bytes]"


async def test_long_results_are_cut(box: hud.Task) -> None:
    """`max_result_bytes` cuts a result and says so."""
    async with hud.eval(box) as ctx:
        text = (await ctx.call_tool(chat_call("long", "{}")))["content"]
    assert text.startswith("xxxxxxxxxx\n[cut")


async def test_abandoned_thread(box: hud.Task, stored: Stored) -> None:
    """A thread that outlives its timeout is marked; its late spans are dropped."""
    env = hud.Environment("late")
    done = threading.Event()

    @env.tool(timeout=0.05)
    def late() -> str:
        """Take too long."""
        time.sleep(0.2)
        hud.current_eval()
        from opentelemetry import trace

        with trace.get_tracer("late").start_as_current_span("too late"):
            pass
        done.set()
        return "late"

    @env.scenario("one")
    async def one() -> Any:
        yield "p"
        yield 1.0

    async with hud.eval(one()) as ctx:
        await ctx.call_tool("late")
        await asyncio.to_thread(done.wait, 5)
        await ctx.submit("x")
    spans = stored(ctx.trace_id)
    tool = next(s for s in spans if s.name == "execute_tool late")
    assert tool.attributes["hud.tool.abandoned"] is True
    assert "too late" not in {s.name for s in spans}


WHERE: contextvars.ContextVar[str] = contextvars.ContextVar("WHERE")


async def test_where_tools_run() -> None:
    """A `def` runs in a thread with the context, `loop` and `episode_thread` as named."""
    env = hud.Environment("threads")
    seen: dict[str, list[Any]] = {"thread": [], "loop": [], "own": []}

    def note(key: str) -> str:
        state = hud.current_eval().state
        seen[key].append((threading.current_thread(), WHERE.get(), state["n"]))
        return "ok"

    env.tool(lambda: note("thread"), name="thread")  # type: ignore[call-overload]
    env.tool(name="loop", run_in="loop")(lambda: note("loop"))
    env.tool(name="own", run_in="episode_thread")(lambda: note("own"))

    @env.scenario("one")
    async def one() -> Any:
        yield "p"
        yield 1.0

    WHERE.set("here")
    with captured_spans() as spans:
        async with hud.eval(one()) as ctx:
            ctx.state["n"] = 7
            for name in ("thread", "loop", "own", "own"):
                await ctx.call_tool(name)
    main = threading.current_thread()
    assert seen["thread"][0][0] is not main
    assert seen["loop"][0][0] is main
    assert seen["own"][0][0] is seen["own"][1][0]
    assert seen["own"][0][0] is not main
    assert {entry[1:] for entries in seen.values() for entry in entries} == {
        ("here", 7)
    }
    assert len([s for s in spans if s.name.startswith("execute_tool")]) == 4


async def test_parallel_false_makes_calls_wait() -> None:
    """`parallel=False` runs a tool's calls one after the other within an episode."""
    env = hud.Environment("serial")
    running = 0
    most = 0

    @env.tool(parallel=False)
    async def one_by_one() -> str:
        """Work."""
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return "ok"

    @env.scenario("one")
    async def one() -> Any:
        yield "p"
        yield 1.0

    async with hud.eval(one()) as ctx:
        await ctx.call_tools([{"name": "one_by_one", "arguments": {}}] * 4)
    assert most == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        (3, "3"),
        (True, "true"),
        (None, "null"),
        ({"a": [1]}, '{"a": [1]}'),
        ([1, 2], "[1, 2]"),
        (Pair(1, "b"), '{"a": 1, "b": "b"}'),
        (Point(x=1), '{"x": 1, "y": 0}'),
        (PNG, "[image: image/png, 16 bytes]"),
        (hud.Image(b"x", "image/webp"), "[image: image/webp, 1 bytes]"),
        ({"type": "text", "text": "block"}, "block"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        (mcp.types.TextContent(type="text", text="object"), "object"),
        ({1, 2}, "[1, 2]"),
        (ToolResult.error("no"), "no"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_results(value: Any, text: str) -> None:
    """Whatever a tool returns becomes one result with a text."""
    assert ToolResult.of(value).text == text


async def test_tools_of_the_scenario() -> None:
    """`exclude_tools` and `allowed_tools` decide what the agent sees and may call."""
    env = hud.Environment("choice")
    for name in ("a", "b", "c"):
        env.tool(name=name)(lambda: "ok")

    async def one() -> Any:
        yield "p"
        yield 1.0

    env.scenario("without", exclude_tools=["a"])(one)
    env.scenario("only", allowed_tools=["b"])(one)
    async with hud.eval(env("without")) as ctx:
        assert list(ctx.tools) == ["b", "c"]
        assert "unknown tool 'a'" in str(await ctx.call_tool("a"))
    async with hud.eval(env("only")) as ctx:
        names = [tool["function"]["name"] for tool in ctx.as_openai_chat_tools()]
        assert names == ["b"]
        assert [tool.name for tool in ctx.as_tools()] == ["b"]


def test_as_tools_has_both_spellings(env: hud.Environment) -> None:
    """MCP tools are the installed class, readable as input_schema and inputSchema."""
    (tool,) = env.as_tools()
    assert isinstance(tool, mcp.types.Tool)
    assert tool.input_schema == tool.inputSchema
    assert tool.input_schema["required"] == ["company"]


async def test_arguments_arrive_exactly(stored: Stored) -> None:
    """Arguments are recorded as JSON, with every kind of value intact."""
    env = hud.Environment("exact")
    got = []

    @env.tool
    def take(value: Any) -> str:
        """Take."""
        got.append(value)
        return "ok"

    @env.scenario("one")
    async def one() -> Any:
        yield "p"
        yield 1.0

    value = {"é": [1, 2.5, None, True, {"n": "✓"}], "empty": {}}
    async with hud.eval(one()) as ctx:
        await ctx.call_tool(chat_call("take", json.dumps({"value": value})))
    assert got == [value]
    tool = next(s for s in stored(ctx.trace_id) if s.name == "execute_tool take")
    assert json.loads(tool.attributes["gen_ai.tool.call.arguments"]) == {"value": value}
