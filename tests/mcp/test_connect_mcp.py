"""Tools of real MCP servers in evals: what they return, and what is recorded."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace

import hudtrace as hud
from hudtrace.errors import ConfigurationError, EnvironmentFailure, ToolError
from hudtrace.testing import ScriptedModel, call, captured_spans, say, span_tree

pytestmark = pytest.mark.usefixtures("store")
TREE = """\
eval mcp:use reward=1.0 outcome=scored
├─ setup
│  └─ connect_mcp tester
├─ invoke_agent agent
│  ├─ execute_tool add
│  └─ execute_tool fail error=tool_error
└─ reward score=1.0"""


def field(model: Any, name: str) -> Any:
    """Read a field by its name on the wire; the package has spelt it in two ways."""
    return model.model_dump(by_alias=True)[name]


def make(*args: Any, **options: Any) -> tuple[hud.Environment, hud.Task]:
    """Make an environment with a server, and a task in it."""
    env = hud.Environment("mcp")
    env.connect_mcp(*args, name="tester", **options)

    @env.scenario("use")
    async def use() -> Any:
        answer = yield "Use the tools."
        yield 1.0 if answer else 0.0

    return env, use()


@pytest.fixture(params=["stdio", "http"])
def place(request: Any, command: list[str], http_server: Any) -> dict[str, Any]:
    """Where a server is, in both ways."""
    if request.param == "stdio":
        return {"command": command}
    return {"url": http_server().url}


async def test_one_span_for_each_call(place: dict[str, Any]) -> None:
    """A call is one `execute_tool` span; connecting is one span of the set-up."""
    _, task = make(**place)
    with captured_spans() as spans:
        async with hud.eval(task) as ctx:
            assert str(await ctx.call_tool("add", a=2)) == "3"
            failed = await ctx.call_tool("fail", why="no")
            assert field(failed, "isError")
            await ctx.submit("3")
    assert span_tree(spans) == TREE
    result = ctx.result
    assert (result.tool_calls, result.tool_errors) == (2, 1)
    (span,) = [s for s in spans if s.name == "execute_tool add"]
    assert span.attributes["mcp.method.name"] == "tools/call"
    assert span.attributes["hud.mcp.server"] == "tester"
    assert span.attributes["jsonrpc.request.id"]


async def test_the_trace_goes_along(place: dict[str, Any]) -> None:
    """`_meta` of a call carries the traceparent of its `execute_tool` span."""
    _, task = make(**place)
    with captured_spans() as spans:
        async with hud.eval(task) as ctx:
            meta = json.loads(str(await ctx.call_tool("meta")))
    (span,) = [s for s in spans if s.name == "execute_tool meta"]
    _, trace_id, span_id, flags = meta["traceparent"].split("-")
    assert (trace_id, span_id) == (ctx.trace_id, span.span_id)
    assert int(flags, 16) & 1


async def test_results(place: dict[str, Any]) -> None:
    """Texts, images, structured content and errors come back as they are."""
    _, task = make(**place)
    async with hud.eval(task) as ctx:
        added = await ctx.call_tool("add", a=2, b=5)
        assert field(added, "structuredContent") == {"result": 7}
        assert await ctx.tools["add"](a=2, b=5) == {"result": 7}
        text, image = (await ctx.call_tool("picture")).content
        assert (text.text, field(image, "mimeType")) == ("a page", "image/png")
        block = {"type": "tool_use", "id": "t", "name": "picture", "input": {}}
        kinds = [part["type"] for part in (await ctx.call_tool(block))["content"]]
        assert kinds == ["text", "image"]
        wrong = await ctx.call_tool("add", a="many")
        assert field(wrong, "isError")
        assert "a" in str(wrong)
        with pytest.raises(ToolError, match="fail"):
            await ctx.tools["fail"](why="no")
        unknown = await ctx.call_tool("nothing")
        assert "unknown tool 'nothing'" in str(unknown)


async def test_schemas_are_whole(command: list[str]) -> None:
    """What the server says of arguments is what each API is told."""
    env, task = make(command)
    async with hud.eval(task) as ctx:
        tools = {t["function"]["name"]: t for t in ctx.as_openai_chat_tools()}
        schema = tools["add"]["function"]["parameters"]
        assert schema["properties"]["a"]["description"] == "one"
        assert schema["properties"]["a"]["minimum"] == 0
        assert schema["properties"]["b"]["default"] == 1
        assert tools["add"]["function"]["description"] == "Add two numbers."
        assert len(ctx.as_claude_tools()) == len(tools)
        assert ctx.as_gemini_tools()
        strict = {"type": "function", "id": "c", "function": {"name": "add", "arguments": '{"a": 1, "b": null}'}}  # fmt: skip
        assert (await ctx.call_tool(strict))["content"] == "2"
    assert {t["function"]["name"] for t in env.as_openai_chat_tools()} == set(tools)


def test_an_environment_lists_before_any_episode(command: list[str]) -> None:
    """`env.as_openai_chat_tools()` connects, where no episode has."""
    env, _ = make(command, include=["add"])
    (tool,) = env.as_openai_chat_tools()
    assert tool["function"]["name"] == "add"


async def test_choice_and_prefix(command: list[str]) -> None:
    """`include`, `exclude` and `prefix` make what the model sees."""
    _, task = make(command, include=["add", "note"], exclude=["note"], prefix="t_")
    async with hud.eval(task) as ctx:
        assert list(ctx.tools) == ["t_add"]
        assert str(await ctx.call_tool("t_add", a=1)) == "2"
    _, task = make(command, include=["ad"])
    with pytest.raises(ConfigurationError, match=r"no tool 'ad'.*it has: add, note"):
        async with hud.eval(task):
            pass


async def test_two_servers(command: list[str]) -> None:
    """Two servers are two sets of tools; one name twice is refused."""
    env, task = make(command, prefix="one_")
    env.connect_mcp(command, name="second", prefix="two_")
    async with hud.eval(task) as ctx:
        first = await ctx.call_tool("one_pid")
        assert str(first) != str(await ctx.call_tool("two_pid"))
    env.connect_mcp(command, name="third", prefix="two_")
    with pytest.raises(ConfigurationError, match="'second' and 'third' both"):
        async with hud.eval(task):
            pass


async def test_the_digest_has_the_definitions(command: list[str]) -> None:
    """The environment's digest changes with the tools that a server has."""
    digests = []
    for options in ({}, {}, {"exclude": ["note"]}):
        _, task = make(command, **options)
        async with hud.eval(task) as ctx:
            pass
        digests.append(ctx.result.env_digest)
    assert digests[0] == digests[1] != digests[2]


async def test_one_connection_for_all(command: list[str]) -> None:
    """Episodes at once, sync ones and later loops share one process."""
    _, task = make(command)

    async def run(_: int) -> str:
        async with hud.eval(task) as ctx:
            pid = str(await ctx.call_tool("pid"))
            await ctx.submit(pid)
        assert ctx.result.reward == 1.0
        return pid

    def run_sync() -> str:
        with hud.eval(task) as ctx:
            return str(ctx.call_tool("pid"))

    pids = set(await asyncio.gather(*map(run, range(20))))
    pids.add(await asyncio.to_thread(run_sync))
    pids.add(await asyncio.to_thread(lambda: asyncio.run(run(0))))
    pids.add(run_sync())  # under a loop that it blocks
    assert len(pids) == 1


async def test_fifty_calls_at_once(place: dict[str, Any]) -> None:
    """Calls of one episode go out together, and come back in their places."""
    _, task = make(**place)
    calls = [{"name": "slow", "arguments": {"seconds": 0.5, "key": f"{n}"}} for n in range(50)]  # fmt: skip
    async with hud.eval(task) as ctx:
        begun = asyncio.get_running_loop().time()
        results = await ctx.call_tools(calls)
        took = asyncio.get_running_loop().time() - begun
    assert [str(r) for r in results] == [f"slept {n}" for n in range(50)]
    assert took < 10  # one after the other, 25


async def test_cancelling_reaches_the_server(command: list[str]) -> None:
    """A call that is cancelled is cancelled at the server, which goes on."""
    _, task = make(command)
    async with hud.eval(task) as ctx:
        work = asyncio.ensure_future(ctx.call_tool("slow", seconds=60, key="long"))
        await asyncio.sleep(0.3)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        for _ in range(50):
            if "long" in str(await ctx.call_tool("cancelled_calls")):
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("the server went on with it")


async def test_a_slow_call_is_the_models_to_see(command: list[str]) -> None:
    """A call past its timeout is an error result; the server is still of use."""
    _, task = make(command, timeout=0.3)
    async with hud.eval(task) as ctx:
        late = await ctx.call_tool("slow", seconds=60)
        assert "tool slow took longer than 0.3 s" in str(late)
        assert str(await ctx.call_tool("add", a=1)) == "2"
        await ctx.submit("x")
    assert ctx.result.outcome == "scored"


async def test_a_server_that_stands_still(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that answers nothing any more breaks the episode, not the next one."""
    monkeypatch.setattr("hudtrace.mcp_servers.connection._PING_SECONDS", 0.5)
    _, task = make([*command[:1], "-c", BLOCKING, command[1]], timeout=0.5)
    async with hud.eval(task, on_error="record") as ctx:
        pid = int(str(await ctx.call_tool("pid")))
        os.kill(pid, signal.SIGSTOP)
        try:
            await ctx.call_tool("add", a=1)
        finally:
            os.kill(pid, signal.SIGCONT)
    assert ctx.result.outcome == "environment_error"
    assert "does not answer any more" in str(ctx.result.error)
    async with hud.eval(task) as ctx:
        assert int(str(await ctx.call_tool("pid"))) != pid


BLOCKING = "import sys, runpy; sys.argv.pop(0); runpy.run_path(sys.argv[0], run_name='__main__')"


@pytest.mark.parametrize("way", ["exit", "kill"])
async def test_death_in_mid_call(command: list[str], way: str) -> None:
    """A server that dies is `environment_error`, never a reward; the next one lives."""
    _, task = make(command)
    async with hud.eval(task, on_error="record") as ctx:
        pid = int(str(await ctx.call_tool("pid")))
        if way == "exit":
            await ctx.call_tool("die")
        else:
            work = asyncio.ensure_future(ctx.call_tool("slow", seconds=60))
            await asyncio.sleep(0.3)
            os.kill(pid, signal.SIGKILL)
            await work
        raise AssertionError("not reached")
    result = ctx.result
    assert (result.outcome, result.reward) == ("environment_error", None)
    assert isinstance(result.error, EnvironmentFailure)
    assert "'tester'" in str(result.error)
    assert ("about to die" if way == "exit" else "slow x") in str(result.error)
    async with hud.eval(task) as ctx:
        assert int(str(await ctx.call_tool("pid"))) != pid
        await ctx.submit("x")
    assert ctx.result.reward == 1.0


async def test_death_between_calls(
    command: list[str], wait_for_end: Callable[[int], bool]
) -> None:
    """What a server held for an episode is gone with it; a new episode goes on."""
    env, task = make(command)
    async with hud.eval(task) as ctx:
        pid = int(str(await ctx.call_tool("pid")))
    os.kill(pid, signal.SIGKILL)
    assert await asyncio.to_thread(wait_for_end, pid)
    while env.servers[0].is_ready:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    async with hud.eval(task, on_error="record") as ctx:
        again = int(str(await ctx.call_tool("pid")))
        assert again != pid
        os.kill(again, signal.SIGKILL)
        assert await asyncio.to_thread(wait_for_end, again)
        while env.servers[0].is_ready:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await ctx.call_tool("pid")
    assert ctx.result.outcome == "environment_error"
    assert "after this episode had used it" in str(ctx.result.error)


async def test_death_over_http(http_server: Any) -> None:
    """A server that is killed in mid-call, and comes back at its address."""
    server = http_server()
    _, task = make(url=server.url)
    async with hud.eval(task, on_error="record") as ctx:
        await ctx.call_tool("pid")
        work = asyncio.ensure_future(ctx.call_tool("slow", seconds=60))
        await asyncio.sleep(0.3)
        server.kill()
        await work
    assert ctx.result.outcome == "environment_error"
    ctx = hud.eval(task)
    with pytest.raises(EnvironmentFailure, match=r"cannot connect.*127\.0\.0\.1"):
        async with ctx:
            pass
    assert ctx.result.outcome == "environment_error"
    http_server(port=server.port)
    async with hud.eval(task) as ctx:
        assert str(await ctx.call_tool("add", a=1)) == "2"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such-program-here"], "there is no program 'no-such-program-here'"),
        ([sys.executable, "SERVER", "crash"], r"cannot connect.*\n  no license file"),
        ([sys.executable, "SERVER", "hang"], "did not answer within 1 s"),
    ],
)
async def test_no_connection(
    command: list[str], arguments: list[str], said: str
) -> None:
    """What cannot be reached is an error of the set-up that says why, in time."""
    words = [command[1] if word == "SERVER" else word for word in arguments]
    _, task = make(words, connect_timeout=1 if "hang" in words else 10)
    ctx = hud.eval(task)
    with pytest.raises(EnvironmentFailure, match=f"(?s){said}"):
        async with ctx:
            pass
    assert ctx.result.outcome == "environment_error"


async def test_headers_and_refusals(http_server: Any) -> None:
    """Headers go with each request; a refusal is told with its status."""
    url = http_server().url
    _, task = make(url=url, headers={"X-Key": "right"})
    async with hud.eval(task) as ctx:
        assert str(await ctx.call_tool("add", a=1)) == "2"
    _, task = make(url=url, headers={"X-Key": "wrong"})
    with pytest.raises(EnvironmentFailure, match="401") as raised:
        async with hud.eval(task):
            pass
    assert "wrong" not in str(raised.value)


async def test_process_settings(command: list[str], tmp_path: Path) -> None:
    """A command has the variables and the folder that it is given, and no others."""
    _, task = make(command, env={"PLACE": "here"}, cwd=tmp_path)
    async with hud.eval(task) as ctx:
        told = await ctx.call_tool("environment", name="PLACE")
        assert str(told) == f"here in {tmp_path.name}"
        other = await ctx.call_tool("environment", name="PYTEST_CURRENT_TEST")
        assert str(other).startswith("None")


async def test_new_tools_are_there_next_time(place: dict[str, Any]) -> None:
    """After `tools/list_changed` the next episode has what is new; this one has not."""
    _, task = make(**place)
    async with hud.eval(task) as ctx:
        await ctx.call_tool("grow")
        await asyncio.sleep(0.2)
        assert "grown" not in ctx.tools
    async with hud.eval(task) as ctx:
        assert str(await ctx.call_tool("grown")) == "new"


async def test_a_model_with_a_server(command: list[str]) -> None:
    """A scenario chat works with the server's tools as with any other."""
    _, task = make(command)
    script = [call(("add", {"a": 20, "b": 22})), say("42")]
    with ScriptedModel(script) as model:
        from openai import AsyncOpenAI

        async with AsyncOpenAI(base_url=model.url, api_key="none") as client:
            result = await hud.run_scenario_chat(
                client=client, model=model.model, task=task
            )
    assert (result.reward, result.answer, result.tool_calls) == (1.0, "42", 1)


async def test_users_own_spans_stay(command: list[str]) -> None:
    """The package's spans of other sessions are recorded as they say."""
    _, task = make(command)
    tracer = trace.get_tracer("mcp-python-sdk")
    with captured_spans() as spans:
        async with hud.eval(task) as ctx:
            with tracer.start_as_current_span("MCP send tools/call other"):
                pass
            await ctx.call_tool("add", a=1)
    names = [s.name for s in spans if s.name.startswith("MCP")]
    assert names == ["MCP send tools/call other"]


async def test_it_ends_with_the_environment(
    command: list[str], wait_for_end: Callable[[int], bool]
) -> None:
    """A server whose environment nobody holds any more is ended."""
    env, task = make(command)
    async with hud.eval(task) as ctx:
        pid = int(str(await ctx.call_tool("pid")))
    del env, task, ctx
    gc.collect()
    assert await asyncio.to_thread(wait_for_end, pid)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({}, TypeError, "a command or a URL"),
        ({"command": ["x"], "url": "http://x"}, TypeError, "a command or a URL"),
        ({"command": "uvx server"}, TypeError, r"\['uvx', 'server'\]"),
        ({"command": []}, TypeError, "a list of words"),
        ({"command": ["x"], "headers": {}}, TypeError, "headers go with a URL"),
        ({"url": "http://x", "cwd": "."}, TypeError, "go with a command"),
        ({"url": "localhost:8000"}, ValueError, "the address of a server"),
    ],
)
def test_wrong_arguments(
    arguments: dict[str, Any], error: type[Exception], said: str
) -> None:
    """What makes no sense is said when it is written, and nothing is opened."""
    with pytest.raises(error, match=said):
        hud.Environment("x").connect_mcp(**arguments)
