"""Scenario servers on free ports: real uvicorn, real clients, a scripted model."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
import uvicorn

import hudtrace as hud
from hudtrace.messages import text_of
from hudtrace.testing import ScriptedModel, ScriptedRequest, call, say
from hudtrace.testing.scripts import ScriptedReply

HUD = {"scenario": "initials", "scenario_args": {"company": "HUD"}}


class Server:
    """A server in a thread of its own; `service` is what is behind its endpoints."""

    def __init__(self, env: hud.Environment, client: Any, options: Any) -> None:
        self._env = env
        self._client = client
        self._options = options
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.service: Any = None
        self.agents: Any = None
        self._uvicorn: Any = None
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        assert self._up.wait(20)
        assert self._thread.is_alive(), "the server could not start"
        return self

    def __exit__(self, *exc: object) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.origin + path, timeout=30, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return httpx.post(self.origin + path, json=body, timeout=30, **options)

    def say(self, text: str | None, **fields: Any) -> httpx.Response:
        """Send a message by plain HTTP; further fields go into the body."""
        messages = [] if text is None else [{"role": "user", "content": text}]
        return self.post("/v1/chat/completions", {"messages": messages, **fields})

    def begin(self, **fields: Any) -> str:
        """Begin a session and return its id."""
        answer = self.say("Begin.", **{**HUD, **fields})
        assert answer.status_code == 200, answer.text
        id: str = answer.json()["hud"]["session_id"]
        return id

    def finish(self, id: str, **options: Any) -> httpx.Response:
        return self.post(f"/v1/sessions/{id}/finish", **options)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._up.set()

    async def _serve(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            client = self._client()
            if hasattr(client, "__aenter__"):
                await stack.enter_async_context(client)
            for each in (client, getattr(client, "aio", None)):
                if hasattr(each, "aclose"):  # one of google-genai
                    stack.push_async_callback(each.aclose)
            app = self._env.agent_app(client=client, **self._options)
            self.service = getattr(app.state, "service", None)
            self.agents = app.state.sessions[0]
            config = uvicorn.Config(app, log_level="warning", lifespan="on", ws="none")
            self._uvicorn = uvicorn.Server(config)
            serving = asyncio.create_task(self._uvicorn.serve([self._socket]))
            while not self._uvicorn.started:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            self._up.set()
            await serving


Serve = Callable[..., Server]


def until(condition: Callable[[], Any], seconds: float = 15) -> None:
    """Wait until *condition* holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@pytest.fixture
def serve(env: hud.Environment, store: object) -> Iterator[Serve]:
    """Serve the trivia environment: `serve(script, **options)`; stopped at the end."""
    with contextlib.ExitStack() as stack:

        def start(script: Any, **options: Any) -> Server:
            model = stack.enter_context(ScriptedModel(script))
            make = options.pop("make_client", upstream)
            serving = Server(
                options.pop("env", env),
                lambda: make(model),
                {"model": "gpt-4o", **options},
            )
            serving.model = model  # type: ignore[attr-defined]
            return stack.enter_context(serving)

        yield start


def upstream(model: ScriptedModel) -> Any:
    """Return a client of the scripted model that does not retry."""
    return openai.AsyncOpenAI(base_url=model.url, api_key="upstream", max_retries=0)


@pytest.fixture
def connect() -> Iterator[Callable[[Server], openai.OpenAI]]:
    """Make OpenAI clients of a server, closed at the end."""
    with contextlib.ExitStack() as stack:

        def client(server: Server) -> openai.OpenAI:
            return stack.enter_context(
                openai.OpenAI(
                    base_url=f"{server.origin}/v1", api_key="any", max_retries=0
                )
            )

        yield client


def repeat(request: ScriptedRequest) -> ScriptedReply:
    """Look something up first, then say again all that the user has said."""
    said = [text_of(m) for m in request.conversation if m["role"] == "user"]
    if len(request.conversation) == 1:
        return call(("lookup_ceo", {"company": said[0].split()[-1]}))
    return say(" ".join(text.split()[-1] for text in said), delay=0.02)


async def converse(server: Server, number: int, client: openai.AsyncOpenAI) -> Any:
    """Run a session of three messages; its answers are its own; return the report."""
    id = None
    for turn in range(3):
        answer: Any = await client.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": f"{turn} is JR{number}.{turn}"}],
            extra_body=HUD if id is None else {"thread_id": id},
        )
        expected = " ".join(f"JR{number}.{t}" for t in range(turn + 1))
        assert answer.choices[0].message.content == expected
        id = answer.hud["session_id"]
    async with httpx.AsyncClient(timeout=60) as http:
        url = f"{server.origin}/v1/sessions/{id}/finish"
        report = (await http.post(url)).json()
    assert report["answer"] == expected
    return report


async def converse_at_once(server: Server, count: int) -> list[Any]:
    """Run many sessions at the same time."""
    async with openai.AsyncOpenAI(
        base_url=f"{server.origin}/v1", api_key="k", timeout=120
    ) as client:
        running = (converse(server, number, client) for number in range(count))
        return await asyncio.gather(*running)


#: The spans of such a session, by name.
SPANS = [
    *["chat gpt-4o"] * 4,
    "eval trivia:initials",
    "execute_tool lookup_ceo",
    "invoke_agent agent",
    "reward",
    "setup",
    *["turn"] * 4,
]
