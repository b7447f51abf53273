"""Tools in requests of the clients as users write them; mypy --strict accepts it."""

from __future__ import annotations

from anthropic import AsyncAnthropic
from google import genai
from google.genai import types
from openai import AsyncOpenAI

import hud

env = hud.Environment("typed")


async def chat(ctx: hud.EvalContext, client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": "hi"}],
        tools=ctx.as_openai_chat_tools(strict=True),
    )
    for call in completion.choices[0].message.tool_calls or []:
        await ctx.call_tool(call)
    await client.responses.create(
        model="m", input="hi", tools=ctx.as_openai_responses_tools()
    )


async def claude(ctx: hud.EvalContext, client: AsyncAnthropic) -> None:
    message = await client.messages.create(
        model="m",
        max_tokens=9,
        messages=[{"role": "user", "content": "hi"}],
        tools=ctx.as_claude_tools(cache_control=True),
    )
    await ctx.call_tools(b for b in message.content if b.type == "tool_use")


def gemini(ctx: hud.EvalContext, client: genai.Client) -> None:
    config = types.GenerateContentConfig(
        tools=ctx.as_gemini_tools(),
        tool_config=ctx.as_gemini_tool_config("ANY"),
    )
    client.models.generate_content(model="m", contents="hi", config=config)
    types.GenerateContentConfig(tools=env.as_gemini_tools())
