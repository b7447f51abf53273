"""Episodes through the openai client, traced beside untraced.

An episode is two model calls, one tool call and a reward. The model is a
bare server that answers over real HTTP, in a process that is not measured.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.model import TOOLS, client, model_server
from benchmarks.rounds import Figures, middle, print_rows, race, ratio, serve

EPISODES = 300


def lookup(name: str) -> str:
    """Look something up."""
    return "Jay Ram"


async def bare_episode(openai: Any) -> float:
    """The untraced loop: two calls, a tool, a comparison."""
    messages: list[Any] = [{"role": "user", "content": "Initials of the CEO of HUD?"}]
    while True:
        response = await openai.chat.completions.create(
            model="scripted-1", messages=messages, tools=TOOLS
        )
        message = response.choices[0].message
        messages.append(message)
        if not message.tool_calls:
            return 1.0 if "JR" in (message.content or "") else 0.0
        for call in message.tool_calls:
            result = lookup(**json.loads(call.function.arguments))
            messages.append(
                {"role": "tool", "tool_call_id": call.id, "content": result}
            )


def traced(
    run_in: Any, endpoint: str | None = None
) -> Callable[[], Callable[[], Figures]]:
    """The same loop inside `hud.eval`, its tool in *run_in*."""

    def setup() -> Callable[[], Figures]:
        from hudtrace_exporters.otlp import Otlp

        import hudtrace as hud

        folder = Path(tempfile.mkdtemp(prefix="hudtrace-bench-"))
        hud.configure(
            store=folder / "traces.db",
            exporters=[] if endpoint is None else [Otlp(endpoint)],
            exit_timeout=0,
            quiet=True,
        )
        env = hud.Environment("bench")
        env.tool(run_in=run_in)(lookup)

        @env.scenario("one")
        async def one() -> Any:
            answer = yield "Initials of the CEO of HUD?"
            yield 1.0 if "JR" in (answer or "") else 0.0

        task = one()

        async def episode(openai: Any) -> float:
            async with hud.eval(task) as ctx:
                messages: list[Any] = [{"role": "user", "content": ctx.prompt}]
                while True:
                    response = await openai.chat.completions.create(
                        model="scripted-1",
                        messages=messages,
                        tools=ctx.as_openai_chat_tools(),
                    )
                    message = response.choices[0].message
                    messages.append(message)
                    if not message.tool_calls:
                        break
                    for call in message.tool_calls:
                        messages.append(await ctx.call_tool(call))
                await ctx.submit(message.content)
            return ctx.result.reward or 0.0

        # What waits for a dead exporter would keep a flush until its end.
        return lambda: _episodes(episode, lambda: hud.flush(0.5 if endpoint else 60))

    return setup


def untraced() -> Callable[[], Figures]:
    """The loop without hudtrace."""
    return lambda: _episodes(bare_episode, lambda: None)


def _episodes(episode: Callable[[Any], Any], flush: Callable[[], object]) -> Figures:
    at_once = 500 if "500" in sys.argv[2] else 50

    async def run() -> None:
        openai = client()
        slots = asyncio.Semaphore(at_once)

        async def one() -> None:
            async with slots:
                assert await episode(openai) == 1.0

        count = EPISODES if at_once == 50 else 1000
        await asyncio.gather(*(one() for _ in range(count)))
        await openai.close()

    cpu, began = time.process_time(), time.monotonic()
    asyncio.run(run())
    wall = time.monotonic() - began
    flush()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu": time.process_time() - cpu, "wall": wall, "rss": peak}


CONTENDERS: dict[str, Callable[[], Callable[[], Figures]]] = {
    "untraced": untraced,
    "inline": traced("loop"),
    "thread": traced("thread"),
    "dead": traced("loop", "http://127.0.0.1:9/v1/traces"),
    "untraced-500": untraced,
    "inline-500": traced("loop"),
}


def main(rounds: int = 12) -> None:
    """Print the table."""
    here = "benchmarks.episodes"
    with model_server():
        fifty = race(here, ["untraced", "inline", "thread", "dead"], rounds)
        five_hundred = race(here, ["untraced-500", "inline-500"], 3)
    base, many = fifty["untraced"], five_hundred["untraced-500"]
    per = EPISODES / 1000
    print_rows(
        "Episodes (CPU, all threads, with the durable store)",
        [
            (
                "episode, 50 at once, tool in the loop",
                f"{ratio(fifty['inline'], base, 'cpu')}; "
                f"{middle(fifty['inline'], 'cpu') / per:.2f} to "
                f"{middle(base, 'cpu') / per:.2f} ms",
                "<= 1.45",
            ),
            (
                "episode, 50 at once, tool in a thread",
                ratio(fifty["thread"], base, "cpu"),
                "<= 1.65",
            ),
            (
                "the same with a dead exporter, to none",
                f"CPU {ratio(fifty['dead'], fifty['inline'], 'cpu')}; "
                f"wall {ratio(fifty['dead'], fifty['inline'], 'wall')}",
                "1.0",
            ),
            (
                "peak memory, 500 at once",
                f"{ratio(five_hundred['inline-500'], many, 'rss')}; "
                f"{middle(five_hundred['inline-500'], 'rss'):.0f} to "
                f"{middle(many, 'rss'):.0f} MB",
                "<= 1.5",
            ),
        ],
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["contender"]:
        serve(CONTENDERS)
    else:
        main()
