"""Evals of every kind, for a store that the viewer is to show; run as a process.

python recording.py store          a job, a picture, an error, a late verdict
python recording.py steps          one eval, which goes on with each line of stdin
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import hudtrace as hud
from hudtrace.testing import ScriptedModel, call, say
from hudtrace.verdicts import record_verdict

HOSTILE = "<script>alert(1)</script>\x00\u202e{}%s'\"; DROP TABLE spans;--"
LONG = "a very long text " * 4_000
PNG = b"\x89PNG\r\n\x1a\n" + bytes(3_000)

env = hud.Environment("shop")


@env.tool
def look(what: str) -> Any:
    """Look at something."""
    if what == "broken":
        raise hud.ToolError("it is broken")
    return ["here it is", hud.Image(PNG)] if what == "picture" else LONG


@env.scenario("buy")
async def buy(what: str) -> Any:
    """Ask for something to be bought."""
    answer = yield f"Buy {what}."
    yield hud.Grade(1.0 if answer == "bought" else 0.0, explanation=f"got {answer!r}")


def ids(**found: str) -> None:
    print(json.dumps(found), flush=True)


async def one(client: Any, what: str, **options: Any) -> str:
    context = hud.eval(buy(what=what), on_error="record", **options)
    async with context as ctx:
        if what == "nothing":
            raise RuntimeError(HOSTILE)
        messages: list[Any] = [{"role": "user", "content": ctx.prompt}]
        await client.chat.completions.create(model="m", messages=messages)
        await ctx.call_tool("look", what=what) if what != "broken" else None
        await ctx.submit("bought" if what != "rubbish" else HOSTILE)
    return context.result.trace_id


async def store() -> None:
    from anthropic import AsyncAnthropic
    from openai import AsyncOpenAI

    with ScriptedModel(lambda _: say(HOSTILE)) as model:
        client = AsyncOpenAI(base_url=model.url, api_key="none", max_retries=0)
        bread = await one(client, "bread", metadata={"shelf": "2"}, variant="quick")
        rubbish = await one(client, "rubbish", agent=HOSTILE.replace("\x00", ""))
        nothing = await one(client, "nothing")
        tasks = [buy(what=what) for what in ("bread", "rubbish", "milk")]

        @hud.traced_eval(tasks, group=2, max_concurrent=2)
        async def shopper(ctx: hud.EvalContext) -> None:
            messages: list[Any] = [{"role": "user", "content": ctx.prompt}]
            await client.chat.completions.create(model="m", messages=messages)
            await ctx.submit("bought" if ctx.task.args["what"] != "rubbish" else "no")

        job = await shopper()
        await client.close()
    with ScriptedModel([call(("look", {"what": "picture"})), say("bought")]) as model:
        async with AsyncAnthropic(base_url=model.origin, api_key="none") as client:
            chat = await hud.run_scenario_chat(
                client=client, model="m", task=buy(what="picture")
            )
    picture = chat.trace_id
    assert hud.flush(20)
    late = record_verdict(
        rubbish, hud.Grade(0.5, explanation="half"), evaluator="ann", kind="human"
    )
    assert hud.flush(20)
    ids(
        bread=bread,
        rubbish=rubbish,
        nothing=nothing,
        picture=picture,
        late=late,
        job=job.id,
        job_trace=job.trace_id,
    )


async def steps() -> None:
    loop = asyncio.get_running_loop()

    async def step() -> None:
        await loop.run_in_executor(None, sys.stdin.readline)

    context = hud.eval(buy(what="bread"), job="by-steps")
    async with context as ctx:
        ids(trace=ctx.trace_id)
        await step()
        await ctx.call_tool("look", what="bread")
        await step()
        await ctx.submit("bought")
    assert hud.flush(20)
    ids(reward=str(context.result.reward))


if __name__ == "__main__":
    asyncio.run({"store": store, "steps": steps}[sys.argv[1]]())
