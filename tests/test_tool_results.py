"""What tools return: images between texts and inside of data, and broken text."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import mcp.types
import pytest

import hudtrace as hud
from hudtrace.dialects import DIALECTS
from hudtrace.store import queries
from hudtrace.tools import ToolCall, ToolResult

PNG = hud.Image(b"\x89PNG\r\n\x1a\n" + b"\0" * 8)
HALF = "x\ud83dy"


@dataclasses.dataclass
class Shot:
    caption: str
    picture: hud.Image


def kinds(value: Any) -> list[str]:
    return [block["type"] for block in ToolResult.of(value).content]


def test_texts_and_images_in_a_list_are_blocks_in_order() -> None:
    """A caption and its image reach the model as text and image."""
    result = ToolResult.of(["before", PNG, "after"])
    assert [b["type"] for b in result.content] == ["text", "image", "text"]
    assert result.text == "before\n[image: image/png, 16 bytes]\nafter"
    assert kinds(("a", mcp.types.TextContent(type="text", text="b"))) == ["text"] * 2
    assert kinds(["n", PNG.data, {"score": 1}, None]) == [
        "text",
        "image",
        "text",
        "text",
    ]


def test_data_without_images_stays_json() -> None:
    """Lists of texts, and of data that only looks like blocks, are JSON."""
    assert ToolResult.of(["a", "b"]).text == '["a", "b"]'
    rows = [{"type": "text", "text": "a"}, {"type": "row", "n": 1}]
    assert json.loads(ToolResult.of(rows).text) == rows
    assert kinds([{"type": "image", "data": 3}]) == ["text"]


@pytest.mark.parametrize(
    "value",
    [
        {"caption": "c", "picture": PNG},
        Shot("c", PNG),
        {"caption": "c", "picture": [PNG]},
        [[PNG, "c"]],
    ],
    ids=["dict", "dataclass", "deep", "nested list"],
)
def test_an_image_in_data_is_named_there_and_follows(value: Any) -> None:
    """The model gets the data as JSON, with a word for the image, and the image."""
    result = ToolResult.of(value)
    assert [block["type"] for block in result.content] == ["text", "image"]
    assert "[image 1: image/png, 16 bytes]" in result.content[0]["text"]
    assert result.content[1] == PNG.block()


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)
def test_every_dialect_sends_the_caption(dialect: Any) -> None:
    """Each API gets the text, and the image where a tool's result can have one."""
    native = {"id": "c", "name": "n", "type": "function_call"}
    call = ToolCall("n", {}, "c", native=native)
    reply = json.dumps(dialect.reply(call, ToolResult.of(["caption", PNG])))
    assert "caption" in reply
    shown = PNG.block()["data"] in reply
    assert shown == (dialect.name != "openai_chat")
    assert shown or "[image: image/png, 16 bytes]" in reply


def test_halves_of_characters_are_replaced() -> None:
    """Whatever a tool returns can be encoded, and its value too."""
    for value in (HALF, {"k": HALF}, {HALF: [HALF]}, [HALF, PNG], {"b": b"\x89\xff"}):
        result = ToolResult.of(value)
        json.dumps([result.content, result.value], ensure_ascii=False).encode()
    assert ToolResult.of({HALF: HALF}).value == {"x�y": "x�y"}
    assert ToolResult.error(HALF).text == "x�y"
    assert ToolResult.of("\ud83d\ude00").text == "😀"


async def test_an_episode_full_of_broken_text_is_recorded(stored: Any) -> None:
    """Broken text in arguments, results, prompts and grades stops nothing."""
    env = hud.Environment("broken")

    @env.tool
    def echo(a: Any) -> Any:
        """Echo."""
        return {"said": a, HALF: 1}

    @env.tool
    def fail() -> None:
        """Fail."""
        raise hud.ToolError(HALF)

    @env.scenario("one")
    async def one(q: str) -> Any:
        yield f"prompt {q}"
        yield hud.Grade(1.0, explanation=HALF)

    task = env.task("one", {"q": HALF})
    async with hud.eval(task, metadata={"m": HALF}, variant=HALF) as ctx:
        for name, arguments in (("echo", {"a": HALF}), ("fail", {}), (HALF, {})):
            function = {"name": name, "arguments": json.dumps(arguments)}
            call = {"id": "c", "type": "function", "function": function}
            reply = await ctx.call_tool(call)
            json.dumps(reply, ensure_ascii=False).encode()
        await ctx.submit(HALF)
    assert ctx.result.outcome == "scored"
    spans: list[queries.StoredSpan] = stored(ctx.trace_id)
    assert len([s for s in spans if s.name.startswith("execute_tool")]) == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "NaN"),
        ([math.inf, -math.inf, 1.5], '["Infinity", "-Infinity", 1.5]'),
        ({"a": math.nan, "b": {"c": [1]}}, '{"a": "NaN", "b": {"c": [1]}}'),
    ],
)
def test_numbers_that_json_does_not_have_are_named(value: Any, text: str) -> None:
    """A result with NaN or an infinity is valid JSON, and says which it was."""
    result = ToolResult.of(value)
    assert result.text == text
    json.dumps(result.value, allow_nan=False)


async def test_generators_are_lists_of_their_items(store: Path) -> None:
    """What a tool yields, sync or async, is its result; its errors are the tool's."""
    env = hud.Environment("yielding")

    @env.tool
    async def rows(n: int) -> AsyncIterator[int]:
        """Yield numbers."""
        for number in range(n):
            await asyncio.sleep(0)
            yield number

    @env.tool
    def lines(n: int) -> Iterator[str]:
        """Yield the name of the thread."""
        for _ in range(n):
            yield threading.current_thread().name

    @env.tool(timeout=0.05)
    async def slow() -> AsyncIterator[int]:
        """Never end."""
        while True:
            await asyncio.sleep(0.01)
            yield 1

    @env.tool
    async def broken() -> AsyncIterator[int]:
        """Fail halfway."""
        yield 1
        raise KeyError("half")

    @env.scenario("s")
    async def s() -> AsyncIterator[object]:
        yield "Go."
        yield 1.0

    async with hud.eval(s()) as ctx:
        assert str(await ctx.call_tool("rows", n=3)) == "[0, 1, 2]"
        assert await ctx.tools["rows"](n=2) == [0, 1]
        assert await ctx.tools["lines"](n=2) == ["hudtrace-tool"] * 2
        assert "took longer than 0.05 s" in str(await ctx.call_tool("slow"))
        with pytest.raises(KeyError, match="half"):
            await ctx.tools["broken"]()
        await ctx.submit("x")
    with pytest.raises(ValueError, match="is an async function, so it runs in"):

        @env.tool(run_in="thread")
        async def other() -> AsyncIterator[int]:
            yield 1
