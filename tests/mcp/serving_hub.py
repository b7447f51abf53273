"""An environment that a hub serves: `hudtrace serve serving_hub:env`.

With HUB_VERSION=2 in its environment it is another one, as after a change.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, Literal

import hud

CEOS = {"HUD": "Jay Ram", "OpenAI": "Sam Altman"}
VERSION = int(os.environ.get("HUB_VERSION", "1"))
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d7"
    "63f8cfc000000301010018dd8db00000000049454e44ae426082"
)
env = hud.Environment("trivia")


@env.tool()
async def lookup_ceo(company: str) -> str:
    """Look up who leads a company."""
    await asyncio.sleep(0.02)
    name = CEOS[company]
    hud.current_eval().state.setdefault("asked", []).append(company)
    return name


@env.tool()
def picture() -> hud.Image:
    """Take a picture."""
    return hud.Image(PIXEL)


@env.tool()
def outage() -> str:
    """Meet an environment that is gone."""
    raise hud.EnvironmentFailure("the machine is gone")


@env.tool()
async def slow(seconds: float) -> str:
    """Take some time."""
    await asyncio.sleep(seconds)
    return "late"


@env.tool()
def die() -> str:
    """End the process, as a crash does."""
    os._exit(1)


@env.tool()
def cheat() -> str:
    """Tell the answer; no scenario offers it."""
    raise AssertionError("a hidden tool has run")


HIDDEN = ["cheat"]


@env.scenario("initials", exclude_tools=HIDDEN, reward_range=(0, 2))
async def initials(company: str, style: Literal["short", "long"] = "short") -> Any:
    """Ask for initials."""
    answer = yield f"What are the initials of the CEO of {company}?"
    asked = hud.current_eval().state.get("asked", [])
    assert set(asked) <= {company}, "episodes are mixed up"
    right = "".join(name[0] for name in CEOS[company].split())
    yield 2.0 if right == answer else 0.0


@env.scenario("look", allowed_tools=["picture"])
async def look(colors: list[str]) -> Any:
    answer = yield [f"Which of {colors} is it?", hud.Image(PIXEL)]
    yield float(answer == colors[0])


@env.scenario("essay", exclude_tools=HIDDEN)
async def essay(words: int) -> Any:
    """Ask for a short text; its grade has reasons."""
    answer = yield f"Write at most {words} words."
    used = len((answer or "").split())
    hud.score(float(used), name="length")
    brevity = hud.SubScore("brevity", float(used <= words), 0.5, "short is good")
    yield hud.Grade(
        brevity.value,
        [brevity, hud.SubScore("style", 0.25)],
        f"{used} words",
        {"used": used, "words": ["a", None]},
    )


@env.scenario("no grade", exclude_tools=HIDDEN)
async def no_grade() -> Any:
    yield "Say anything."
    raise ValueError("the secret answer")


@env.scenario("no set-up", exclude_tools=HIDDEN)
async def no_set_up() -> Any:
    raise FileNotFoundError("/srv/secret")
    yield


@env.scenario("traces", exclude_tools=HIDDEN)
async def traces(path: str) -> Any:
    """Write a line when it begins and when it is closed."""
    Path(path).write_text("begun\n")
    try:
        yield "Say anything."
        yield 1.0
    finally:
        Path(path).write_text("begun\nclosed\n")


if VERSION > 1:

    @env.scenario("new", exclude_tools=HIDDEN)
    async def new() -> Any:
        answer = yield "Is it new?"
        yield float(answer == "yes")
