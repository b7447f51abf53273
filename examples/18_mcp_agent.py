"""An agent that plays a served environment over MCP, with a model of its own.

    python examples/18_mcp_agent.py [MODEL]

With OPENAI_API_KEY set, and a model named, that model plays. Without, a scripted one
does, offline. The environment runs in a process of its own, `hudtrace serve
18_mcp_agent:env --stdio`, and knows nothing of the model; the agent knows nothing of
hudtrace. Needs `pip install 'hudtrace[server,openai]'`. Tried with mcp 2.3, openai 3.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.stdio import stdio_client
from openai import AsyncOpenAI

import hud
from hud.testing import ScriptedModel, call, say

env = hud.Environment("trivia")


@env.tool()
def lookup_ceo(company: str) -> str:
    """Look up who leads a company."""
    return {"HUD": "Jay Ram"}.get(company, "Unknown")


@env.scenario("initials")
async def initials(company: str) -> Any:
    """Ask for the initials of a company's CEO."""
    answer = yield f"What are the initials of the CEO of {company}?"
    yield 1.0 if "JR" in (answer or "") else 0.0


async def play(agent: Client, openai: AsyncOpenAI, model: str) -> Any:
    """Get the prompt, let the model call tools until it answers, and submit."""
    prompt = await agent.get_prompt("initials", {"company": "HUD"})
    messages: list[Any] = [
        {"role": "user", "content": getattr(each.content, "text", "")}
        for each in prompt.messages
    ]
    tools: list[Any] = [
        {
            "type": "function",
            "function": {"name": tool.name, "parameters": tool.input_schema},
        }
        for tool in (await agent.list_tools()).tools
        if not tool.name.startswith("scenario_")
    ]
    while True:
        reply = await openai.chat.completions.create(
            model=model, messages=messages, tools=tools
        )
        said = reply.choices[0].message
        if not said.tool_calls:
            break
        messages.append(said)
        for wanted in said.tool_calls:
            function: Any = getattr(wanted, "function", None)
            arguments = json.loads(function.arguments)
            result = await agent.call_tool(function.name, arguments)
            text = " ".join(getattr(block, "text", "") for block in result.content)
            messages.append(
                {"role": "tool", "tool_call_id": wanted.id, "content": text}
            )
    report = await agent.call_tool("scenario_submit", {"answer": said.content})
    return report.structured_content


async def main() -> None:
    """Start the server, play, and print the reward."""
    command = ["-m", "hudtrace", "serve", f"{Path(__file__).stem}:env", "--stdio"]
    server = StdioServerParameters(
        command=sys.executable,
        args=command,
        cwd=Path(__file__).parent,
        env={**os.environ},
    )
    script = [call(("lookup_ceo", {"company": "HUD"})), say("JR")]
    with ScriptedModel(script) as scripted:
        online = len(sys.argv) > 1
        where: dict[str, Any] = {"base_url": scripted.url, "api_key": "none"}
        async with (
            AsyncOpenAI(**({} if online else where)) as openai,
            Client(stdio_client(server)) as agent,
        ):
            report = await play(agent, openai, sys.argv[1] if online else "gpt-4o")
    print(f"reward {report['reward']}, {report['outcome']}: {report['trace_url']}")


if __name__ == "__main__":
    asyncio.run(main())
