"""Evals whose transcripts the tests read: an agent in a loop, and how to look at it."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

import hudtrace as hud
from hudtrace.store.store import read_only
from hudtrace.testing import ScriptedModel, ScriptedReply
from hudtrace.transcript import conversation

Message = dict[str, Any]


class Agent:
    """A loop around a real client of a scripted model, with a conversation of its own."""

    def __init__(self, model: ScriptedModel, client: AsyncOpenAI) -> None:
        self.model = model
        self.client = client
        self.messages: list[Message] = []

    async def ask(self, *messages: Message | str, **options: Any) -> Any:
        """Make one call with what was said so far, and remember the reply."""
        for message in messages:
            text = {"role": "user", "content": message}
            self.messages.append(text if isinstance(message, str) else message)
        response = await self.client.chat.completions.create(
            model="scripted-1",
            messages=self.messages,
            **options,  # type: ignore[arg-type]
        )
        reply = response.choices[0].message
        self.messages.append(reply.model_dump(exclude_none=True))
        return reply

    async def work(self, ctx: hud.EvalContext, *messages: Message | str) -> str:
        """Ask, do what tools are asked for, and ask again until there is an answer."""
        reply = await self.ask(*messages)
        while reply.tool_calls:
            results = [await ctx.call_tool(each) for each in reply.tool_calls]
            reply = await self.ask(*results)
        return str(reply.content)


@pytest.fixture
async def agent(store: Path) -> AsyncIterator[Callable[..., Agent]]:
    """Make agents whose model gives the replies one after the other."""
    with contextlib.ExitStack() as models:
        clients: list[AsyncOpenAI] = []

        def make(*replies: ScriptedReply) -> Agent:
            model = models.enter_context(ScriptedModel(replies))
            clients.append(AsyncOpenAI(base_url=model.url, api_key="k", max_retries=0))
            return Agent(model, clients[-1])

        yield make
        for client in clients:
            await client.close()


@pytest.fixture
def db(store: Path) -> Iterator[Callable[[], sqlite3.Connection]]:
    """Open the store once all of it is written."""
    opened: list[sqlite3.Connection] = []

    def read() -> sqlite3.Connection:
        assert hud.flush(20)
        opened.append(read_only(store))
        return opened[-1]

    yield read
    for each in opened:
        each.close()


@pytest.fixture
def told(db: Callable[[], sqlite3.Connection]) -> Callable[[str], list[str]]:
    """Return the items of an episode as short lines, for a comparison."""

    def lines(trace_id: str) -> list[str]:
        found = conversation.read(db(), trace_id)
        items = conversation.page(found.source.db, found, 0, 1000)
        assert [item["index"] for item in items] == list(range(len(items)))
        json.dumps(items, allow_nan=False)
        return [line for item in items for line in lines_of(item)]

    return lines


@pytest.fixture
def said(told: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    """Return what `told` does, but only the model calls."""

    def lines(trace_id: str) -> list[str]:
        found = told(trace_id)
        ends = ("prompt:", "answer:", "reward ", "error:")
        return [line for line in found if not line.startswith(ends)]

    return lines


def lines_of(item: dict[str, Any]) -> Iterator[str]:
    """Return one item as lines: what a reviewer can read, without times and ids."""
    kind = item["kind"]
    if kind == "call":
        at = item["rewritten_at"]
        rewritten = "" if at is None else f", rewritten at {at}"
        yield f"{item['phase']} {item['thread']}: {item['history']} before{rewritten}"
        for message in item["new"]:
            mark = "*" if message["output"] else ""
            for part in message["parts"]:
                yield f"  {message['n']} {message['role']}{mark}: {part_text(part)}"
        if item["error"]:
            yield f"  failed: {item['error']['type']}"
    elif kind == "tool":
        yield f"{item['phase']} tool: {part_text(item['part'])}"
    elif kind == "reward":
        yield f"reward {item['name']}: {item['value']} {item['explanation']}"
    elif kind == "error":
        yield f"error: {item['type']}: {item['message']}"
    else:
        yield f"{kind}: {' | '.join(map(part_text, item['parts']))}"


def part_text(part: dict[str, Any]) -> str:
    """Return one part as text."""
    kind = part["type"]
    if kind == "text":
        return str(part["text"])
    if kind == "tool_call":
        done = "" if part["span_id"] else "?"
        failed = "!" if part["error"] else ""
        result = part["result"]
        said = f"{part['name']}{done}{failed}({json.dumps(part['arguments'])})"
        if result is None:
            return said
        number = "" if result["n"] is None else f" #{result['n']}"
        return f"{said} ->{number} {' | '.join(map(part_text, result['parts']))}"
    if kind == "tool_call_response":
        parts = part["result"]["parts"]
        return f"response {part['id']}: {' | '.join(map(part_text, parts))}"
    return f"[{kind} {part.get('text') or part.get('mime_type') or part.get('json')}]"
