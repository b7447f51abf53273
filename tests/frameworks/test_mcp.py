"""Raw MCP: tools, calls and results in the types of mcp 1.x and of 2.x."""

from __future__ import annotations

import base64
import importlib
from collections.abc import Callable
from typing import Any

import pytest
from contract import BARE, HARD, PNG, People, check_trace, framework, tree
from page_code import PAGE, run, snippet

import hudtrace as hud
from hudtrace.testing import captured_spans

framework("mcp")

from mcp import types  # noqa: E402

pytestmark = pytest.mark.usefixtures("store")


def member(thing: Any, camel: str, snake: str) -> Any:
    """Read a member that mcp 1.x and 2.x spell each in their way."""
    return getattr(thing, snake) if hasattr(thing, snake) else getattr(thing, camel)


def test_the_documented_name() -> None:
    """`hud.frameworks` has what `hudtrace.frameworks` has."""
    from hud.frameworks import mcp

    assert mcp is importlib.import_module("hudtrace.frameworks.mcp")
    with pytest.raises(ImportError, match="nothing"):
        from hud.frameworks import nothing  # noqa: F401


async def test_tools() -> None:
    """`as_tools` gives the installed `Tool`, whole, in either spelling."""
    people = People()
    async with hud.eval(people.task) as ctx:
        tools = {tool.name: tool for tool in ctx.as_tools()}
        await ctx.submit("all done")
    search = tools["search"]
    assert isinstance(search, types.Tool)
    assert search.description == "Search people."
    assert search.inputSchema == search.input_schema
    assert "Filters" in search.inputSchema["$defs"]
    again = types.Tool.model_validate(search.model_dump(by_alias=True))
    assert member(again, "inputSchema", "input_schema") == search.inputSchema


@pytest.mark.parametrize("arguments", [HARD, BARE], ids=["hard", "bare"])
async def test_calls(arguments: dict[str, Any]) -> None:
    """A request's params, a whole request and a dict are answered alike."""
    people = People()
    params = types.CallToolRequestParams(name="search", arguments=arguments)
    request = types.CallToolRequest(method="tools/call", params=params)
    plain = {"name": "search", "arguments": arguments}
    with captured_spans() as spans:
        async with hud.eval(people.task) as ctx:
            results = await ctx.call_tools([params, request, plain])
            await ctx.submit("all done")
    found = f"found {arguments['query']['name']} by {arguments['ident']}"
    for result in results:
        assert isinstance(result, types.CallToolResult)
        assert not member(result, "isError", "is_error")
        assert str(result) == found
    assert [record.arguments for record in ctx.tool_calls] == [arguments] * 3
    assert len([s for s in spans if s.name == "execute_tool search"]) == 3
    assert ctx.result.reward == 1.0


async def test_results() -> None:
    """An image is an image, and an error is marked as one."""
    people = People()
    async with hud.eval(people.task) as ctx:
        photo = await ctx.call_tool("photo", person="Jay")
        broken = await ctx.call_tool("broken", reason="rust")
        await ctx.submit("all done")
    (image,) = photo.content
    assert isinstance(image, types.ImageContent)
    assert base64.b64decode(image.data) == PNG
    assert member(broken, "isError", "is_error") is True
    assert "this tool is broken: rust" in str(broken)
    whole = types.CallToolResult.model_validate(photo.model_dump(by_alias=True))
    assert whole.content[0].data == image.data


@pytest.mark.skipif(not PAGE.exists(), reason=f"the page is not at {PAGE}")
@pytest.mark.section("Raw MCP", "mcp", "as on the page")
def test_page(task: hud.Task) -> None:
    """The page's "Bring Your Own": an agent of one's own with raw MCP tools."""

    async def agent(prompt: str, tools: list[Any], call_tool: Any) -> str:
        (tool,) = tools
        company = prompt.rstrip("?").split()[-1]
        result = await call_tool(
            types.CallToolRequestParams(name=tool.name, arguments={"company": company})
        )
        return "".join(word[0] for word in str(result).split())

    code = snippet("Bring Your Own")
    with captured_spans() as spans:
        done = run(code, {"hud": hud, "my_custom_agent": agent}, task)
    lines = tree("", ["lookup_ceo"], env="trivia:initials").splitlines()
    expected = [*lines[:3], "│  └─ execute_tool lookup_ceo", lines[-1]]
    check_trace(spans, done["ctx"].result, "\n".join(expected))


def test_the_example(run_example: Callable[[str], str]) -> None:
    """The example runs offline and earns its reward."""
    assert "reward 1.0" in run_example("16_mcp.py")
