"""`connect_hub` by the hub URL: an MCP server over a real socket."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import hudtrace as hud
from hudtrace.errors import (
    ConfigurationError,
    EnvironmentFailure,
    InvalidArguments,
    UnknownEnvironment,
)

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture(autouse=True)
def nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No pyproject.toml says anything."""
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)


async def test_an_environment_of_the_hub(
    http_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tools of the hub's environment are there; scenarios of one's own use them."""
    monkeypatch.setenv("HUDTRACE_HUB_URL", http_server("calculator").url)
    env = hud.Environment("sums").connect_hub("calculator")
    assert "add" in env.tools

    @env.scenario("sum")
    async def add_up(a: int) -> Any:
        answer = yield f"What is {a} + 1?"
        yield 1.0 if answer == str(a + 1) else 0.0

    async with hud.eval(add_up(a=4)) as ctx:
        await ctx.submit(str(await ctx.call_tool("add", a=4)))
    assert ctx.result.reward == 1.0


def test_the_name_may_be_in_the_url(
    http_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`{name}` in the hub URL is the name that is asked for, quoted."""
    url = http_server("anything").url
    monkeypatch.setenv("HUDTRACE_HUB_URL", f"{url}?environment={{name}}")
    assert "add" in hud.Environment("x").connect_hub("a&b").tools


def test_a_hub_of_something_else(
    http_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub that serves another environment is not taken for this one."""
    monkeypatch.setenv("HUDTRACE_HUB_URL", http_server("weather").url)
    with pytest.raises(UnknownEnvironment, match="it serves 'weather'") as raised:
        hud.Environment("x").connect_hub("calculator")
    for place in ("hudtrace.environments", "pyproject.toml", "127.0.0.1"):
        assert place in str(raised.value)


@contextlib.contextmanager
def serving(body: bytes, status: int = 200) -> Iterator[str]:
    """Serve *body* for every request, whatever it is."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_DELETE = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://user:secret@127.0.0.1:{server.server_port}/mcp"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "body",
    [
        b'{"calculator": "os:system"}',
        b'[tool.hudtrace.environments]\ncalculator = "os:system"',
        b"\x80\x04cos\nsystem\n.",
        b'{"jsonrpc": "2.0", "id": 0, "result": "os:system"}',
        b'{"jsonrpc": "2.0", "id": 0, "error": {"code": -32601, "message": "no"}}',
    ],
)
def test_data_is_never_run(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a hub answers is data: what is no MCP is an error that says where."""
    with serving(body) as url:
        monkeypatch.setenv("HUDTRACE_HUB_URL", url)
        with pytest.raises(UnknownEnvironment, match="the hub at") as raised:
            hud.Environment("x").connect_hub("calculator")
    assert "secret" not in str(raised.value)


def test_a_hub_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it was looked for, what happened and what to do; of other places, nothing."""
    monkeypatch.setenv("HUDTRACE_HUB_URL", "http://user:secret@127.0.0.1:9/mcp/env")
    with pytest.raises(UnknownEnvironment) as raised:
        hud.Environment("x").connect_hub("calculator")
    assert str(raised.value) == (
        "environment 'calculator': the hub at http://127.0.0.1:9/mcp/env cannot be "
        "reached: ConnectError: All connection attempts failed. See whether it runs, "
        "and whether HUDTRACE_HUB_URL is its address"
    )


@pytest.mark.parametrize(
    "url", ["10.0.0.7:8321/mcp/env", "hub", "ftp://hub", "http://[::1"]
)
def test_a_hub_url_that_is_none(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """What is no address is said to be none, and how one looks."""
    monkeypatch.setenv("HUDTRACE_HUB_URL", url)
    with pytest.raises(UnknownEnvironment, match="no address; it is one like 'http://"):
        hud.Environment("x").connect_hub("calculator")


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (" \n", "hub_token in HUDTRACE_HUB_TOKEN is empty"),
        ("let\nme", "hub_token in HUDTRACE_HUB_TOKEN has line breaks"),
    ],
)
def test_keys_that_are_none(
    monkeypatch: pytest.MonkeyPatch, token: str, said: str
) -> None:
    """A key that cannot be sent is said, and where it comes from, but not the key."""
    monkeypatch.setenv("HUDTRACE_HUB_URL", "http://127.0.0.1:9/mcp/env")
    monkeypatch.setenv("HUDTRACE_HUB_TOKEN", token)
    with pytest.raises(ConfigurationError, match=said) as raised:
        hud.Environment("x").connect_hub("calculator")
    assert token not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "token", "said"),
    [
        (401, None, "asks for a key (401 Unauthorized): set HUDTRACE_HUB_TOKEN to it"),
        (401, "old", "refuses its key, HUDTRACE_HUB_TOKEN, (401 Unauthorized): set"),
        (403, None, "refuses us without a key (403 Forbidden): set HUDTRACE_HUB_TOKEN"),
        (403, "old", "refuses its key, HUDTRACE_HUB_TOKEN, (403 Forbidden): set"),
        (404, None, "has no MCP server there (404 Not Found): set HUDTRACE_HUB_URL"),
        (503, None, "reached: it answered 503 Service Unavailable. See whether"),
    ],
)
def test_a_hub_that_refuses(
    monkeypatch: pytest.MonkeyPatch, status: int, token: str | None, said: str
) -> None:
    """What the hub answered, and which variable is to be set."""
    if token is not None:
        monkeypatch.setenv("HUDTRACE_HUB_TOKEN", token)
    with serving(b"{}", status) as url:
        monkeypatch.setenv("HUDTRACE_HUB_URL", url)
        with pytest.raises(UnknownEnvironment) as raised:
            hud.Environment("x").connect_hub("calculator")
    assert said in str(raised.value)
    for advice in ("entry point", "pyproject", "module:attr", "secret", "old"):
        assert advice not in str(raised.value)


async def test_passwords_in_an_address() -> None:
    """What a client of HTTP says of an address is told without the password in it."""
    env = hud.Environment("x")

    @env.scenario("ask")
    def ask() -> Any:
        yield "What?"
        yield 1.0

    with serving(b"{}", 503) as url:
        env.connect_mcp(url=url)
        with pytest.raises(EnvironmentFailure, match="cannot connect") as raised:
            await hud.eval(ask()).__aenter__()
    assert "503" in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start a hub whose scenario tools have given answers."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    import scripted_hub

    with contextlib.ExitStack() as stack:

        def start(**answers: Any) -> None:
            url = stack.enter_context(scripted_hub.serving(answers))
            monkeypatch.setenv("HUDTRACE_HUB_URL", url)

        yield start


LISTED = {"scenarios": [{"short_name": "sum"}]}


async def test_scenarios_of_anybody(scripted: Any) -> None:
    """Whoever has the three tools has scenarios; little is needed of their listing."""
    scripted(scenario_list=LISTED, scenario_submit={"reward": 0.5, "outcome": "scored"})
    env = hud.Environment("x").connect_hub("trivia")
    async with hud.eval(env("sum", numbers=[1, 2])) as ctx:
        assert json.loads(str(ctx.prompt)) == {"scenario": "sum"}
        assert str(await ctx.call_tool("add", a=4)) == "5"
        await ctx.submit("5")
    assert (ctx.result.reward, ctx.result.outcome) == (0.5, "scored")


@pytest.mark.parametrize(
    "listing",
    [
        {},
        {"scenarios": "sum"},
        {"scenarios": ["sum"]},
        {"scenarios": [{"short_name": 1}]},
        {"scenarios": [{"short_name": None, "input_schema": []}]},
    ],
)
def test_listings_that_are_none(scripted: Any, listing: Any) -> None:
    """A listing that cannot be read is said with the other places."""
    scripted(scenario_list=listing)
    with pytest.raises(UnknownEnvironment, match="scenario_list"):
        hud.Environment("x").connect_hub("trivia")


def test_tools_that_are_told(scripted: Any) -> None:
    """The list of scenarios has the tools of them all, whatever is listed besides."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    tools = [{"name": n, "description": "Do.", "inputSchema": schema} for n in "xyz"]
    told = {"tools": tools, "offers": {"sum": ["x", "z"]}}
    scripted(scenario_list=LISTED, told_of_list=told)
    env = hud.Environment("x").connect_hub("trivia")
    assert [*env.tools] == ["x", "y", "z"]
    assert [*env.scenarios["sum"].tools(env.tools)] == ["x", "z"]
    assert env.tools["x"].description == "Do."
    assert env.tools["x"].input_schema == schema


@pytest.mark.parametrize("tools", [7, ["add"], [{"name": 1}], {"add": {}}])
def test_tools_that_are_none(scripted: Any, tools: Any) -> None:
    """A list of tools that cannot be read is said with the other places."""
    scripted(scenario_list=LISTED, told_of_list={"tools": tools})
    with pytest.raises(UnknownEnvironment, match="tools that cannot be read"):
        hud.Environment("x").connect_hub("trivia")


@pytest.mark.parametrize("offers", [7, {"sum": 7}, {"other": []}])
def test_offers_that_are_none(scripted: Any, offers: Any) -> None:
    """Where a server does not say which scenario offers which, each has all tools."""
    scripted(scenario_list=LISTED, told_of_list={"offers": offers})
    env = hud.Environment("x").connect_hub("trivia")
    assert [*env.scenarios["sum"].tools(env.tools)] == ["add"]


@pytest.mark.parametrize(
    "schema",
    [
        7,
        {"properties": 7},
        {"properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}},
        {"properties": {"a": {}}, "$schema": "http://127.0.0.1:9/"},
        {"properties": {"a": {"type": 7}}, "required": 7},
        {"properties": {"a": {"pattern": "("}}},
    ],
)
async def test_schemas_that_are_none(scripted: Any, schema: Any) -> None:
    """Where a schema cannot be used, the server alone checks; nothing is fetched."""
    scripted(
        scenario_list={"scenarios": [{"short_name": "sum", "input_schema": schema}]},
        scenario_submit={"reward": 1, "outcome": "scored"},
    )
    env = hud.Environment("x").connect_hub("trivia")
    async with hud.eval(env("sum", a="b")) as ctx:
        await ctx.submit("5")
    assert ctx.result.reward == 1.0


def test_arguments_are_checked_by_the_schema(scripted: Any) -> None:
    """Every fault is named, at its place."""
    schema = {
        "properties": {"a": {"type": "array", "items": {"$ref": "#/$defs/n"}}},
        "required": ["b"],
        "additionalProperties": False,
        "$defs": {"n": {"type": "integer"}},
    }
    scripted(scenario_list={"scenarios": [{"short_name": "s", "input_schema": schema}]})
    env = hud.Environment("x").connect_hub("trivia")
    with pytest.raises(InvalidArguments) as raised:
        env("s", a=[1, "two"], c=3)
    assert str(raised.value).splitlines() == [
        "invalid arguments for scenario 's':",
        "- c: no such argument (it takes: a)",
        "- b: missing, but required",
        "- a.1: 'two' is not of type 'integer'",
    ]


@pytest.mark.parametrize(
    ("report", "outcome"),
    [
        ({}, "environment_error"),
        ({"reward": "1", "outcome": "scored"}, "environment_error"),
        ({"reward": True, "outcome": "scored"}, "environment_error"),
        ({"reward": None, "outcome": "scored"}, "environment_error"),
        ({"reward": None, "outcome": "grader_error"}, "grader_error"),
        ({"reward": 1.0, "outcome": "grader_error"}, "grader_error"),
        ({"reward": 1.0, "outcome": "agent_error"}, "environment_error"),
        ({"reward": 1.0, "outcome": ["scored"]}, "environment_error"),
    ],
)
async def test_reports_that_are_none(scripted: Any, report: Any, outcome: str) -> None:
    """A report without a reward is none: neither a reward of 0 nor the agent's fault."""
    scripted(scenario_list=LISTED, scenario_submit=report)
    env = hud.Environment("x").connect_hub("trivia")
    context = hud.eval(env("sum"), on_error="record")
    async with context as ctx:
        await ctx.submit("5")
    assert (context.result.reward, context.result.outcome) == (None, outcome)
    assert isinstance(context.result.error, EnvironmentFailure)


@pytest.mark.parametrize(
    ("grade", "outcome"),
    [
        (7, "scored"),
        ({"explanation": 7, "info": 7, "subscores": None}, "scored"),
        ({"subscores": 7}, "environment_error"),
        ({"subscores": [{"name": "a"}]}, "environment_error"),
        ({"subscores": [{"name": "a", "value": "1"}]}, "environment_error"),
    ],
)
async def test_reasons_that_are_none(scripted: Any, grade: Any, outcome: str) -> None:
    """A grade without reasons is one; with sub-scores that are none, it is not."""
    scripted(
        scenario_list=LISTED,
        scenario_submit={"reward": 1, "outcome": "scored"},
        told_of_submit={"grade": grade},
    )
    env = hud.Environment("x").connect_hub("trivia")
    context = hud.eval(env("sum"), on_error="record")
    async with context as ctx:
        await ctx.submit("5")
    assert context.result.outcome == outcome


async def test_a_reward_out_of_its_range(scripted: Any) -> None:
    """What the listing says of rewards is held."""
    listed = {"short_name": "sum", "reward_range": [0, 1]}
    scripted(
        scenario_list={"scenarios": [listed]},
        scenario_submit={"reward": 2, "outcome": "scored"},
    )
    env = hud.Environment("x").connect_hub("trivia")
    context = hud.eval(env("sum"), on_error="record")
    async with context as ctx:
        await ctx.submit("5")
    assert (context.result.reward, context.result.outcome) == (None, "grader_error")
