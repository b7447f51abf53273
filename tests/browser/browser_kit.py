"""A real Chromium on a real viewer; whatever it complains of fails the test."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from hudtrace.store import fold
from hudtrace.store.rows import Batch, Source
from hudtrace.store.store import Store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

HERE = Path(__file__).parent
STATIC = HERE.parent.parent / "hudtrace" / "viewer" / "static"
AXE = HERE / "vendor" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21aa"]
DESKTOP, PHONE = (1440, 900), (390, 800)
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Site(NamedTuple):
    """A viewer: where it is, what it reads, and the ids of what is in there."""

    url: str
    store: Path
    ids: dict[str, str]


def chromium_path(own: str) -> str | None:
    """Return where a Chromium is: the system's, or Playwright's *own*."""
    found = filter(None, map(shutil.which, _NAMES))
    return next(found, None) or (own if Path(own).exists() else None)


class Visits:
    """Tabs of one browser; what goes wrong in any of them is in `faults`."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._allowed: list[str] = []
        self.faults: list[str] = []

    def __call__(
        self,
        url: str,
        *,
        dark: bool = False,
        size: tuple[int, int] = DESKTOP,
        beside: Page | None = None,
        **options: Any,
    ) -> Page:
        """Open *url* in a browser of its own, or in the one of *beside*."""
        page = self.tab(dark=dark, size=size, beside=beside, **options)
        page.goto(url)
        settle(page)
        return page

    def tab(
        self,
        *,
        dark: bool = False,
        size: tuple[int, int] = DESKTOP,
        beside: Page | None = None,
        **options: Any,
    ) -> Page:
        """Open a tab with nothing in it."""
        context = beside.context if beside else self._context(dark, size, options)
        page = context.new_page()
        page.on("dialog", lambda said: self.faults.append(f"a dialog: {said.message}"))
        return page

    def allow(self, text: str) -> None:
        """Take complaints that contain *text* for expected."""
        self._allowed.append(text)

    def close(self) -> None:
        """Close all tabs; fail if any of them has complained."""
        for context in self._contexts:
            context.close()
        faults = [f for f in self.faults if not any(a in f for a in self._allowed)]
        assert not faults, "the browser complains: " + "; ".join(faults)

    def _context(
        self, dark: bool, size: tuple[int, int], options: dict[str, Any]
    ) -> BrowserContext:
        context = self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            permissions=["clipboard-read", "clipboard-write"],
            **options,
        )
        context.set_default_timeout(20_000)
        context.on("console", self._said)
        context.on("weberror", lambda each: self.faults.append(str(each.error)))
        context.on("request", lambda request: self._left(request.url))
        self._contexts.append(context)
        return context

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.text} ({message.location['url']})")

    def _left(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.hostname != "127.0.0.1" and parts.scheme not in ("data", "blob"):
            self.faults.append(f"a request left this machine: {url}")


def settle(page: Page) -> None:
    """Wait until a page has drawn what it asked for."""
    page.wait_for_function(
        "() => document.querySelector('main > *') "
        "&& !document.querySelector('.spinner, [aria-busy=true]')"
    )


def violations(page: Page) -> list[str]:
    """Return what axe finds against WCAG A and AA on the page as it is now."""
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate(
        """async (rules) => (await axe.run({runOnly: rules})).violations.map(
            (each) => each.id + ": " + each.nodes.map(
                (node) => node.target + " " + node.failureSummary).join(" | "))""",
        RULES,
    )
    return list(found)


def nodes(page: Page) -> int:
    """Return how many elements the page has."""
    return int(page.evaluate("() => document.querySelectorAll('*').length"))


class Wire:
    """Counts the bytes that come in over the network, headers and all."""

    def __init__(self, page: Page) -> None:
        self.bytes = 0
        self.requests: list[str] = []
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.loadingFinished", self._finished)
        session.on("Network.requestWillBeSent", self._sent)

    def _finished(self, event: dict[str, Any]) -> None:
        self.bytes += int(event["encodedDataLength"])

    def _sent(self, event: dict[str, Any]) -> None:
        self.requests.append(event["request"]["url"])


def focused(page: Page) -> str:
    """Return the role or the name of the element that has the focus."""
    return str(
        page.evaluate(
            "() => document.activeElement.getAttribute('role') "
            "|| document.activeElement.tagName.toLowerCase()"
        )
    )


# Stores ---------------------------------------------------------------------------------

MODELS = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4", "gemini-2.5-flash")
COMPANIES = ("HUD", "OpenAI", "Anthropic", "Stripe", "Nvidia", "Shopify")


def fill(path: Path, episodes: int, spans: int = 1) -> None:
    """Write that many finished episodes, the newest now, one every 7 seconds."""
    import time

    from hudtrace.delivery.otlp import SpanEncoder

    encoder, pick = SpanEncoder(), random.Random(7)
    body = encoder.attributes({"hud.env.name": "trivia"})
    store, now = Store(path), time.time_ns()
    source = Source(b"s" * 16, b"", b"", None)
    for first in range(0, episodes, 2000):
        batch = Batch(sources={source.key: source})
        for number in range(first, min(first + 2000, episodes)):
            start = now - (episodes - number) * 7 * 10**9
            _episode(batch, source.key, body, start, spans, number, pick)
        store.write(batch)
    store.close()


def _episode(
    batch: Batch,
    source: bytes,
    body: bytes,
    start: int,
    spans: int,
    number: int,
    pick: random.Random,
) -> None:
    trace, root = os.urandom(16), os.urandom(8)
    end = start + pick.randrange(10**8, 5 * 10**9)
    for span in range(spans):
        span_id, parent = (os.urandom(8), root) if span else (root, None)
        name = f"execute_tool {span}" if span else "eval trivia:initials"
        row = (trace, span_id, parent, name, start + span, end)
        rest = (0, None, None, None, None, None, None, None)
        batch.spans.append((*row, *rest, source, body))
    facts: dict[str, Any] = dict.fromkeys(fold.COLUMNS)
    company = pick.choice(COMPANIES)
    batch.episodes[trace] = facts | {
        "trace_id": trace,
        "root_id": root,
        "name": "trivia:initials",
        "env": "trivia",
        "scenario": "initials",
        "args": f'{{"company": "{company}", "number": {number}}}',
        "start": start,
        "end": end,
        "model": pick.choice(MODELS),
        "first_reward": pick.choice((1.0, 1.0, 1.0, 0.5, 0.0)),
        "outcome": "scored",
        "failure": "none",
        "input_tokens": pick.randrange(200, 9000),
        "output_tokens": pick.randrange(5, 900),
        "cost": 0.01,
        "turns": pick.randrange(1, 9),
    }


Visit = Callable[..., "Page"]
