"""A server of ours behind `connect_mcp`: each call is counted once."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import pytest
from server_kit import HUD, Serve, serve

import hudtrace as hud
from hudtrace.semconv import OPERATION
from hudtrace.testing import say, span_tree

__all__ = ["serve"]  # a fixture
pytestmark = pytest.mark.skipif(
    version("mcp").startswith("1."), reason="the extra `server` needs mcp 2.x"
)
TREE = """\
eval outer:delegate reward=1.0 outcome=scored
├─ setup
│  └─ connect_mcp trivia
│     ├─ initialize
│     └─ tools/list
├─ invoke_agent agent
│  ├─ execute_tool scenario_start
│  │  └─ tools/call scenario_start
│  └─ execute_tool scenario_finish
│     └─ tools/call scenario_finish
└─ reward score=1.0"""


async def test_nothing_is_double(serve: Serve, stored: Any) -> None:
    """The server's span of a call is below ours; tools are counted once."""
    server = serve([say("JR")])
    env = hud.Environment("outer")
    env.connect_mcp(url=f"{server.origin}/mcp", name="trivia")

    @env.scenario("delegate")
    async def delegate() -> Any:
        answer = yield "Have the scenario run."
        yield float(answer)

    async with hud.eval(delegate()) as ctx:
        first = await ctx.tools["scenario_start"](**HUD, message="Say it.")
        id = first["hud"]["session_id"]
        report = await ctx.tools["scenario_finish"](session_id=id)
        await ctx.submit(str(report["reward"]))
    result = ctx.result
    spans = stored(ctx.trace_id)
    assert span_tree(spans) == TREE
    counted = [s for s in spans if s.attributes.get(OPERATION) == "execute_tool"]
    assert [s.name.split()[0] for s in counted] == ["execute_tool"] * 2
    assert result.tool_calls == 2
    inner = stored(report["hud"]["trace_id"])
    assert [s.name for s in inner].count("turn") == 1
