"""The trivia environment within another application: `serving_mounted.py URL OPTIONS`.

The options are JSON: `outer` is the name of its framework, `lifespan` whether it runs
that of the agent's application, "within" for one within its own; the rest is for `env.agent_app`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from fastapi import FastAPI
from openai import AsyncOpenAI
from serving_trivia import env
from starlette.applications import Starlette
from starlette.routing import Mount

options = json.loads(sys.argv[2])
outer, lifespan = options.pop("outer"), options.pop("lifespan")
client = AsyncOpenAI(base_url=sys.argv[1], api_key="k", max_retries=0)
agent = env.agent_app(client=client, model="gpt-4o", **options)
given: Any = {"lifespan": agent.router.lifespan_context} if lifespan else {}


@contextlib.asynccontextmanager
async def around(app: Any) -> AsyncIterator[None]:
    """Have a lifespan of the outer application's own."""
    async with agent.router.lifespan_context(app):
        yield


if lifespan == "within":
    given = {"lifespan": around}
app: Any
if outer == "starlette":
    app = Starlette(routes=[Mount("/an/agent", agent)], **given)
else:
    app = FastAPI(**given)
    app.mount("/an/agent", agent)

with socket.create_server(("127.0.0.1", 0)) as listening:
    port = listening.getsockname()[1]
    print(f"http://127.0.0.1:{port}/an/agent", file=sys.stderr, flush=True)
    config = uvicorn.Config(app, log_level="warning", ws="none")
    uvicorn.Server(config).run(sockets=[listening])
