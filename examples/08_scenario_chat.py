"""A model works on a scenario by itself, and then in a chat, over any provider's API.

    python examples/08_scenario_chat.py [API MODEL]

API is chat_completions, responses, anthropic or gemini. With it, a model's name,
and the provider's key in its usual variable, that model answers. Without, a
scripted one does, offline, through all four.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
from google import genai

import hud
from hud.testing import ScriptedModel, call, say

APIS = ("chat_completions", "responses", "anthropic", "gemini")
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
    yield 1.0 if answer and answer.strip(" .") == wanted else 0.0


def client_of(api: str, scripted: ScriptedModel | None = None) -> Any:
    """Make the client that speaks *api*, for the real provider or the scripted model."""
    if api == "gemini":
        if scripted is None:
            return genai.Client()
        return genai.Client(api_key="none", http_options={"base_url": scripted.origin})
    if api == "anthropic":
        if scripted is None:
            return anthropic.AsyncAnthropic()
        return anthropic.AsyncAnthropic(api_key="none", base_url=scripted.origin)
    if scripted is None:
        return openai.AsyncOpenAI()
    return openai.AsyncOpenAI(api_key="none", base_url=scripted.url)


async def at_once(client: Any, api: Any, model: str) -> hud.EvalResult:
    """Let the model work until it answers."""
    return await hud.run_scenario_chat(
        client=client,
        api=api,
        model=model,
        task=initials(company="HUD", wanted="JR"),
        max_steps=8,
    )


async def step_by_step(client: Any, api: Any, model: str) -> hud.EvalResult:
    """Chat with the model, one message after the other, and watch it answer."""
    async with hud.run_scenario_chat_interactive(
        client=client,
        api=api,
        model=model,
        env=env,
        scenario="initials",
        args={"company": "HUD", "wanted": "JR"},
    ) as chat:
        async for event in chat.send_stream("Look it up first. Who is it?"):
            if event.type == "tool_call":
                print(f"  calls {event.name}({event.arguments})")
            elif event.type == "text":
                print(f"  says {event.text!r}")
        reply = await chat.send("Now the initials alone.")
        print(f"  says {reply.answer!r}")
        return await chat.finish()


async def evaluate(api: str, model: str, client: Any) -> None:
    """Run both and print what came of them."""
    for way in (at_once, step_by_step):
        print(f"{api}, {way.__name__}:")
        result = await way(client, api, model)
        print(f"  reward {result.reward}, {result.turns} turns, {result.outcome}")
        print(f"  hudtrace show {result.trace_id[:12]}")


async def main() -> None:
    """Ask the model that was named, or a scripted one through every API."""
    if len(sys.argv) > 2:
        return await evaluate(sys.argv[1], sys.argv[2], client_of(sys.argv[1]))
    if len(sys.argv) == 2:
        sys.exit(f"name a model of {sys.argv[1]} too; the APIs are {', '.join(APIS)}")
    print(
        "a scripted model answers; name an API and a model for another", file=sys.stderr
    )
    lookup = call(("lookup_ceo", {"company": "HUD"}))
    for api in APIS:
        script = [lookup, say("JR"), lookup, say("It is Jay Ram."), say("JR")]
        with ScriptedModel(script) as scripted:
            await evaluate(api, scripted.model, client_of(api, scripted))


if __name__ == "__main__":
    asyncio.run(main())
