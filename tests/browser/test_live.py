"""What happens elsewhere is seen while it happens, in any number of tabs."""

from __future__ import annotations

import re

import pytest
from browser_kit import Site, Visits
from viewer_kit import recording

expect = pytest.importorskip("playwright.sync_api").expect


def test_eight_tabs_are_live_over_one_stream(own: Site, visit: Visits) -> None:
    """An eval in another process appears in eight tabs of one browser, then is done."""
    first = visit(own.url)
    streams: list[str] = []
    first.context.on(
        "request", lambda each: streams.append(each.url) if "/events" in each.url else 0
    )
    tabs = [first, *(visit(own.url, beside=first) for _ in range(7))]
    with recording(own.store) as running:
        for tab in tabs:
            expect(tab.locator("[aria-rowindex='2']")).to_contain_text("shop:buy")
            expect(tab.locator("[aria-rowindex='2'] .status")).to_have_text("running")
        running.step()
        running.step()
        for tab in tabs:
            row = tab.locator("[aria-rowindex='2']")
            expect(row.locator(".status")).to_have_text("passed")
            expect(row.locator(".reward")).to_have_text("1.00")
        assert running.wait(20) == 0
    assert streams == []  # the first tab had one already, before it was watched


def test_another_tab_listens_when_the_first_has_gone(own: Site, visit: Visits) -> None:
    """Tabs stay live when the one that held the stream is closed."""
    first = visit(own.url)
    second = visit(own.url, beside=first)
    first.close()
    with recording(own.store):
        expect(second.locator("[aria-rowindex='2']")).to_contain_text("shop:buy")


def test_rows_stay_while_one_is_looked_at(own: Site, visit: Visits) -> None:
    """With a row selected nothing moves: what is new is counted, and shown by `.`."""
    page = visit(own.url)
    page.keyboard.press("j")
    link = page.locator("[aria-selected=true] a").get_attribute("href")
    with recording(own.store) as running:
        expect(page.get_by_role("button", name="↑ 1 new")).to_be_visible()
        assert page.locator("[aria-rowindex='2'] a").get_attribute("href") == link
        expect(page.locator(".figures")).to_contain_text("251")
        page.keyboard.press(".")
        first = page.locator("[aria-rowindex='2']")
        expect(first).to_contain_text("shop:buy")
        page.keyboard.press("j")
        running.step()
        running.step()
        expect(first.locator(".status")).to_have_text("passed")  # where it stands


def test_interrupted_episodes_are_marked(own: Site, visit: Visits) -> None:
    """When the process of an eval is killed, its row says so."""
    page = visit(own.url)
    with recording(own.store) as running:
        status = page.locator("[aria-rowindex='2'] .status")
        expect(status).to_have_text("running")
        running.kill()
        running.wait(20)
        expect(status).to_have_text("interrupted", timeout=40_000)


def test_without_locks_tabs_ask_again_and_again(own: Site, visit: Visits) -> None:
    """Where the browser has no locks, pages are live by asking."""
    page = visit.tab()
    page.add_init_script("delete Navigator.prototype.locks")
    page.goto(own.url)
    expect(page.get_by_title(re.compile("live"))).to_be_visible()
    with recording(own.store):
        expect(page.locator("[aria-rowindex='2']")).to_contain_text(
            "shop:buy", timeout=20_000
        )


def test_a_server_that_has_gone_is_told_of(own: Site, visit: Visits) -> None:
    """The frame says that nothing answers, and keeps what it shows."""
    from viewer_kit import viewing

    visit.allow("Failed to load resource")
    visit.allow("ERR_")
    with viewing(own.store) as viewer:
        page = visit(viewer.url)
        expect(page.locator("[aria-rowindex='2']")).to_contain_text("trivia")
        viewer.kill()
        viewer.wait(20)
        expect(page.get_by_text("the server does not answer")).to_be_visible()
        expect(page.locator("[aria-rowindex='2']")).to_contain_text("trivia")
