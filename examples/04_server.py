"""Serve scenarios over HTTP, so that any OpenAI or MCP client can run them.

    python examples/04_server.py               # one session against a scripted model
    OPENAI_API_KEY=… python examples/04_server.py gpt-4o-mini    # serve until Ctrl-C

While it serves, run `python examples/05_client.py` in another terminal.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from openai import AsyncOpenAI

import hud
from hud.testing import ScriptedModel, call, say

CLIENT = Path(__file__).with_name("05_client.py")
env = hud.Environment("trivia")


@env.tool()
def lookup_ceo(company: str) -> str:
    """Look up who leads a company.

    Args:
        company: The company's name.
    """
    return {"HUD": "Jay Ram", "NVIDIA": "Jensen Huang"}.get(company, "Unknown")


@env.scenario("initials", description="Find the initials of a company's CEO.")
async def initials(company: str) -> AsyncIterator[Any]:
    """Ask for initials, and grade them."""
    answer = yield f"What are the initials of the CEO of {company}?"
    ceo = lookup_ceo(company)
    yield 1.0 if "".join(name[0] for name in ceo.split()) in (answer or "") else 0.0


def demonstrate() -> None:
    """Serve on a free port with a server of our own, and let the client loose on it."""
    lookup = call(("lookup_ceo", {"company": "HUD"}))
    with ScriptedModel([lookup, say("Jay Ram."), say("JR"), say("JR it is.")]) as model:
        client = AsyncOpenAI(base_url=model.url, api_key="none")
        app = env.agent_app(client=client, model=model.model)
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
        serving = threading.Thread(target=server.run)
        serving.start()
        try:
            while not server.started:
                serving.join(0.05)
            port = server.servers[0].sockets[0].getsockname()[1]
            command = [sys.executable, CLIENT, f"http://127.0.0.1:{port}"]
            subprocess.run(command, check=True)
        finally:
            server.should_exit = True
            serving.join()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        env.serve_as_agent(client=AsyncOpenAI(), model=sys.argv[1])
    else:
        demonstrate()
