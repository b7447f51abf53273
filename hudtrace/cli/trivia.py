"""The demo's environment, its two agents, and the scripted model they talk to."""

from __future__ import annotations

import json
from typing import Any

from hudtrace.context import EvalContext, current_eval
from hudtrace.environment import Environment
from hudtrace.errors import ToolError
from hudtrace.grading import Grade
from hudtrace.messages import text_of
from hudtrace.testing.scripts import (
    ScriptedReply,
    ScriptedRequest,
    call,
    error,
    last_text,
    say,
)

CEOS = {
    "hud": "Jay Ram",
    "openai": "Sam Altman",
    "anthropic": "Dario Amodei",
    "nvidia": "Jensen Huang",
    "microsoft": "Satya Nadella",
    "apple": "Tim Cook",
    "amazon": "Andy Jassy",
    "meta": "Mark Zuckerberg",
    "amd": "Lisa Su",
    "ibm": "Arvind Krishna",
    "shopify": "Tobi Lutke",
    "spotify": "Daniel Ek",
}
UNREACHABLE = {"ibm"}  # the directory fails on it, as directories do

VARIANTS = {
    "hasty": "Answer at once if you can.",
    "careful": "Look everything up before you answer.",
}

env = Environment("trivia")


@env.tool()
def lookup_ceo(company: str) -> str:
    """Look up who leads a company.

    Args:
        company: The company's name.
    """
    if company.lower() in UNREACHABLE:
        raise ToolError(f"the directory does not answer for {company}; try again later")
    return CEOS.get(company.lower(), "Unknown")


@env.scenario("initials")
async def initials(company: str) -> Any:
    """Ask for the initials of a company's CEO."""
    answer = yield f"What are the initials of the CEO of {company}?"
    wanted = "".join(word[0] for word in CEOS[company.lower()].split())
    looked_up = [record.result.text for record in current_eval().tool_calls]
    right = wanted in (answer or "").upper().replace(".", "").split()
    seen = f"the tool had said {looked_up[-1]!r}" if looked_up else "no tool was asked"
    yield Grade(
        1.0 if right else 0.0,
        explanation=f"wanted {wanted}, got {answer!r}; {seen}",
    )


TASKS = [initials(company=company) for company in CEOS]


async def run_agent(ctx: EvalContext, client: Any, model: str, variant: str) -> None:
    """Answer the prompt in a loop of chat completions and tool calls."""
    messages: list[Any] = [
        {"role": "system", "content": VARIANTS[variant]},
        {"role": "user", "content": ctx.prompt},
    ]
    while True:
        response = await client.chat.completions.create(
            model=model, messages=messages, tools=ctx.as_openai_chat_tools()
        )
        message = response.choices[0].message
        messages.append(message)
        if not message.tool_calls:
            break
        messages += await ctx.call_tools(message.tool_calls)
    if message.content:
        await ctx.submit(message.content)


def scripted_answer(request: ScriptedRequest) -> ScriptedReply:
    """Play the model: mostly right, with one failure of each kind among them."""
    system, question, *others = map(text_of, request.conversation)
    hasty = system == VARIANTS["hasty"]
    company = question.removesuffix("?").rpartition(" ")[2]
    asked = not others
    if company == "meta" and hasty:
        return error(503, "the model is overloaded (scripted)")
    if company == "amazon" and hasty:
        return call(("lookup_ceo", {"company": "amazon"}))  # never comes to an end
    if company == "spotify" and hasty:
        return say("")  # finds no words
    if asked:
        return _first_move(company, hasty)
    seen = last_text(request)
    if seen.startswith("Error"):
        return say("I could not find out.")
    if company == "nvidia" and hasty:
        return say("The initials are JEH.")
    name = json.loads(seen) if seen.startswith('"') else seen
    return say(f"The initials are {''.join(word[0] for word in name.split())}.")


def _first_move(company: str, hasty: bool) -> ScriptedReply:
    if hasty and company == "shopify":
        return say("The initials are TB.")  # from memory, and wrong
    if hasty and company == "apple":
        return say("The initials are TC.")
    return call(("lookup_ceo", {"company": company}))
