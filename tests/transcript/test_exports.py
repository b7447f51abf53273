"""An episode as a file: Markdown, one HTML page, Chrome trace events. Nothing acts."""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

import hudtrace as hud
from hudtrace.testing import call, say
from hudtrace.transcript import markdown, page, perfetto

Db = Callable[[], sqlite3.Connection]
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
HOSTILE = (
    "</script><script>alert(1)</script></pre><img src=x onerror=alert(2)>\n"
    "```\n# owned\n![x](http://evil.test/p.png)\n````\n~~~\n"
    "[click](javascript:alert(3)) \x1b]0;title\x07 \x00 \u202e \ud800 <!-- --> ]]>"
)
HUD = ("lookup_ceo", {"company": "HUD"})


@pytest.fixture
async def episode(agent: Any, task: hud.Task) -> str:
    """An episode with a tool call, and a judge's explanation."""
    worker = agent(call(HUD, text="I look."), say("JR"))
    async with hud.eval(task) as ctx:
        system = {"role": "system", "content": "Be brief."}
        await ctx.submit(await worker.work(ctx, system, str(ctx.prompt)))
    return ctx.result.trace_id


@pytest.fixture
async def hostile(agent: Any) -> str:
    """An episode in which everything that can be said is hostile."""
    env = hud.Environment("hostile")

    @env.tool()
    def look(x: str) -> str:
        return HOSTILE

    @env.scenario("s")
    async def scenario(x: str) -> Any:
        yield HOSTILE
        yield hud.Grade(0.5, explanation=HOSTILE)

    safe = HOSTILE.replace("\ud800", "")
    worker = agent(call(("look", {"x": safe}), text=safe), say(safe))
    image = {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{PIXEL}"},
    }
    svg = {
        "type": "image_url",
        "image_url": {"url": "data:image/svg+xml,<svg onload=x>"},
    }
    async with hud.eval(env("s", x=safe)) as ctx:
        prompt = [{"type": "text", "text": safe}, image, svg]
        await worker.work(ctx, {"role": "user", "content": prompt})
        await ctx.submit(HOSTILE)
    return ctx.result.trace_id


async def test_markdown(episode: str, db: Db) -> None:
    """The Markdown of an episode, as a reviewer reads it."""
    text = markdown.text(db(), episode)
    text = re.sub(r"\d+ ms|\d+\.\d s", "TIME", text)
    text = re.sub(r"\d+ (in, \d+ out|\+ \d+ tokens)", "TOKENS", text)
    text = re.sub(r"\| (trace|started) \| [^|]+ \|", r"| \1 | … |", text)
    assert text == GOLDEN


GOLDEN = """\
# trivia:initials(company=HUD)

| | |
|---|---|
| trace | … |
| reward | 1 |
| outcome | scored |
| model | scripted-1 |
| agent | agent |
| task | trivia:initials:36b55faca702 |
| started | … |
| took | TIME |
| turns | 2 |
| tool calls | 1, 0 failed |
| tokens | TOKENS |

## chat scripted-1 — agent, turn 1

TIME; TOKENS

**system** \\#1

```text
Be brief.
```

**user** \\#2

```text
What are the initials of the CEO of HUD?
```

**assistant** \\#3

```text
I look.
```

→ lookup\\_ceo (TIME)

```json
{
  "company": "HUD"
}
```

← result \\#4

```text
Jay Ram
```

## chat scripted-1 — agent, turn 2

1 new after 3 messages; TIME; TOKENS

**assistant** \\#5

```text
JR
```

## Answer

```text
JR
```

## reward: 1 (pass)

by trivia:initials (code)
"""


async def test_hostile_markdown(hostile: str, db: Db) -> None:
    """All that was said is in fences which it cannot close, or has its signs escaped."""
    markdown_it = pytest.importorskip("markdown_it")
    tokens = markdown_it.MarkdownIt("commonmark", {"html": True}).parse(
        markdown.text(db(), hostile)
    )
    text = markdown.text(db(), hostile)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e\ud800]", text)
    inner = [child for token in tokens for child in token.children or ()]
    kinds = {token.type for token in [*tokens, *inner]}
    assert kinds.isdisjoint({"html_block", "html_inline", "image", "link_open"})
    headings = [
        token.content
        for before, token in itertools.pairwise(tokens)
        if before.type == "heading_open"
    ]
    assert not any(heading.startswith("owned") for heading in headings)
    assert (
        sum("# owned" in token.content for token in tokens if token.type == "fence")
        >= 5
    )


class Tags(HTMLParser):
    """Collects the tags of a page with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.script = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script":
            self.script += data


async def test_hostile_page(hostile: str, db: Db) -> None:
    """The page has no script that runs, loads nothing, and links only within itself."""
    text = page.html(db(), hostile)
    text.encode("utf-8")
    parsed = Tags()
    parsed.feed(text)
    scripts = [attributes for tag, attributes in parsed.tags if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "data"}]
    for tag, attributes in parsed.tags:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        if tag == "a":
            assert str(attributes["href"]).startswith("#")
        if tag == "img":
            assert attributes["src"] == f"data:image/png;base64,{PIXEL}"
    assert [tag for tag, _ in parsed.tags].count("img") == 1
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", text.partition('id="data"')[0])
    policies = [
        a["content"] for t, a in parsed.tags if t == "meta" and "http-equiv" in a
    ]
    assert str(policies[0]).startswith("default-src 'none'; style-src 'unsafe-inline';")
    data = json.loads(parsed.script)
    assert "alert(1)" in json.dumps(data["items"])


async def test_page(episode: str, db: Db) -> None:
    """The page says what came of it, all of the conversation, and when each span was."""
    text = page.html(db(), episode)
    for said in (
        "reward 1",
        "Be brief.",
        "I look.",
        "Jay Ram",
        "execute_tool lookup_ceo",
    ):
        assert said in text
    ids = set(re.findall(r'id="([a-z0-9]+)"', text))
    links = set(re.findall(r'href="#([a-z0-9]+)"', text))
    assert {"m1", "m2", "m3", "m4", "m5", "i0"} <= ids
    assert links <= ids
    assert "color-scheme:light dark" in text
    assert "@media print" in text


async def test_trace_events(hostile: str, episode: str, db: Db) -> None:
    """Chrome trace events: each span once, and on one lane only one inside the other."""
    for trace_id in (episode, hostile):
        found = json.loads(json.dumps(perfetto.trace_events(db(), trace_id)))
        spans = [event for event in found["traceEvents"] if event["ph"] == "X"]
        ids = {event["args"]["span_id"] for event in spans}
        assert len(ids) == len(spans) > 5
        for one in spans:
            for other in spans:
                if one["tid"] == other["tid"] and one["ts"] < other["ts"]:
                    ends = one["ts"] + one["dur"], other["ts"] + other["dur"]
                    assert other["ts"] >= ends[0] - 0.002 or ends[1] <= ends[0] + 0.002


async def test_a_very_long_result(agent: Any, db: Db) -> None:
    """A result of megabytes is cut in a page of the conversation, whole in a file."""
    from hudtrace.transcript import conversation

    env = hud.Environment("long")

    @env.tool()
    def look() -> str:
        return "x" * 5_000_000 + "END"

    @env.scenario("s")
    async def scenario() -> Any:
        yield "Go."
        yield 1.0

    worker = agent(call(("look", {})), say("done"))
    async with hud.eval(env("s")) as ctx:
        await worker.work(ctx, str(ctx.prompt))
    reader = db()
    found = conversation.read(reader, ctx.result.trace_id)
    items = conversation.page(reader, found, 0, 10)
    asked = items[0]["new"][-1]["parts"][0]
    (part,) = asked["result"]["parts"]
    assert len(part["text"]) == 20_480 < part["length"]
    assert part["href"].startswith("/api/hud/v1/message/")
    assert len(json.dumps(items)) < 60_000
    assert len(markdown.text(reader, ctx.result.trace_id)) > part["length"]
