"""An environment as an MCP server over HTTP, by the official client as the agent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest
import serving_agents
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from opentelemetry import trace
from server_kit import Serve, Server, until

import hudtrace as hud
from hudtrace.errors import ConfigurationError
from hudtrace.testing import say

OWN = ["scenario_list", "scenario_start", "scenario_submit"]
START = {"scenario": "initials", "scenario_args": {"company": "HUD"}}


@pytest.fixture
def served(store: object) -> Iterator[Callable[..., Server]]:
    """Serve an environment without a model: `served(**options)`."""
    with contextlib.ExitStack() as stack:

        def start(env: hud.Environment = serving_agents.env, **options: Any) -> Server:
            return stack.enter_context(Server(env, lambda: None, options))

        yield start


def client(server: Server, **options: Any) -> Client:
    return Client(f"{server.origin}/mcp/env", **options)


async def use(client: Client, name: str, **arguments: Any) -> Any:
    result = await client.call_tool(name, arguments)
    assert not result.is_error, result
    return result.structured_content


async def refused(client: Client, name: str, **arguments: Any) -> str:
    """Return the code of the error that a call is answered with, in-band."""
    result = await client.call_tool(name, arguments)
    assert result.is_error, result
    code: str = (result.structured_content or {})["error"]["code"]
    return code


async def names_of_tools(client: Client) -> list[str]:
    return [tool.name for tool in (await client.list_tools()).tools]


def only_text(result: Any) -> str:
    (block,) = result.content
    text: str = block.text
    return text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_by_a_prompt(
    served: Callable[..., Server], mode: str, stored: Any
) -> None:
    """A prompt opens the episode, tools belong to it, submitting grades it: one trace."""
    async with client(served(), mode=mode) as agent:
        prompts = {p.name: p for p in (await agent.list_prompts()).prompts}
        assert list(prompts) == list(serving_agents.env.scenarios)
        (company,) = prompts["initials"].arguments or []
        assert (company.name, company.required) == ("company", True)
        got = await agent.get_prompt("initials", {"company": "HUD"})
        (message,) = got.messages
        assert message.content.text == "What are the initials of the CEO of HUD?"  # type: ignore[union-attr]
        ids = (got.meta or {})["hud"]
        found = await agent.call_tool("lookup_ceo", {"company": "HUD"})
        assert only_text(found) == "Jay Ram"
        report = await use(agent, "scenario_submit", answer="JR")
    assert (report["reward"], report["outcome"]) == (1.0, "scored")
    assert report["trace_id"] == ids["trace_id"]
    assert report["trace_url"].endswith(report["trace_id"])
    names = sorted(span.name for span in stored(report["trace_id"]))
    assert names == [
        "eval agents:initials",
        "execute_tool lookup_ceo",
        "invoke_agent agent",
        "reward",
        "setup",
    ]


async def test_by_tools(served: Callable[..., Server]) -> None:
    """The same for clients without prompts, several times in one session."""
    async with client(served()) as agent:
        listed = (await use(agent, "scenario_list"))["scenarios"]
        assert [each["short_name"] for each in listed][:2] == ["initials", "sum"]
        for company, reward in (("HUD", 1.0), ("OpenAI", 0.0)):
            args = {"company": company}
            begun = await agent.call_tool(
                "scenario_start", {"scenario": "agents:initials", "scenario_args": args}
            )
            assert company in only_text(begun)
            report = await use(agent, "scenario_submit", answer="JR")
            assert report["reward"] == reward


async def test_tools_are_those_of_the_scenario(served: Callable[..., Server]) -> None:
    """What no scenario offers is never listed; what this one does not, not run."""
    async with client(served()) as agent:
        assert await names_of_tools(agent) == [*OWN, "lookup_ceo"]
        assert "again" in (agent.instructions or "")
        await use(
            agent, "scenario_start", scenario="sum", scenario_args={"numbers": []}
        )
        assert await names_of_tools(agent) == [*OWN, "lookup_ceo"]
        for hidden in ("cheat", "picture"):
            result = await agent.call_tool(hidden, {})
            assert result.is_error
            assert only_text(result).startswith(f"unknown tool '{hidden}'"), result
            assert "cheat" not in only_text(result).replace(f"'{hidden}'", "", 1)


async def test_tools_of_a_scenario_are_told(served: Callable[..., Server]) -> None:
    """A start says which tools there are by now, and that their list has changed."""
    heard: list[str] = []

    async def hear(message: Any) -> None:
        heard.append(getattr(message, "method", ""))

    async def told(times: int) -> None:
        """Wait for a notification, of which there are so many by then."""
        with anyio.fail_after(15):
            while len(heard) < times:  # noqa: ASYNC110
                await anyio.sleep(0.02)
        assert heard == ["notifications/tools/list_changed"] * times

    offered = ["lookup_ceo", "picture", "broken", "slow", "outage", "exits"]
    async with client(served(), message_handler=hear) as agent:
        assert agent.server_capabilities.tools
        assert agent.server_capabilities.tools.list_changed
        got = await agent.get_prompt("initials", {"company": "HUD"})
        assert (got.meta or {})["hud"]["tools"] == offered
        await told(1)
        listed = {tool.name: tool for tool in (await agent.list_tools()).tools}
        assert list(listed) == [*OWN, *offered]
        size = listed["picture"].input_schema["properties"]["size"]
        assert (size["default"], size["description"]) == (1, "How large it is.")
        await use(agent, "scenario_submit", answer="JR")
        await told(2)
        assert await names_of_tools(agent) == [*OWN, "lookup_ceo"]
        sums = {"scenario": "sum", "scenario_args": {"numbers": []}}
        begun = await agent.call_tool("scenario_start", sums)
        assert (begun.meta or {})["hud"]["tools"] == ["lookup_ceo"]
        await use(agent, "scenario_submit", answer=0)
        begun = await agent.call_tool("scenario_start", START)
        assert (begun.meta or {})["hud"]["tools"] == offered
        await told(3)


async def test_which_scenario_offers_which_tools(served: Callable[..., Server]) -> None:
    """The list of scenarios has every tool of any, for clients such as a hub's."""
    async with client(served()) as agent:
        listed = await agent.call_tool("scenario_list", {})
    hud_of_it = (listed.meta or {})["hud"]
    assert hud_of_it["offers"]["sum"] == ["lookup_ceo"]
    assert "picture" in hud_of_it["offers"]["initials"]
    tools = {tool["name"]: tool for tool in hud_of_it["tools"]}
    assert "cheat" not in repr(hud_of_it)
    assert "size" in tools["picture"]["inputSchema"]["properties"]


async def test_results_of_tools(served: Callable[..., Server]) -> None:
    """Images come as images, errors of tools and wrong arguments in-band."""
    async with client(served()) as agent:
        await use(agent, "scenario_start", **START)
        (image,) = (await agent.call_tool("picture", {"size": 2})).content
        assert (image.type, image.mime_type) == ("image", "image/png")  # type: ignore[union-attr]
        failed = await agent.call_tool("broken", {})
        assert failed.is_error
        assert "RuntimeError" in only_text(failed)
        wrong = await agent.call_tool("picture", {"size": "huge"})
        assert wrong.is_error
        assert "size" in only_text(wrong)


async def test_arguments_and_blocks_of_a_prompt(served: Callable[..., Server]) -> None:
    """Arguments that are no texts are read as JSON; images are in the message."""
    async with client(served()) as agent:
        args = {"numbers": "[2, 3]", "label": "5", "twice": "true"}
        first, second = (await agent.get_prompt("sum", args)).messages
        assert first.content.text == "What is the 5 of [2, 3]?"  # type: ignore[union-attr]
        assert second.content.type == "image"
        assert (await use(agent, "scenario_submit", answer=10))["reward"] == 1.0
        left_out = {"numbers": "[2]", "label": "", "twice": ""}
        first, _ = (await agent.get_prompt("agents:sum", left_out)).messages
        assert first.content.text == "What is the  of [2]?"  # type: ignore[union-attr]
        with pytest.raises(MCPError, match="invalid arguments"):
            await agent.get_prompt("sum", {"numbers": "[" * 50_000})


async def test_misuse(served: Callable[..., Server]) -> None:
    """Each mistake is said, and the session goes on."""
    async with client(served()) as agent:
        assert await refused(agent, "lookup_ceo", company="HUD") == "no_episode"
        assert await refused(agent, "scenario_submit", answer="JR") == "no_episode"
        assert await refused(agent, "scenario_submit") == "invalid_arguments"
        start = ("scenario_start", "x")
        assert await refused(agent, start[0]) == "invalid_arguments"
        assert await refused(agent, start[0], scenario="x") == "scenario_not_found"
        wrong = {"scenario": "initials", "scenario_args": {"company": 1, "x": 2}}
        assert await refused(agent, start[0], **wrong) == "invalid_scenario_args"
        for name, args in (("x", {}), ("initials", {}), ("sum", {"numbers": "two"})):
            with pytest.raises(MCPError) as raised:
                await agent.get_prompt(name, args)
            assert raised.value.error.code == -32602
        await use(agent, "scenario_start", **START)
        assert await refused(agent, "scenario_start", **START) == "episode_open"
        with pytest.raises(MCPError, match="one at a time"):
            await agent.get_prompt("initials", {"company": "HUD"})
        report = await use(agent, "scenario_submit", answer="JR")
        assert await use(agent, "scenario_submit", answer="JR") == report
        again = await refused(agent, "scenario_submit", answer="SA")
        assert again == "already_submitted"
        assert await refused(agent, "lookup_ceo", company="HUD") == "session_finished"


async def test_no_answer(served: Callable[..., Server]) -> None:
    """Null hands in nothing: graded as no answer."""
    async with client(served()) as agent:
        await use(agent, "scenario_start", **START)
        report = await use(agent, "scenario_submit", answer=None)
    assert (report["reward"], report["outcome"]) == (0.0, "no_answer")


async def test_nothing_of_the_scenarios_code_is_told(
    served: Callable[..., Server],
) -> None:
    """Neither source nor messages of set-up and grader, nor where files are."""
    said = []
    async with client(served()) as agent:
        said += [await agent.list_tools(), await agent.list_prompts()]
        said.append(await agent.call_tool("scenario_list", {}))
        failed = await agent.call_tool("scenario_start", {"scenario": "no set-up"})
        assert "FileNotFoundError" in only_text(failed)
        said.append(failed)
        with pytest.raises(MCPError, match="FileNotFoundError") as raised:
            await agent.get_prompt("no set-up")
        said.append(raised.value.error)
        await use(agent, "scenario_start", scenario="no grade")
        report = await use(agent, "scenario_submit", answer="x")
        assert (report["reward"], report["outcome"]) == (None, "grader_error")
        assert report["error"] == "AssertionError"
        said.append(report)
        await use(agent, "scenario_start", **START)
        gone = await agent.call_tool("outage", {})
        assert gone.is_error
        said.append(gone)
        after = await refused(agent, "scenario_submit", answer="JR")
        assert after == "session_failed"
    for secret in ("/srv/secret", "secret answer", "yield", "serving_agents", ".py"):
        assert secret not in repr(said)


async def test_reasons_are_not_for_the_agent(served: Callable[..., Server]) -> None:
    """Why it was graded so is with the report, where a client's model does not read."""
    env = hud.Environment("reasons")

    @env.scenario("ask")
    def ask() -> Any:
        answer = yield "What is it?"
        right = hud.SubScore("right", float(answer == "the secret answer"))
        info = {"expected": "the secret answer", "weights": [float("inf"), object]}
        yield hud.Grade(right.value, [right], "not the secret answer", info)

    async with client(served(env)) as agent:
        await use(agent, "scenario_start", scenario="ask")
        graded = await agent.call_tool("scenario_submit", {"answer": "x"})
        assert "secret" not in repr((graded.content, graded.structured_content))
        reasons = (graded.meta or {})["hud"]["grade"]
        assert reasons["explanation"] == "not the secret answer"
        assert reasons["subscores"][0]["name"] == "right"
        assert reasons["info"]["weights"][0] is None
        again = await agent.call_tool("scenario_submit", {"answer": "x"})
        assert again.meta == graded.meta


async def test_where_to_look_when_a_set_up_fails(
    served: Callable[..., Server], stored: Any
) -> None:
    """The errors of a prompt and of a start tell the trace, for a person to open."""
    async with client(served()) as agent:
        failed: Any = await agent.call_tool("scenario_start", {"scenario": "no set-up"})
        told = [failed.structured_content["hud"]]
        with pytest.raises(MCPError) as raised:
            await agent.get_prompt("no set-up")
        told.append(raised.value.error.data["hud"])
    assert len({each["trace_id"] for each in told}) == 2
    for each in told:
        assert each["trace_url"].endswith(each["trace_id"])
        root = next(s for s in stored(each["trace_id"]) if s.name.startswith("eval"))
        assert root.attributes["hud.outcome"] == "environment_error"


async def test_exits_end_nothing_else(served: Callable[..., Server]) -> None:
    """`sys.exit()` in a tool or a scenario is an error there, and the server lives."""
    server = served()
    async with client(server) as other, client(server) as agent:
        await use(other, "scenario_start", **START)
        await use(agent, "scenario_start", **START)
        result = await agent.call_tool("exits", {})
        assert result.is_error
        assert only_text(result) == "the tool failed with RuntimeError"
        assert (await use(agent, "scenario_submit", answer="JR"))["reward"] == 1.0
        exits = {"scenario": "exits", "scenario_args": {"when": "set-up"}}
        assert await refused(agent, "scenario_start", **exits) == "environment_error"
        for when, outcome in (("grade", "grader_error"), ("close", "scored")):
            await use(
                agent, "scenario_start", scenario="exits", scenario_args={"when": when}
            )
            report = await use(agent, "scenario_submit", answer="x")
            assert report["outcome"] == outcome
        assert (await use(other, "scenario_submit", answer="JR"))["reward"] == 1.0


async def test_while_the_set_up_runs(served: Callable[..., Server]) -> None:
    """Nothing can be done before the prompt is there; giving up lets the session begin anew."""
    starting = {"scenario": "exits", "scenario_args": {"when": "never", "pause": 1}}
    server = served()
    try:
        async with client(server) as agent:
            first = asyncio.create_task(use(agent, "scenario_start", **starting))
            while not server.agents._open:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert await refused(agent, "scenario_start", **START) == "episode_open"
            assert await refused(agent, "lookup_ceo", company="HUD") == "no_episode"
            early = await refused(agent, "scenario_submit", answer="x")
            assert early == "episode_starting"
            await first
            assert (await use(agent, "scenario_submit", answer="x"))["reward"] == 1.0
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await use(agent, "scenario_start", **starting)
            while server.agents._open:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await use(agent, "scenario_start", **START)
            report = await use(agent, "scenario_submit", answer="JR")
            assert report["reward"] == 1.0
    except* anyio.ClosedResourceError:
        pass  # the client's own: an answer to what it gave up, while it closes


async def test_limits(served: Callable[..., Server]) -> None:
    """At a limit the episode is graded as it is; submitting then tells how."""
    async with client(served(limits=hud.Limits(tool_calls=1))) as agent:
        await use(agent, "scenario_start", **START)
        await agent.call_tool("lookup_ceo", {"company": "HUD"})
        assert await refused(agent, "lookup_ceo", company="HUD") == "session_limit"
        report = await use(agent, "scenario_submit", answer="JR")
    assert (report["reward"], report["stopped_by"]) == (0.0, "tool_calls")
    async with client(served(limits=hud.Limits(time=0.3))) as agent:
        await use(agent, "scenario_start", **START)
        assert await refused(agent, "slow") == "session_limit"
        report = await use(agent, "scenario_submit", answer="JR")
    assert report["stopped_by"] == "time"


async def test_what_runs_at_the_end_is_stopped(served: Callable[..., Server]) -> None:
    """Submitting does not wait for calls; a call that is given up is stopped."""
    server = served()
    try:
        async with client(server) as agent:
            await use(agent, "scenario_start", **START)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await agent.call_tool("slow", {})
            (episode,) = server.agents._open.values()
            while episode.calls:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            running = asyncio.create_task(agent.call_tool("slow", {}))
            while not episode.calls:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            report = await use(agent, "scenario_submit", answer="JR")
            assert report["reward"] == 1.0
            assert (await running).is_error
    except* anyio.ClosedResourceError:
        pass  # the client's own: an answer to what it gave up, while it closes


async def test_who_leaves(served: Callable[..., Server], stored: Any) -> None:
    """A session that its client deletes is abandoned, and so is one that is idle."""
    server = served(session_ttl=0.6)
    async with client(server) as agent:
        left = await use(agent, "scenario_start", **START)
    until(lambda: not server.agents._open)
    async with client(server) as agent:
        idle = await use(agent, "scenario_start", **START)
        until(lambda: not server.agents._open)
    for each, reason in ((left, "disconnected"), (idle, "expired")):
        root = next(s for s in stored(each["trace_id"]) if s.name.startswith("eval"))
        assert root.attributes["hud.session.end_reason"] == reason
        assert root.attributes["hud.outcome"] == "abandoned"


async def test_parallel_sessions(served: Callable[..., Server], stored: Any) -> None:
    """Thirty at once: each has its own episode, trace and reward."""
    server = served()

    async def run(number: int) -> Any:
        company = ("HUD", "OpenAI", "nobody")[number % 3]
        async with client(server) as agent:
            await agent.get_prompt("initials", {"company": company})
            found = await agent.call_tool("lookup_ceo", {"company": company})
            initials = "".join(word[0] for word in only_text(found).split())
            return await use(agent, "scenario_submit", answer=initials)

    reports = await asyncio.gather(*map(run, range(30)))
    assert [report["reward"] for report in reports] == [1.0, 1.0, 0.0] * 10
    assert len({report["trace_id"] for report in reports}) == 30
    for report in reports:
        assert len(stored(report["trace_id"])) == 5
    assert not server.agents._open


async def test_sessions_are_bounded(served: Callable[..., Server]) -> None:
    """One more than there may be is refused, until one ends."""
    server = served(max_sessions=1)
    async with client(server) as one, client(server) as other:
        await use(one, "scenario_start", **START)
        full = await refused(other, "scenario_start", **START)
        assert full == "too_many_sessions"
        await use(one, "scenario_submit", answer="JR")
        await use(other, "scenario_start", **START)
        report = await use(other, "scenario_submit", answer="JR")
        assert report["reward"] == 1.0


async def test_the_callers_trace(served: Callable[..., Server], stored: Any) -> None:
    """Requests are in the trace that `_meta` carries, linked to root and tool calls."""
    tracer = trace.get_tracer("caller")
    async with client(served()) as agent:
        with tracer.start_as_current_span("outside") as span:
            await use(agent, "scenario_start", **START)
            await agent.call_tool("lookup_ceo", {"company": "HUD"})
        report = await use(agent, "scenario_submit", answer="JR")
    caller = stored(format(span.get_span_context().trace_id, "032x"))
    requests = {s.span_id: s for s in caller}
    episode = {s.name: s for s in stored(report["trace_id"])}
    for name, request in (
        ("eval agents:initials", "tools/call scenario_start"),
        ("execute_tool lookup_ceo", "tools/call lookup_ceo"),
    ):
        (link,) = episode[name].links
        assert requests[link.span_id].name == request
        back = [each.span_id for each in requests[link.span_id].links]
        assert episode[name].span_id in back
        operation = requests[link.span_id].attributes.get("gen_ai.operation.name")
        assert operation is None  # or the call would count twice


async def test_with_a_model_beside(serve: Serve) -> None:
    """A server with a model has both: what its agent does, and the client as agent."""
    server = serve([say("JR")])
    assert server.begin()
    async with client(server) as agent:
        await use(agent, "scenario_start", **START)
        report = await use(agent, "scenario_submit", answer="JR")
    assert report["reward"] == 1.0


async def test_another_environment_connects(
    served: Callable[..., Server], stored: Any
) -> None:
    """One that has the tools by `connect_mcp` makes one span a call, in its own trace."""
    server = served()
    outer = hud.Environment("outer")
    outer.connect_mcp(url=f"{server.origin}/mcp/env", name="inner")
    (connected,) = outer.servers

    @outer.scenario("relay")
    def relay() -> Any:
        answer = yield "Play the other environment."
        yield float(answer)

    async with hud.eval(relay()) as ctx:
        await ctx.call_tool("scenario_start", START)
        await ctx.call_tool("lookup_ceo", {"company": "HUD"})
        submit = ctx.tools["scenario_submit"]
        report: Any = await submit(answer="JR")
        await ctx.submit(str(report["reward"]))
    assert ctx.result.reward == 1.0
    inner = [s.name for s in stored(report["trace_id"])]
    assert inner.count("execute_tool lookup_ceo") == 1
    calls = [
        s.name
        for s in stored(ctx.trace_id)
        if s.attributes.get("gen_ai.operation.name") == "execute_tool"
    ]
    assert sorted(calls) == [
        "execute_tool lookup_ceo",
        "execute_tool scenario_start",
        "execute_tool scenario_submit",
    ]
    connected.close()  # it listens to the server, which would wait for it


def test_the_gate(served: Callable[..., Server]) -> None:
    """Host, Origin, key and size are checked as everywhere; GET listens in a session."""
    server = served(max_body_bytes=1000)
    url = "/mcp/env"
    assert server.get(url).status_code == 400
    assert httpx.put(server.origin + url).status_code == 405
    assert server.get("/health").json() == {"status": "ok"}
    assert server.get("/scenarios").status_code == 404
    evil = {"origin": "https://evil.example"}
    assert server.post(url, {}, headers=evil).status_code == 403
    assert server.post(url, {}, headers={"host": "evil.example"}).status_code == 403
    assert server.post(url, {"x": "y" * 2000}).status_code == 413
    unknown = {"mcp-session-id": "0" * 32, "accept": "application/json"}
    assert server.post(url, {}, headers=unknown).status_code == 404
    locked = served(api_key="let-me-in")
    assert locked.post(url, {}).status_code == 401
    assert httpx.delete(locked.origin + url).status_code == 401


async def test_a_client_of_a_version_without_sessions(
    served: Callable[..., Server],
) -> None:
    """It is told which versions there are."""
    async with client(served(), mode="2026-07-28") as agent:
        with pytest.raises(MCPError, match="begin with initialize") as raised:
            await agent.list_tools()
        assert "2025-06-18" in raised.value.error.data["supported"]


def test_a_session_that_a_client_makes_up(served: Callable[..., Server]) -> None:
    """In a version without sessions a header with one is worth nothing."""
    server, version = served(), "2026-07-28"
    known = "io.modelcontextprotocol/"
    meta = {
        f"{known}protocolVersion": version,
        f"{known}clientInfo": {"name": "raw", "version": "1"},
        f"{known}clientCapabilities": {},
    }
    for method, name, params in (
        ("tools/call", "scenario_start", {"arguments": START}),
        ("prompts/get", "initials", {"arguments": {"company": "HUD"}}),
    ):
        answer = server.post(
            "/mcp/env",
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": method,
                "params": {"name": name, "_meta": meta, **params},
            },
            headers={
                "accept": "application/json, text/event-stream",
                "mcp-protocol-version": version,
                "mcp-session-id": "made-up",
                "mcp-method": method,
                "mcp-name": name,
            },
        )
        assert "begin with initialize" in answer.text
    assert not server.agents._open


def test_what_cannot_be_served() -> None:
    """A tool with a name of ours, and a model without its client."""
    env = hud.Environment("taken")
    env.tool(lambda answer: answer, name="scenario_submit")
    with pytest.raises(ConfigurationError, match="scenario_submit"):
        env.agent_app()
    with pytest.raises(TypeError, match="go together"):
        serving_agents.env.agent_app(model="m")
