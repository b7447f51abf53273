"""An eval whose trace is looked at in Jaeger.

    hudtrace up                      # or any Jaeger that takes OTLP on this machine
    python examples/02_jaeger.py

A scripted model answers, offline. The address is that of the
OTEL_EXPORTER_OTLP_* variables, or else localhost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from openai import AsyncOpenAI

import hud
from hud.testing import ScriptedModel, call, say

env = hud.Environment("trivia")


@env.tool()
def lookup_ceo(company: str) -> str:
    """Look up who leads a company."""
    return {"HUD": "Jay Ram", "NVIDIA": "Jensen Huang"}.get(company, "Unknown")


@env.scenario("initials")
async def initials(company: str, wanted: str) -> AsyncIterator[Any]:
    """Ask for initials, and grade them."""
    answer = yield f"What are the initials of the CEO of {company}? Say only them."
    yield 1.0 if answer and answer.strip(" .") == wanted else 0.0


async def agent(ctx: hud.EvalContext, model: ScriptedModel) -> None:
    """Let the model call tools until it answers."""
    messages: list[Any] = [{"role": "user", "content": ctx.prompt}]
    async with AsyncOpenAI(base_url=model.url, api_key="none") as client:
        while True:
            response = await client.chat.completions.create(
                model=model.model, messages=messages, tools=ctx.as_openai_chat_tools()
            )
            message = response.choices[0].message
            messages.append(message)
            if not message.tool_calls:
                return await ctx.submit(message.content)
            messages += await ctx.call_tools(message.tool_calls)


async def main() -> None:
    """Run the eval, and say where its trace is."""
    hud.configure(exporters=["jaeger"])
    script = [call(("lookup_ceo", {"company": "HUD"})), say("JR")]
    with ScriptedModel(script) as model:
        async with hud.eval(initials(company="HUD", wanted="JR")) as ctx:
            await agent(ctx, model)
    delivered = await ctx.result.delivered(timeout=3)
    print(f"reward {ctx.result.reward}; delivery: {ctx.result.delivery}")
    print(ctx.result.trace_url)
    if not delivered:
        print("Jaeger is not there yet; `hudtrace forward` sends the trace when it is")


if __name__ == "__main__":
    asyncio.run(main())
