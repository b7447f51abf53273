"""Two agents of AutoGen as it was on the page: pyautogen 0.2, and ag2 before 1.0.

    python examples/15_autogen_page_form.py [MODEL]

With OPENAI_API_KEY set, and a model named, that model answers. Without, a
scripted one does, offline. Tried with pyautogen 0.2.35 and ag2 0.14. `pip install
pyautogen` gives 0.10 today, which has no package `autogen`: say `pyautogen<0.3`.

The page registers its tools with one agent, so the model is told of none. Here the
one that asks the model has their descriptions, and the other one runs them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import autogen
from autogen import AssistantAgent, UserProxyAgent

import hud
from hud.frameworks import autogen as hud_autogen
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
    yield 1.0 if answer and answer.strip(" .") == wanted else 0.0


Model = dict[str, str]


async def two_agents(ctx: hud.EvalContext, model: Model) -> None:
    """Let two agents talk, as on the page: one asks the model, one has the tools."""
    hud_autogen.keep_context()  # they ask the model in a thread, which else has lost the eval
    # Without `cache_seed` replies are replayed from a file.
    config = {"config_list": [model], "cache_seed": None}
    assistant = AssistantAgent(name="assistant", llm_config=config)
    user = UserProxyAgent(
        name="user",
        human_input_mode="NEVER",
        code_execution_config=False,
        max_consecutive_auto_reply=8,
        is_termination_msg=lambda message: not message.get("tool_calls"),
    )
    for function in ctx.as_autogen_tools("functions"):
        autogen.register_function(
            function,
            caller=assistant,
            executor=user,
            name=function.__name__,
            description=function.__doc__,
        )
    await ctx.submit(await user.a_initiate_chat(assistant, message=ctx.prompt))


@contextlib.contextmanager
def model_to_ask() -> Iterator[Model]:
    """Give what a client is made of: for the real model, or a scripted one."""
    key = os.environ.get("OPENAI_API_KEY")
    if key and len(sys.argv) > 1:
        yield {"model": sys.argv[1], "api_key": key}
        return
    script = [call(("lookup_ceo", {"company": "HUD"})), say("JR")]
    with ScriptedModel(script) as scripted:
        yield {"model": scripted.model, "base_url": scripted.url, "api_key": "none"}


async def main() -> None:
    """Run the eval and print what came of it."""
    with model_to_ask() as model:
        limits = hud.Limits(turns=8)
        async with hud.eval(initials(company="HUD", wanted="JR"), limits=limits) as ctx:
            await two_agents(ctx, model)
    result = ctx.result
    print(f"reward {result.reward}, {result.turns} turns, {result.outcome}")
    print(f"hudtrace show {result.trace_id[:12]}")


if __name__ == "__main__":
    asyncio.run(main())
