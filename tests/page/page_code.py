"""The code on the documented page, which is read where it is and never copied."""

from __future__ import annotations

import ast
import asyncio
import textwrap
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[3] / "shared" / "spec" / "integrations-page.md"
GATEWAY = "https://inference.hud.ai"

#: For tests that need the page.
page = pytest.mark.skipif(not PAGE.exists(), reason=f"the page is not at {PAGE}")


def snippet(heading: str) -> str:
    """Take the code that follows *heading* on the page, to the next line of prose."""
    lines = PAGE.read_text("utf-8").splitlines()
    start = lines.index(heading) + 1
    while not lines[start].startswith(("import ", "from ", "async with ")):
        start += 1
    end = start
    for stop in range(start, len(lines)):
        try:
            ast.parse(_coroutine("\n".join(lines[start : stop + 1])))
            end = stop + 1
        except SyntaxError:
            continue
        following = next((line for line in lines[end:] if line.strip()), "X")
        if following[0].isupper() and " = " not in following:
            break
    return "\n".join(lines[start:end])


def _coroutine(code: str) -> str:
    body = textwrap.indent(code, "    ")
    return f"async def page(eval):\n{body}\n    return locals()\n"


def run(code: str, names: dict[str, Any], task: Any) -> dict[str, Any]:
    """Run page code in a coroutine in which `eval` is the task."""
    exec(compile(_coroutine(code), "page", "exec"), names)
    result: dict[str, Any] = asyncio.run(names["page"](task))
    return result
