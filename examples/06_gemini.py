"""An agent on Gemini, evaluated on one task; also with the library of before.

    python examples/06_gemini.py [MODEL]
    python examples/06_gemini.py --legacy [MODEL]

With GEMINI_API_KEY set, and a model named, that model answers. Without, a
scripted one does, offline. Tried with google-genai 1.40 and 3.6; --legacy with
google-generativeai 0.8.6, whose last release needs an older protobuf.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import hud
from hud.testing import ScriptedModel, call, say

env = hud.Environment("trivia")


@env.tool()
def lookup_ceo(company: str) -> str:
    """Look up who leads a company.

    Args:
        company: The company's name.
    """
    return {"HUD": "Jay Ram", "NVIDIA": "Jensen Huang"}.get(company, "Unknown")


@env.scenario("initials")
async def initials(company: str, wanted: str) -> AsyncIterator[Any]:
    """Ask for initials, and grade them."""
    answer = yield f"What are the initials of the CEO of {company}? Say only them."
    yield 1.0 if answer and answer.strip(" .\n") == wanted else 0.0


async def agent(
    ctx: hud.EvalContext, model: str, key: str, base_url: str | None
) -> None:
    """Let the model call tools until it answers, with google-genai."""
    from google import genai
    from google.genai import types

    config = types.GenerateContentConfig(
        tools=ctx.as_gemini_tools(),
        tool_config=ctx.as_gemini_tool_config(),
        automatic_function_calling={"disable": True},
    )
    http = types.HttpOptions(base_url=base_url)
    with genai.Client(api_key=key, http_options=http) as client:
        async with client.aio as aio:
            chat = aio.chats.create(model=model, config=config)
            response = await chat.send_message(ctx.prompt)
            while response.function_calls:
                results = await ctx.call_tools(response.function_calls)
                response = await chat.send_message(results)
            await ctx.submit(response.text)


async def legacy_agent(
    ctx: hud.EvalContext, model: str, key: str, base_url: str | None
) -> None:
    """Do the same with google.generativeai, for calls of several tools at once, too."""
    import google.generativeai as genai

    where = {} if base_url is None else {"api_endpoint": base_url}
    genai.configure(api_key=key, transport="rest", client_options=where)
    chat = genai.GenerativeModel(model).start_chat()
    tools, config = ctx.as_gemini_tools(), ctx.as_gemini_tool_config()
    response = chat.send_message(ctx.prompt, tools=tools, tool_config=config)
    while calls := [p for p in response.parts if p.function_call]:
        results = await ctx.call_tools(calls)
        response = chat.send_message(results, tools=tools, tool_config=config)
    await ctx.submit(response.text)


@contextlib.contextmanager
def model_to_ask(names: list[str]) -> Iterator[tuple[str, str, str | None]]:
    """Give a model's name, a key, and where it is: a real one, or a scripted one."""
    key = os.environ.get("GEMINI_API_KEY")
    if key and names:
        yield names[0], key, None
        return
    print(
        "a scripted model answers; for another, set GEMINI_API_KEY and name it",
        file=sys.stderr,
    )
    script = [call(("lookup_ceo", {"company": "HUD"})), say("JR")]
    with ScriptedModel(script) as scripted:
        yield scripted.model, "none", scripted.origin


async def main(arguments: list[str]) -> None:
    """Run the eval and print what came of it."""
    names = [name for name in arguments if name != "--legacy"]
    run = legacy_agent if "--legacy" in arguments else agent
    with model_to_ask(names) as (model, key, base_url):
        limits = hud.Limits(turns=8)
        async with hud.eval(initials(company="HUD", wanted="JR"), limits=limits) as ctx:
            await run(ctx, model, key, base_url)
    result = ctx.result
    print(f"reward {result.reward}, {result.turns} turns, {result.outcome}")
    print(f"hudtrace show {result.trace_id[:12]}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
