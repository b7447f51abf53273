"""An agent of one's own on raw MCP tools, evaluated on one task.

    python examples/16_mcp.py

For frameworks that hudtrace has no converter for: `ctx.as_tools()` gives MCP `Tool`
objects, `ctx.call_tool` runs a call and answers in its form, `ctx.submit` takes the
answer. The agent here thinks by itself, offline. Tried with mcp 1.30 and 2.3.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from mcp import types

import hud

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


async def agent(prompt: str, tools: list[types.Tool], call_tool: Any) -> str:
    """Look up the company that the prompt asks about, and answer with initials."""
    (tool,) = tools
    company = prompt.partition("CEO of ")[2].partition("?")[0]
    asked = types.CallToolRequestParams(name=tool.name, arguments={"company": company})
    result = await call_tool(asked)
    return "".join(word[0] for word in str(result).split())


async def main() -> None:
    """Run the eval and print what came of it."""
    async with hud.eval(initials(company="HUD", wanted="JR")) as ctx:
        await ctx.submit(await agent(ctx.prompt, ctx.as_tools(), ctx.call_tool))
    result = ctx.result
    print(f"reward {result.reward}, {len(ctx.tool_calls)} tool call, {result.outcome}")
    print(f"hudtrace show {result.trace_id[:12]}")


if __name__ == "__main__":
    asyncio.run(main())
