"""An environment for MCP clients that are the agent; it prints, as modules do."""

from __future__ import annotations

import asyncio
import atexit
import subprocess
import sys
from typing import Any

import hud

CEOS = {"HUD": "Jay Ram", "OpenAI": "Sam Altman"}
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d7"
    "63f8cfc000000301010018dd8db00000000049454e44ae426082"
)

env = hud.Environment("agents")
print("the module says hello on stdout")
atexit.register(print, "and so it does at the end")


@env.tool()
def lookup_ceo(company: str) -> str:
    """Look up who leads a company."""
    print("a tool says hello on stdout")
    subprocess.run([sys.executable, "-c", "print('and so does a child')"], check=True)
    return CEOS.get(company, "Unknown")


@env.tool()
def picture(size: int = 1) -> hud.Image:
    """Take a picture.

    Args:
        size: How large it is.
    """
    return hud.Image(PIXEL)


@env.tool()
def broken() -> str:
    """Fail."""
    raise RuntimeError("no such page")


@env.tool()
async def slow() -> str:
    """Take a minute."""
    await asyncio.sleep(60)
    return "late"


@env.tool()
def outage() -> str:
    """Meet an environment that is gone."""
    raise hud.EnvironmentFailure("the machine at /srv/secret is gone")


@env.tool()
def exits() -> str:
    """Call what was made to be a command."""
    sys.exit("usage: exits")


@env.tool()
def cheat() -> str:
    """Tell the answer; no scenario offers it."""
    raise AssertionError("a hidden tool has run")


HIDDEN = ["cheat"]


@env.scenario("initials", exclude_tools=HIDDEN)
async def initials(company: str) -> Any:
    """Ask for initials."""
    answer = yield f"What are the initials of the CEO of {company}?"
    names = CEOS.get(company, "").split()
    right = "".join(name[0] for name in names)
    yield 1.0 if right and right in (answer or "") else 0.0


@env.scenario("sum", allowed_tools=["lookup_ceo"])
def add(numbers: list[int], label: str = "sum", twice: bool = False) -> Any:
    """Ask for a sum."""
    answer = yield [f"What is the {label} of {numbers}?", hud.Image(PIXEL)]
    yield float(answer == str(sum(numbers) * (2 if twice else 1)))


@env.scenario("no set-up", exclude_tools=HIDDEN)
def no_set_up() -> Any:
    raise FileNotFoundError("/srv/secret/answers.json")
    yield


@env.scenario("hangs", exclude_tools=HIDDEN)
async def hangs() -> Any:
    yield "Say anything."
    print("grading")
    await asyncio.sleep(600)
    yield 1.0


@env.scenario("exits", exclude_tools=HIDDEN)
async def exiting(when: str = "set-up", pause: float = 0) -> Any:
    await asyncio.sleep(pause)
    if when == "set-up":
        sys.exit(2)
    try:
        yield "Say anything."
        if when == "grade":
            sys.exit(3)
        yield 1.0
    finally:
        if when == "close":
            sys.exit(4)


@env.scenario("no grade", exclude_tools=HIDDEN)
def no_grade() -> Any:
    answer = yield "Say anything."
    assert answer == "the secret answer", "it is the secret answer in /srv/secret"
    yield 1.0
