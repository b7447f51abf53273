"""A server of the trivia environment: `serving_trivia.py URL PORT [OPTIONS as JSON]`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from openai import AsyncOpenAI

import hud

env = hud.Environment("trivia")


@env.tool()
def lookup_ceo(company: str) -> str:
    """Look up who leads a company."""
    return "Jay Ram"


@env.scenario("initials")
async def initials(company: str) -> Any:
    """Ask for initials."""
    answer = yield f"What are the initials of the CEO of {company}?"
    yield 1.0 if "JR" in (answer or "") else 0.0


@env.scenario("hangs")
async def hangs(company: str) -> Any:
    """Never come to a reward."""
    yield "Say anything."
    print("grading", file=sys.stderr, flush=True)
    await asyncio.sleep(600)
    yield 1.0


if __name__ == "__main__":
    options = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    env.serve_as_agent(
        client=AsyncOpenAI(base_url=sys.argv[1], api_key="k", max_retries=0),
        model="gpt-4o",
        port=int(sys.argv[2]),
        **options,
    )
