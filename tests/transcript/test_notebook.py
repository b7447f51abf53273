"""Results in notebooks: small, self-contained, and nothing in them acts."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from typing import Any

import pytest

import hudtrace as hud
from hudtrace.testing import call, say

HOSTILE = (
    "</td></table><script>alert(1)</script><img src=x onerror=alert(2)> | "
    "```\n# owned ![x](http://evil.test/p.png) \x1b[2J \ud800"
)


class Tags(HTMLParser):
    """Collects the tags of HTML with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def is_harmless(shown: str) -> bool:
    """Say whether HTML loads nothing, runs nothing, and is small."""
    parsed = Tags()
    parsed.feed(shown)
    shown.encode("utf-8")
    names = {tag for tag, _ in parsed.tags}
    assert names <= {
        *("div", "b", "br", "span", "a", "table", "thead", "tbody", "tr", "th", "td"),
        *("pre", "details", "summary"),
    }
    for _, attributes in parsed.tags:
        assert set(attributes) <= {"style", "href", "target", "rel"}
        assert "url(" not in str(attributes.get("style"))
        assert str(attributes.get("href", "http")).startswith("http")
    return len(shown) < 50_000


@pytest.fixture
async def result(agent: Any) -> hud.EvalResult:
    """A result in which everything is hostile, and long."""
    env = hud.Environment("hostile")

    @env.tool()
    def look() -> str:
        return HOSTILE * 50

    @env.scenario("s")
    async def scenario() -> Any:
        yield HOSTILE
        yield hud.Grade(0.5, explanation=HOSTILE)

    worker = agent(*[call(("look", {}))] * 20, say("done"))
    async with hud.eval(env("s")) as ctx:
        await worker.work(ctx, "begin")
        await ctx.submit(HOSTILE * 100)
    return ctx.result


async def test_result(result: hud.EvalResult) -> None:
    """A result has its reward, why, its conversation, and a link to its trace."""
    shown = result._repr_html_()
    assert is_harmless(shown)
    for piece in ("hostile:s", "0.5", "scored", "conversation", "look({})", "begin"):
        assert piece in shown
    assert f"{result.trace_id}' target='_blank' rel='noopener'" in shown


async def test_result_as_markdown(result: hud.EvalResult) -> None:
    """The Markdown of a result is a table, whose cells hold, and a fenced answer."""
    shown = result._repr_markdown_()
    shown.encode("utf-8")
    markdown_it = pytest.importorskip("markdown_it")
    tokens = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table")
    inner = list(
        itertools.chain.from_iterable(
            [token, *(token.children or ())] for token in tokens.parse(shown)
        )
    )
    kinds = [token.type for token in inner]
    assert not {"html_block", "html_inline", "image"} & set(kinds)
    assert kinds.count("link_open") == 1
    assert kinds.count("fence") == 1
    assert f"]({''}<{result.trace_url}>)" in shown
    assert "reward 0.5" in shown


async def test_a_result_without_a_store(task: hud.Task) -> None:
    """A result without a conversation, a reward or a store is shown as well."""
    hud.configure(store="off", quiet=True)
    with pytest.raises(KeyError):
        async with hud.eval(task) as ctx:
            raise KeyError("gone")
    shown = ctx.result._repr_html_()
    assert is_harmless(shown)
    assert "none" in shown
    assert "KeyError" in shown
    assert "conversation" not in shown


async def test_job(env: hud.Environment, store: Any) -> None:
    """A job has its figures and a row for each episode, as many as fit."""

    @hud.traced_eval(
        [env("initials", company=f"{HOSTILE[:90]}{n}") for n in range(150)]
    )
    async def agent_of_job(ctx: hud.EvalContext) -> None:
        await ctx.submit("JR")

    job = await agent_of_job()
    shown = job._repr_html_()
    assert is_harmless(shown)
    rows = shown.count("<tr>") - 1
    assert 20 < rows <= 150
    assert rows == 150 or f"… {150 - rows} more" in shown
    assert "over 150 episodes" in shown
    text = job._repr_markdown_()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 152
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 9 for line in lines)
