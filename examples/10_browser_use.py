"""A browser agent of browser-use, evaluated on one task with a page of its own.

    python examples/10_browser_use.py [MODEL]

It needs a Chromium: Debian's (apt install chromium), or the one that `playwright
install chromium` brings. With OPENAI_API_KEY set, and a model named, that model
drives it. Without, a scripted one does, offline, on a page that is served here.
Tried with browser-use 0.13.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Read when the library is imported: nothing phones home.
os.environ.setdefault("ANONYMIZED_TELEMETRY", "false")
os.environ.setdefault("BROWSER_USE_CLOUD_SYNC", "false")
os.environ.setdefault("BROWSER_USE_VERSION_CHECK", "false")
os.environ.setdefault("BROWSER_USE_LOGGING_LEVEL", "result")

from browser_use import Agent, BrowserProfile, ChatOpenAI

import hud
from hud.testing import ScriptedModel, say

env = hud.Environment("web")


@env.scenario("initials")
async def initials(url: str, wanted: str) -> AsyncIterator[Any]:
    """Ask for initials that a page tells, and grade them."""
    answer = yield f"What are the initials of the CEO on {url}? Say only them."
    yield 1.0 if answer and answer.strip(" .") == wanted else 0.0


async def agent(ctx: hud.EvalContext, llm: Any) -> None:
    """Let an agent use a browser; the tools of an eval would be `tools=`."""
    browser = BrowserProfile(
        executable_path=shutil.which("chromium"),  # None: Playwright's
        headless=True,
        chromium_sandbox=hasattr(os, "getuid") and os.getuid() != 0,
        enable_default_extensions=False,  # they would be downloaded
        user_data_dir=None,
    )
    # A judge would ask the model once more after the run.
    made = Agent(task=ctx.prompt, llm=llm, browser_profile=browser, use_judge=False)
    await ctx.submit(await made.run(max_steps=8))


class Page(BaseHTTPRequestHandler):
    """The page."""

    def do_GET(self) -> None:  # noqa: D102
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<h1>HUD</h1><p>The CEO of HUD is Jay Ram.</p>")

    def log_message(self, *args: Any) -> None:  # noqa: D102
        pass


@contextlib.contextmanager
def served() -> Iterator[str]:
    """Serve the page; give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def act(action: dict[str, Any]) -> Any:
    """Do something, in the form that browser-use asks the model for."""
    mind = {"evaluation_previous_goal": "fine", "memory": "none", "next_goal": "go on"}
    return say(json.dumps({"thinking": "so", **mind, "action": [action]}))


@contextlib.contextmanager
def model_to_ask(url: str) -> Iterator[Any]:
    """Give a model: the real one, or a scripted one."""
    if os.environ.get("OPENAI_API_KEY") and len(sys.argv) > 1:
        yield ChatOpenAI(model=sys.argv[1])
        return
    script = [
        act({"navigate": {"url": url}}),
        act({"done": {"text": "JR", "success": True}}),
    ]
    with ScriptedModel(script) as scripted:
        yield ChatOpenAI(model="gpt-4o", base_url=scripted.url, api_key="none")


async def main() -> None:
    """Run the eval and print what came of it."""
    with served() as url, model_to_ask(url) as llm:
        limits = hud.Limits(turns=12)
        async with hud.eval(initials(url=url, wanted="JR"), limits=limits) as ctx:
            await agent(ctx, llm)
    result = ctx.result
    print(f"reward {result.reward}, {result.turns} turns, {result.outcome}")
    print(f"hudtrace show {result.trace_id[:12]}")


if __name__ == "__main__":
    asyncio.run(main())
