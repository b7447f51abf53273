"""A hub's environment, served by a process of its own: its scenarios are run there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import openai
import pytest

import hudtrace as hud
from hudtrace import semconv
from hudtrace.errors import (
    EnvironmentFailure,
    InvalidArguments,
    ToolError,
    UnknownEnvironment,
    UnknownScenario,
)
from hudtrace.store import queries
from hudtrace.store.store import read_only
from hudtrace.testing import ScriptedModel, call, say, span_tree

HERE = Path(__file__).parent
OWN = {"scenario_list", "scenario_start", "scenario_submit"}
pytestmark = [
    pytest.mark.skipif(
        version("mcp").startswith("1."), reason="the extra `server` needs mcp 2.x"
    ),
    pytest.mark.usefixtures("store"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


class Remote:
    """`hudtrace serve` in a process of its own, with a store of its own."""

    def __init__(
        self, store: Path, target: str = "serving_hub:env", port: int = 0, **more: str
    ) -> None:
        self.store = store
        command = [sys.executable, "-m", "hudtrace", "serve", target, "--port"]
        self.process = subprocess.Popen(
            [*command, str(port)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE,
            env={**os.environ, "HUDTRACE_STORE": str(store), **more},
        )
        assert self.process.stdout is not None
        found = re.search(r"http://\S+", self.process.stdout.readline())
        assert found, "the server did not start"
        self.url = found.group()
        self.port = int(self.url.split(":")[2].split("/")[0])

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash does."""
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def spans(self, trace_id: str) -> list[queries.StoredSpan]:
        with contextlib.closing(read_only(self.store)) as db:
            return queries.spans(db, trace_id)

    def ended(self, trace_id: str) -> Any:
        """Return the root of an episode there, when it has ended."""

        def root() -> Any:
            roots = [s for s in self.spans(trace_id) if s.parent_id is None]
            return next(
                (s for s in roots if s.attributes.get(semconv.EVAL_ENDED)), None
            )

        until(root)
        return root()


def until(condition: Callable[[], Any], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """One server for the tests that leave it as it is."""
    remote = Remote(tmp_path_factory.mktemp("hub") / "remote.db")
    yield remote
    remote.kill()


@pytest.fixture
def start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Remote]]:
    """Start a server of the test's own, which is the hub then."""
    started: list[Remote] = []

    def begin(**options: Any) -> Remote:
        started.append(Remote(tmp_path / f"remote{len(started)}.db", **options))
        monkeypatch.setenv("HUDTRACE_HUB_URL", started[-1].url)
        return started[-1]

    yield begin
    for each in started:
        each.kill()


@pytest.fixture
def hub(
    shared: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> hud.Environment:
    """The shared server's environment by the hub URL; nothing else is configured."""
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HUDTRACE_HUB_URL", shared.url)
    return hud.Environment("trivia").connect_hub("trivia")


def there(result: hud.EvalResult) -> str:
    """Return the id of the trace that the server has of an episode."""
    assert result.grade is not None
    id: str = result.grade.info["hub"]["trace_id"]
    return id


def linked(spans: Any, kind: str) -> list[tuple[str, str]]:
    return [
        (link.trace_id, link.span_id)
        for span in spans
        for link in span.links
        if link.attributes.get(semconv.LINK_KIND) == kind
    ]


async def test_an_episode(hub: hud.Environment, shared: Remote, stored: Any) -> None:
    """Prompt, tools and reward are the server's; both traces are whole, and linked."""
    task = hub("initials", company="HUD")
    async with hud.eval(task) as ctx:
        assert ctx.prompt == "What are the initials of the CEO of HUD?"
        assert {*ctx.tools} == {"lookup_ceo", "picture", "outage", "slow", "die"}
        assert await ctx.tools["lookup_ceo"](company="HUD") == "Jay Ram"
        await ctx.submit("JR")
    result = ctx.result
    assert (result.reward, result.outcome, result.tool_calls) == (2.0, "scored", 1)
    spans, id = stored(ctx.trace_id), there(result)
    assert span_tree(spans) == (
        "eval trivia:initials reward=2.0 outcome=scored\n"
        "├─ setup\n"
        "│  └─ connect_mcp trivia\n"
        "├─ invoke_agent agent\n"
        "│  └─ execute_tool lookup_ceo\n"
        "└─ reward score=2.0"
    )
    root = shared.ended(id)
    assert root.attributes[semconv.REWARD] == 2.0
    assert [s.name for s in shared.spans(id)].count("execute_tool lookup_ceo") == 1
    assert linked(spans, "remote_episode") == [(id, root.span_id)]
    # The requests have spans over there, in our trace, below what has made them.
    submit = "tools/call scenario_submit"
    until(lambda: submit in {s.name for s in shared.spans(ctx.trace_id)})
    requests = {s.name: s for s in shared.spans(ctx.trace_id)}
    ours = {s.span_id: s.name for s in spans}
    below = {name: ours.get(s.parent_id) for name, s in requests.items()}
    assert below["tools/call scenario_start"] == "setup"
    assert below["tools/call lookup_ceo"] == "execute_tool lookup_ceo"
    assert below[submit] == "reward"
    caller = (ctx.trace_id, requests["tools/call scenario_start"].span_id)
    assert linked([root], "caller") == [caller]


async def test_what_is_listed(hub: hud.Environment) -> None:
    """Scenarios have descriptions and schemas; tasks and digests are stable."""
    assert [*hub.scenarios][:3] == ["initials", "look", "essay"]
    initials = hub.scenarios["initials"]
    assert initials.description == "Ask for initials."
    assert initials.parameters["required"] == ["company"]
    assert initials.reward_range == (0, 2)
    # Every tool of any scenario, though a client without an episode is shown one alone.
    assert {*hub.tools} == {"lookup_ceo", "picture", "outage", "slow", "die"}
    assert [*hub.scenarios["look"].tools(hub.tools)] == ["picture"]
    assert {*initials.tools(hub.tools)} == {*hub.tools}
    again = hud.Environment("trivia").connect_hub("trivia")
    assert again.digest == hub.digest
    task = hub("initials", company="HUD")
    assert task == again.scenarios["initials"]("HUD")
    assert task.id == hud.Task("trivia", "initials", {"company": "HUD"}).id
    assert pickle.loads(pickle.dumps(task)) == task
    async with hud.eval(task) as ctx:
        pass
    assert ctx.result.env_digest == hub.digest


async def test_the_digest_is_that_of_the_graders(
    hub: hud.Environment, stored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grader has the digest here that it has there, so that both can be compared."""
    monkeypatch.syspath_prepend(HERE)
    import serving_hub

    theirs = serving_hub.env.scenarios["initials"].grader_digest
    assert hub.scenarios["initials"].grader_digest == theirs
    async with hud.eval(hub("initials", company="HUD")) as ctx:
        await ctx.submit("JR")
    (root,) = [s for s in stored(ctx.trace_id) if s.name.startswith("eval ")]
    assert root.attributes[semconv.GRADER_DIGEST] == theirs


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "- company: missing, but required"),
        ({"company": 5}, "- company: 5 is not of type 'string'"),
        ({"company": "HUD", "ceo": 1}, "- ceo: no such argument (it takes: company"),
        ({"company": "HUD", "style": "odd"}, "- style: 'odd' is not one of"),
    ],
)
def test_arguments(hub: hud.Environment, args: Any, said: str) -> None:
    """Wrong arguments are said when the task is made, by the server's schema."""
    with pytest.raises(InvalidArguments, match=re.escape(said)):
        hub("initials", **args)


def test_no_such_scenario(hub: hud.Environment) -> None:
    """The scenarios that there are are named."""
    with pytest.raises(UnknownScenario, match="it has: initials, look"):
        hub("initals", company="HUD")


async def test_images(hub: hud.Environment) -> None:
    """Images come in prompts and of tools; the tools are those of the scenario."""
    async with hud.eval(hub("look", colors=["red", "blue"])) as ctx:
        text, image = ctx.prompt.parts
        assert text["content"] == "Which of ['red', 'blue'] is it?"
        assert (image["type"], image["mime_type"]) == ("blob", "image/png")
        assert [*ctx.tools] == ["picture"]
        (block,) = (await ctx.call_tool("picture")).content
        assert block.type == "image"
        refused = await ctx.call_tool("lookup_ceo", company="HUD")
        assert str(refused) == "unknown tool 'lookup_ceo'; available: picture"
        await ctx.submit("red")
    assert ctx.result.reward == 1.0


async def test_mistakes_of_a_model(hub: hud.Environment) -> None:
    """What a model got wrong, and what a tool raised there, comes back in-band."""
    async with hud.eval(hub("initials", company="HUD")) as ctx:
        wrong = await ctx.call_tool("lookup_ceo", {"name": "HUD"})
        assert "- name: no such argument" in str(wrong)
        raised = await ctx.call_tool("lookup_ceo", company="Nobody")
        assert str(raised) == "the tool failed with KeyError"
        with pytest.raises(ToolError, match="KeyError"):
            await ctx.tools["lookup_ceo"](company="Nobody")
    assert (ctx.result.outcome, ctx.result.tool_errors) == ("no_answer", 3)


async def test_many_at_once(hub: hud.Environment, shared: Remote) -> None:
    """Parallel episodes of a job have sessions of their own, which are not mixed up."""
    companies = ["HUD", "OpenAI"] * 10

    @hud.traced_eval([hub("initials", company=c) for c in companies], max_concurrent=10)
    async def agent(ctx: hud.EvalContext) -> None:
        name = await ctx.tools["lookup_ceo"](company=ctx.task.args["company"])
        await ctx.submit("".join(word[0] for word in name.split()))

    job = await agent()
    job.raise_for_errors()
    assert [result.reward for result in job.results] == [2.0] * 20
    assert len({there(result) for result in job.results}) == 20


def test_sync_code(hub: hud.Environment) -> None:
    """The same in sync code."""
    with hud.eval(hub("initials", company="HUD")) as ctx:
        name = ctx.tools["lookup_ceo"](company="HUD")
        ctx.submit("".join(word[0] for word in name.split()))
    assert ctx.result.reward == 2.0


async def test_a_chat(hub: hud.Environment) -> None:
    """A model is shown the scenario's tools and nothing of how it is run."""
    script = [call(("lookup_ceo", {"company": "HUD"})), say("JR")]
    with ScriptedModel(script) as model:
        async with openai.AsyncOpenAI(base_url=model.url, api_key="k") as client:
            result = await hud.run_scenario_chat(
                client=client, model="gpt-4o", task=hub("initials", company="HUD")
            )
        shown = {tool["function"]["name"] for tool in model.requests[0]["tools"]}
    assert (result.reward, result.turns, result.tool_calls) == (2.0, 2, 1)
    assert "lookup_ceo" in shown
    assert not shown & {*OWN, "cheat"}


async def test_no_answer(hub: hud.Environment, shared: Remote) -> None:
    """Without an answer the server grades none."""
    async with hud.eval(hub("initials", company="HUD")) as ctx:
        pass
    assert (ctx.result.reward, ctx.result.outcome) == (0.0, "no_answer")
    root = shared.ended(there(ctx.result))
    assert root.attributes[semconv.OUTCOME] == "no_answer"


async def test_a_limit_of_ours(hub: hud.Environment) -> None:
    """A limit of the eval stops the body, and the server grades."""
    limits = hud.Limits(tool_calls=1)
    async with hud.eval(hub("initials", company="HUD"), limits=limits) as ctx:
        await ctx.submit("JR")
        for _ in range(3):
            await ctx.call_tool("lookup_ceo", company="HUD")
    result = ctx.result
    assert (result.reward, result.outcome) == (2.0, "scored")
    assert (result.stopped_by, result.tool_calls) == ("tool_calls", 1)


async def test_reasons_of_a_grade(
    hub: hud.Environment, monkeypatch: pytest.MonkeyPatch, stored: Any
) -> None:
    """Sub-scores, explanation and info are those of the same scenario run here."""
    monkeypatch.syspath_prepend(HERE)
    import serving_hub

    results = []
    for env in (hub, serving_hub.env):
        async with hud.eval(env("essay", words=3)) as ctx:
            await ctx.submit("Brevity is wit.")
        results.append(ctx.result)
    there, here = results
    assert there.grade is not None
    assert here.grade is not None
    assert [score.name for score in here.grade.subscores] == [
        *("brevity", "style", "length")
    ]
    assert there.grade.subscores == tuple(here.grade.subscores)
    assert there.grade.explanation == here.grade.explanation == "3 words"
    info = dict(there.grade.info)
    assert info.pop("hub")["trace_id"] != there.trace_id
    assert info == here.grade.info
    for name in ("reward", "outcome", "answer", "stopped_by", "error"):
        assert getattr(there, name) == getattr(here, name), name
    (reward,) = [s for s in stored(there.trace_id) if s.name == "reward"]
    assert "3 words" in repr(reward.attributes)


async def test_a_broken_grader(hub: hud.Environment) -> None:
    """A grader that fails there is no reward of 0, and none of the agent's failures."""
    async with hud.eval(hub("no grade"), on_error="record") as ctx:
        await ctx.submit("anything")
    result = ctx.result
    assert (result.reward, result.outcome) == (None, "grader_error")
    assert isinstance(result.error, EnvironmentFailure)
    assert "grader_error (ValueError); see its trace: http" in str(result.error)
    assert "secret" not in str(result.error)


async def test_a_broken_set_up(hub: hud.Environment) -> None:
    """A set-up that fails there fails here, with the place of its trace."""
    context = hud.eval(hub("no set-up"))
    with pytest.raises(EnvironmentFailure, match=r"FileNotFoundError.*/trace/"):
        await context.__aenter__()
    assert context.result.outcome == "environment_error"


async def test_an_outage(hub: hud.Environment, shared: Remote) -> None:
    """A tool there that meets a broken environment ends the episode as such, here too."""
    context = hud.eval(hub("initials", company="HUD"), on_error="record")
    async with context as ctx:
        await ctx.submit("JR")
        await ctx.call_tool("outage")
    result = context.result
    assert (result.reward, result.outcome) == (None, "environment_error")
    assert "could not run 'outage'" in str(result.error)
    assert "its environment could not go on; " in str(result.error)
    assert "/trace/" in str(result.error)


async def test_a_body_that_raises(hub: hud.Environment, tmp_path: Path) -> None:
    """The agent's errors stay its own; the episode there is closed before ours is."""
    log = tmp_path / "log"
    with pytest.raises(ZeroDivisionError):
        async with hud.eval(hub("traces", path=str(log))):
            assert log.read_text() == "begun\n"
            raise ZeroDivisionError
    until(lambda: log.read_text() == "begun\nclosed\n")


@pytest.mark.parametrize("while_", ["body", "call", "set-up"])
async def test_cancellation(
    hub: hud.Environment, shared: Remote, tmp_path: Path, while_: str
) -> None:
    """A cancelled eval ends the session, and the episode there with it, at once."""
    log = tmp_path / "log"
    ready = asyncio.Event()

    async def run() -> None:
        async with hud.eval(hub("traces", path=str(log))) as ctx:
            ready.set()
            await (ctx.call_tool("slow", seconds=60) if while_ == "call" else stay())

    async def stay() -> None:
        await asyncio.sleep(60)

    running = asyncio.create_task(run())
    if while_ == "set-up":
        await asyncio.sleep(0.03)
    else:
        await ready.wait()
        await asyncio.sleep(0.2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    # As if it had never begun, or closed.
    ends = ("begun\nclosed\n",) if while_ != "set-up" else ("begun\nclosed\n", "")
    until(lambda: (log.read_text() if log.exists() else "") in ends)


async def test_scenarios_of_ones_own(hub: hud.Environment) -> None:
    """A scenario of one's own is not offered tools that only episodes there have."""

    @hub.tool()
    def mine() -> str:
        return "mine"

    @hub.scenario("own")
    async def own() -> Any:
        answer = yield "Use it."
        yield float(answer == "mine")

    async with hud.eval(own()) as ctx:
        assert [*ctx.tools] == ["mine"]
        await ctx.submit(await ctx.tools["mine"]())
    assert ctx.result.reward == 1.0
    async with hud.eval(hub("look", colors=["red"])) as ctx:
        assert [*ctx.tools] == ["picture"]
        await ctx.submit("red")
    assert ctx.result.reward == 1.0


async def test_limits_of_the_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A limit of the server stops the body, too, and is what stopped the episode."""
    monkeypatch.syspath_prepend(HERE)
    from server_kit import Server
    from serving_hub import env as served

    options = {"limits": hud.Limits(tool_calls=1)}
    with Server(served, lambda: None, options) as server:
        monkeypatch.setenv("HUDTRACE_HUB_URL", f"{server.origin}/mcp/env")
        hub = hud.Environment("trivia").connect_hub("trivia")
        calls = 0
        async with hud.eval(hub("initials", company="HUD")) as ctx:
            await ctx.submit("JR")
            for _ in range(5):
                await ctx.call_tool("lookup_ceo", company="HUD")
                calls += 1
    result = ctx.result
    assert calls == 1
    # The answer came too late: it was graded without one.
    assert (result.reward, result.outcome) == (0.0, "no_answer")
    assert result.stopped_by == "tool_calls"


async def test_a_server_that_shuts_down(start: Callable[..., Remote]) -> None:
    """What a server that is being ended says is the environment's failure."""
    remote = start()
    hub = hud.Environment("trivia").connect_hub("trivia")
    context = hud.eval(hub("initials", company="HUD"), on_error="record")
    async with context as ctx:
        remote.signal(signal.SIGTERM)
        remote.process.wait(30)
        await ctx.submit("JR")
    assert (context.result.reward, context.result.outcome) == (
        None,
        "environment_error",
    )


@pytest.mark.parametrize("how", ["in a call", "between calls", "before the answer"])
async def test_a_server_that_dies(start: Callable[..., Remote], how: str) -> None:
    """A crash in the middle is the environment's failure, wherever it is noticed."""
    remote = start()
    hub = hud.Environment("trivia").connect_hub("trivia")
    context = hud.eval(hub("initials", company="HUD"), on_error="record")
    async with context as ctx:
        await ctx.call_tool("lookup_ceo", company="HUD")
        if how == "in a call":
            await ctx.call_tool("die")
        remote.kill()
        if how == "between calls":
            await ctx.call_tool("lookup_ceo", company="HUD")
        await ctx.submit("JR")
    result = context.result
    assert (result.reward, result.outcome) == (None, "environment_error")
    said = str(result.error)
    assert said.startswith(f"hub environment 'trivia' ({remote.url}) was lost when ")


async def test_a_server_that_stands_still(
    start: Callable[..., Remote], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that answers nothing any more is given up after some time."""
    monkeypatch.setattr("hudtrace.mcp_servers.connection._SILENCE_SECONDS", 0.5)
    remote = start()
    hub = hud.Environment("trivia").connect_hub("trivia")
    context = hud.eval(hub("initials", company="HUD"), on_error="record")
    async with context as ctx:
        # A call that only takes its time is waited for.
        assert await ctx.tools["slow"](seconds=2) == "late"
        remote.signal(signal.SIGSTOP)
        await ctx.call_tool("lookup_ceo", company="HUD")
    assert context.result.outcome == "environment_error"
    assert "does not answer any more" in str(context.result.error)


async def test_a_server_that_begins_again(
    start: Callable[..., Remote], stored: Any
) -> None:
    """The next episode connects to it; what has changed there is listed anew."""
    first = start()
    hub = hud.Environment("trivia").connect_hub("trivia")
    task, before = hub("initials", company="HUD"), hub.digest
    async with hud.eval(task) as ctx:
        await ctx.submit("JR")
    first.kill()
    with pytest.raises(EnvironmentFailure, match="cannot connect"):
        await hud.eval(task).__aenter__()
    start(port=first.port, HUB_VERSION="2")
    async with hud.eval(task) as ctx:
        await ctx.submit("JR")
    assert ctx.result.reward == 2.0
    assert ctx.result.env_digest == hub.digest != before
    async with hud.eval(hub("new")) as ctx:
        await ctx.submit("yes")
    assert ctx.result.reward == 1.0


async def test_served_again(start: Callable[..., Remote], tmp_path: Path) -> None:
    """An environment of a hub can be served itself; each episode is linked to the next."""
    last = start()
    middle = start(target="serving_again:env")
    assert "HUDTRACE_HUB_URL" in os.environ
    hub = hud.Environment("ours").connect_hub("again")
    assert [*hub.scenarios["look"].tools(hub.tools)] == ["picture"]
    assert {*hub.tools} == {"lookup_ceo", "picture", "outage", "slow", "die"}
    async with hud.eval(hub("initials", company="HUD")) as ctx:
        assert "lookup_ceo" in ctx.tools
        assert not OWN & {*ctx.tools}
        assert await ctx.tools["lookup_ceo"](company="HUD") == "Jay Ram"
        await ctx.submit("JR")
    assert (ctx.result.reward, ctx.result.outcome) == (2.0, "scored")
    root = middle.ended(there(ctx.result))
    ((id, span_id),) = linked([root], "remote_episode")
    assert last.ended(id).span_id == span_id
    async with hud.eval(hub("look", colors=["red"])) as ctx:
        assert [*ctx.tools] == ["picture"]
        await ctx.submit("blue")
    assert ctx.result.reward == 0.0
    last.kill()
    with pytest.raises(EnvironmentFailure, match="EnvironmentFailure"):
        await hud.eval(hub("initials", company="HUD")).__aenter__()


async def test_a_key(
    start: Callable[..., Remote], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`HUDTRACE_HUB_TOKEN` is the key of a server that wants one."""
    start(HUDTRACE_TOKEN="let-me-in")
    with pytest.raises(UnknownEnvironment, match=r"401.*: set HUDTRACE_HUB_TOKEN"):
        hud.Environment("trivia").connect_hub("trivia")
    monkeypatch.setenv("HUDTRACE_HUB_TOKEN", "let-me-in\r\n")
    hub = hud.Environment("trivia").connect_hub("trivia")
    async with hud.eval(hub("initials", company="HUD")) as ctx:
        await ctx.submit("JR")
    assert ctx.result.reward == 2.0


async def test_a_key_that_changes(start: Callable[..., Remote]) -> None:
    """An episode that is not let in any more says which variable has the key."""
    first = start()
    hub = hud.Environment("trivia").connect_hub("trivia")
    first.kill()
    start(port=first.port, HUDTRACE_TOKEN="let-me-in")
    with pytest.raises(EnvironmentFailure, match=r"401.*HUDTRACE_HUB_TOKEN"):
        await hud.eval(hub("initials", company="HUD")).__aenter__()


async def test_the_address_of_an_agent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The address for clients of an agent is refused, and the other one is said."""
    monkeypatch.syspath_prepend(HERE)
    from server_kit import Server
    from serving_hub import env as served

    with ScriptedModel([say("JR")]) as model:

        def client() -> Any:
            return openai.AsyncOpenAI(base_url=model.url, api_key="k")

        with Server(served, client, {"model": "gpt-4o"}) as server:
            monkeypatch.setenv("HUDTRACE_HUB_URL", f"{server.origin}/mcp")
            with pytest.raises(UnknownEnvironment) as raised:
                hud.Environment("trivia").connect_hub("trivia")
            assert f"that is at {server.origin}/mcp/env: " in str(raised.value)
            assert "entry point" not in str(raised.value)
            monkeypatch.setenv("HUDTRACE_HUB_URL", f"{server.origin}/mcp/env")
            assert hud.Environment("trivia").connect_hub("trivia").scenarios
