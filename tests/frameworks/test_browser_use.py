"""browser-use: as on the page, and the newest, with a real Chromium on a local page."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from contract import BARE, HARD, PNG, People, check_trace, framework, tree
from page_code import GATEWAY, PAGE, run, snippet

import hudtrace as hud
from hudtrace.testing import ScriptedModel, call, captured_spans, redirect, say

#: Read when the library is imported: nothing phones home, its files are elsewhere,
#: and Chromium has no sandbox, which it refuses to have as root.
HOME = Path(tempfile.mkdtemp(prefix="browser-use-"))
os.environ.update(
    ANONYMIZED_TELEMETRY="false",
    BROWSER_USE_CLOUD_SYNC="false",
    MEM0_TELEMETRY="false",
    BROWSER_USE_VERSION_CHECK="false",
    BROWSER_USE_LOGGING_LEVEL="result",
    SKIP_LLM_API_KEY_VERIFICATION="true",
    BROWSER_USE_CONFIG_DIR=str(HOME / "config"),
    IN_DOCKER="true",
)
browser_use = framework("browser_use")

NEW = hasattr(browser_use, "Tools")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ANSWER = "The initials are JR."

pytestmark = [
    pytest.mark.usefixtures("store"),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]
new = pytest.mark.skipif(not NEW, reason="of newer versions")
old = pytest.mark.skipif(NEW, reason="of older versions")


class Site(BaseHTTPRequestHandler):
    """A page that says who leads a company."""

    def do_GET(self) -> None:
        body = b"<h1>HUD</h1><p>The CEO of HUD is Jay Ram.</p><a href='/'>More</a>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of the page."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def act(*actions: dict[str, Any]) -> Any:
    """Do something in the browser, in the form that the version wants."""
    mind = {"evaluation_previous_goal": "fine", "memory": "none", "next_goal": "go on"}
    if NEW:
        return say(json.dumps({"thinking": "so", **mind, "action": list(actions)}))
    return call(("AgentOutput", {"current_state": mind, "action": list(actions)}))


def visit(url: str) -> Any:
    """Open a page."""
    return act({"navigate" if NEW else "go_to_url": {"url": url}})


def done(text: str) -> Any:
    """Say that the task is done."""
    return act({"done": {"text": text, "success": True}})


def agent(ctx: hud.EvalContext, model: ScriptedModel, **more: Any) -> Any:
    """Make an agent that asks *model*, in a browser of its own."""
    if NEW:
        from browser_use import ChatOpenAI

        llm: Any = ChatOpenAI(model="gpt-4o", base_url=model.url, api_key="none")
        more = {"use_judge": False, **more}
    else:
        from langchain_openai import ChatOpenAI as LangChainOpenAI

        llm = LangChainOpenAI(model="gpt-4o", base_url=model.url, api_key="none")
        more = {"enable_memory": False, **more}
    profile = browser_use.BrowserProfile(
        executable_path=CHROMIUM,
        headless=True,
        chromium_sandbox=False,
        user_data_dir=None,
        **({"enable_default_extensions": False} if NEW else {}),
    )
    return browser_use.Agent(task=ctx.prompt, llm=llm, browser_profile=profile, **more)


def tools(ctx: hud.EvalContext) -> dict[str, Any]:
    """Give the eval's tools as the version takes them."""
    return {"tools" if NEW else "controller": ctx.as_browser_use_tools()}


INITIALS = tree("gpt-4o", [], [], env="trivia:initials")


@new
@pytest.mark.section("browser-use", "browser-use", "its own ChatOpenAI")
async def test_modern(task: hud.Task, site: str) -> None:
    """The modern form of the page's section: the agent reads a page and answers."""
    script = [visit(site), done(ANSWER)]
    with ScriptedModel(script) as model, captured_spans() as spans:
        async with hud.eval(task) as ctx:
            await ctx.submit(await agent(ctx, model).run(max_steps=4))
    assert ctx.answer == ANSWER
    check_trace(spans, ctx.result, INITIALS)
    assert "The CEO of HUD is Jay Ram." in json.dumps(model.requests[1])


async def test_tools(task: hud.Task) -> None:
    """The tools of an eval are actions beside those of the browser."""
    script = [act({"lookup_ceo": {"company": "HUD"}}), done(ANSWER)]
    with ScriptedModel(script) as model, captured_spans() as spans:
        async with hud.eval(task) as ctx:
            await ctx.submit(await agent(ctx, model, **tools(ctx)).run(max_steps=4))
    assert ctx.answer == ANSWER
    expected = tree("gpt-4o", ["lookup_ceo"], [], env="trivia:initials")
    check_trace(spans, ctx.result, expected)
    assert "Jay Ram" in json.dumps(model.requests[1])


@pytest.mark.parametrize("arguments", [HARD, BARE], ids=["hard", "bare"])
async def test_arguments(arguments: dict[str, Any]) -> None:
    """Arguments of every kind arrive as they were sent; the whole schema is told."""
    people = People()
    script = [act({"search": arguments}), done("all done")]
    with ScriptedModel(script) as model, captured_spans() as spans:
        async with hud.eval(people.task) as ctx:
            await ctx.submit(await agent(ctx, model, **tools(ctx)).run(max_steps=4))
    check_trace(spans, ctx.result, tree("gpt-4o", ["search"], []))
    (record,) = ctx.tool_calls
    assert record.arguments == arguments
    told = json.dumps(model.requests[0])
    for word in ("founder", "min_age", "What to look for.", "street", "floors"):
        assert word in told


async def test_a_failing_tool() -> None:
    """What a tool raises is told to the model; several actions go one by one."""
    people = People()
    script = [
        act({"slow": {"label": "one"}}, {"slow": {"label": "two"}}),
        act({"broken": {"reason": "rust"}}),
        done("all done"),
    ]
    with ScriptedModel(script) as model, captured_spans() as spans:
        async with hud.eval(people.task) as ctx:
            await ctx.submit(await agent(ctx, model, **tools(ctx)).run(max_steps=5))
    failed = "broken error=hudtrace.errors.ToolError"
    check_trace(spans, ctx.result, tree("gpt-4o", ["slow", "slow"], [failed], []))
    assert "this tool is broken: rust" in json.dumps(model.requests[2])


@new
async def test_an_image() -> None:
    """An image that a tool returns goes on to the model."""
    people = People()
    script = [act({"photo": {"person": "Jay"}}), done("all done")]
    with ScriptedModel(script) as model:
        async with hud.eval(people.task) as ctx:
            await ctx.submit(await agent(ctx, model, **tools(ctx)).run(max_steps=4))
    encoded = base64.b64encode(PNG).decode()
    assert f"data:image/png;base64,{encoded}" in json.dumps(model.requests[1])


async def test_without_an_answer(task: hud.Task) -> None:
    """An agent that runs out of steps has submitted nothing."""
    script = [act({"wait": {"seconds": 0}})] * 4
    with ScriptedModel(script) as model:
        async with hud.eval(task) as ctx:
            await ctx.submit(await agent(ctx, model).run(max_steps=1))
    assert ctx.answer is None
    assert ctx.result.outcome == "no_answer"


@pytest.mark.timeout(120)
async def test_evals_at_the_same_time(task: hud.Task) -> None:
    """Agents side by side, each in a browser of its own, keep their spans apart."""
    script = [act({"lookup_ceo": {"company": "HUD"}}), done(ANSWER)]
    models = [ScriptedModel(script).start() for _ in range(2)]

    async def one(model: ScriptedModel) -> hud.EvalResult:
        async with hud.eval(task) as ctx:
            await ctx.submit(await agent(ctx, model, **tools(ctx)).run(max_steps=4))
        return ctx.result

    with captured_spans() as spans:
        results = await asyncio.gather(*map(one, models))
    for model, result in zip(models, results, strict=True):
        model.close()
        own = [span for span in spans if span.trace_id == result.trace_id]
        expected = tree("gpt-4o", ["lookup_ceo"], [], env="trivia:initials")
        check_trace(own, result, expected)


# The page ---------------------------------------------------------------------------

page = pytest.mark.skipif(not PAGE.exists(), reason=f"the page is not at {PAGE}")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """The names of the page's first snippet, and a Chromium where one is looked for."""
    monkeypatch.setenv("HUD_API_KEY", "page-key-123")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(snippet("The Example Environment"), "page", "exec"), names)
    return names


@page
@old
@pytest.mark.section("browser-use", "browser-use", "as on the page")
def test_page(
    names: dict[str, Any], site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example, where Playwright's Chromium is: reward 1.0, the right tree."""
    browsers = Path.cwd() / "browsers"
    playwright = Path(__import__("playwright").__file__).parent
    manifest = playwright / "driver" / "package" / "browsers.json"
    for each in json.loads(manifest.read_text())["browsers"]:
        if each["name"] == "chromium":
            place = (
                browsers / f"chromium-{each['revision']}" / "chrome-linux" / "chrome"
            )
    place.parent.mkdir(parents=True)
    place.symlink_to(str(CHROMIUM))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(browsers))
    monkeypatch.setenv("HOME", str(Path.cwd()))
    monkeypatch.setenv("OPENAI_API_KEY", "none")  # its memory wants one
    with (
        ScriptedModel([visit(site), done(ANSWER)]) as model,
        redirect({GATEWAY: model.origin}),
        captured_spans() as spans,
    ):
        ran = run(snippet("browser-use"), names, names["task"])
    check_trace(spans, ran["ctx"].result, INITIALS)
    assert "Jay Ram" in json.dumps(model.requests[1])


@page
@new
@pytest.mark.section(
    "browser-use",
    "browser-use",
    "as on the page",
    result="LangChain's model is refused",
)
def test_as_written(names: dict[str, Any]) -> None:
    """LangChain's model is refused by the newest; its own takes the same arguments."""
    pytest.importorskip("langchain_openai")
    with pytest.raises((AttributeError, ValueError), match=r"provider|llm|ainvoke"):
        run(snippet("browser-use"), names, names["task"])


@new
def test_the_example(run_example: Callable[[str], str]) -> None:
    """The example runs offline and earns its reward."""
    assert "reward 1.0" in run_example("10_browser_use.py")
