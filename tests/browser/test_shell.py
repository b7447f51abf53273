"""The frame of every page: where one can go, by pointer and by keys; themes."""

from __future__ import annotations

import re

import pytest
from browser_kit import PHONE, Site, Visits, settle, violations

expect = pytest.importorskip("playwright.sync_api").expect

PAGES = ["/", "/jobs", "/traces", "/search?q=bread", "/setup", "/nowhere"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_pages_are_accessible(shop: Site, visit: Visits, path: str, dark: bool) -> None:
    """Nothing is found by axe against WCAG A and AA, in both themes."""
    visit.allow("404")
    page = visit(shop.url + path, dark=dark)
    assert violations(page) == []


@pytest.mark.parametrize("path", PAGES)
def test_pages_fit_a_phone(shop: Site, visit: Visits, path: str) -> None:
    """Nothing makes a page wider than the screen of a phone, and axe finds nothing."""
    visit.allow("404")
    page = visit(shop.url + path, size=PHONE)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= PHONE[0]
    assert violations(page) == []


def test_going_by_keys(shop: Site, visit: Visits) -> None:
    """`g` and a letter go to each page; Back and Forward return."""
    page = visit(shop.url)
    for key, path in (("j", "/jobs"), ("t", "/traces"), ("s", "/search")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_url(shop.url + path)
        page.keyboard.press("Escape")  # search begins in its field
    page.go_back()
    page.wait_for_url(shop.url + "/traces")
    page.go_forward()
    page.wait_for_url(shop.url + "/search")
    expect(page).to_have_title("Search · hudtrace")


def test_keys_are_left_to_fields_and_to_the_browser(shop: Site, visit: Visits) -> None:
    """A key does nothing with a modifier, nor where text is written."""
    page = visit(shop.url)
    page.keyboard.press("Alt+m")
    page.keyboard.press("/")
    page.keyboard.type("m?")
    assert page.evaluate("() => document.documentElement.dataset.theme") is None
    assert page.locator("dialog").count() == 0
    expect(page.get_by_role("combobox")).to_have_value("m?")


def test_help_is_made_of_the_keys(shop: Site, visit: Visits) -> None:
    """`?` lists what can be pressed here, and Escape closes it."""
    page = visit(shop.url)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard")
    expect(dialog).to_contain_text("compare the two that are marked")
    expect(dialog).to_contain_text("next row")
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_the_palette_finds_pages_and_traces(shop: Site, visit: Visits) -> None:
    """Ctrl+K goes to a page by its name, and to a trace by any way to write its id."""
    page = visit(shop.url)
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Go to").fill("setup")
    assert violations(page) == []
    page.keyboard.press("Enter")
    page.wait_for_url(shop.url + "/setup")
    trace = shop.ids["bread"]
    for written in (trace, trace.upper(), f"00-{trace}-00f067aa0ba902b7-01"):
        page.goto(shop.url + "/setup")
        settle(page)
        page.keyboard.press("Control+k")
        page.get_by_role("combobox", name="Go to").fill(written)
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(f"/trace/{trace}"))


def test_the_theme_is_kept(shop: Site, visit: Visits) -> None:
    """`m` turns the theme; it holds in a new page, and `?theme=` for one view."""
    page = visit(shop.url)
    page.keyboard.press("m")
    page.keyboard.press("m")
    scheme = "() => getComputedStyle(document.documentElement).colorScheme"
    assert page.evaluate(scheme) == "dark"
    other = visit(shop.url + "/setup", beside=page)
    assert other.evaluate(scheme) == "dark"
    forced = visit(shop.url + "/setup?theme=light", beside=page)
    assert forced.evaluate(scheme) == "light"


def test_the_link_to_a_view_is_copied(shop: Site, visit: Visits) -> None:
    """`y` copies the address with all of the view's state, and says so."""
    page = visit(shop.url + "/?q=reward%3C1&sort=reward")
    page.keyboard.press("y")
    expect(page.get_by_text("Link copied")).to_be_visible()
    assert page.evaluate("() => navigator.clipboard.readText()") == page.url


def test_nothing_is_there(shop: Site, visit: Visits) -> None:
    """An unknown address says so in words, and leads on."""
    visit.allow("404")
    page = visit(shop.url + "/nowhere")
    expect(page.get_by_role("heading")).to_have_text("There is nothing here")
    page.get_by_role("main").get_by_role("link", name="Episodes").click()
    page.wait_for_url(shop.url + "/")
