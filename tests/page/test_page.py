"""The documented page runs verbatim, byte for byte, against this project."""

from __future__ import annotations

import ast
import asyncio
import textwrap
from pathlib import Path
from typing import Any

import pytest

from hudtrace.testing import (
    ScriptedModel,
    call,
    captured_spans,
    redirect,
    say,
    span_tree,
)

PAGE = Path(__file__).parents[3] / "shared" / "spec" / "integrations-page.md"
GATEWAY = "https://inference.hud.ai"

pytestmark = [
    pytest.mark.usefixtures("store"),
    # The page does not close its client.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.skipif(not PAGE.exists(), reason=f"the page is not at {PAGE}"),
]

TREE = """\
eval trivia:initials reward=1.0 outcome=scored
├─ setup
├─ invoke_agent agent
│  ├─ turn 1
│  │  ├─ chat gpt-4o
│  │  └─ execute_tool lookup_ceo
│  └─ turn 2
│     └─ chat gpt-4o
└─ reward score=1.0"""


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
        following = lines[end : end + 2]
        if any(line and line[0].isupper() and " = " not in line for line in following):
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


def test_chat_completions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment and the Chat Completions example: reward 1.0, the right tree."""
    monkeypatch.setenv("HUD_API_KEY", "page-key-123")
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(snippet("The Example Environment"), "page", "exec"), names)
    script = [call(("lookup_ceo", {"company": "HUD"})), say("The initials are JR.")]
    with (
        ScriptedModel(script) as model,
        redirect({GATEWAY: model.origin}),
        captured_spans() as spans,
    ):
        done = run(snippet("Chat Completions"), names, names["task"])
    assert done["ctx"].result.reward == 1.0
    assert span_tree(spans) == TREE
    assert {span.trace_id for span in spans} == {done["ctx"].result.trace_id}
    assert model.requests[1]["messages"][-1]["content"] == "Jay Ram"
