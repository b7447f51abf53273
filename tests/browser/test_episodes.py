"""The list of episodes: filter, facets, order, selection, keys, and how much it is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from browser_kit import PHONE, Site, Visits, Wire, focused, nodes, settle, violations

expect = pytest.importorskip("playwright.sync_api").expect

MANY, PAGE_BYTES, MOST_NODES = 100_000, 80_000, 1_000


def selected(page: Any) -> Any:
    return page.locator("[role=row][aria-selected=true]")


def figure(page: Any, name: str) -> Any:
    return page.locator(".figures > div").filter(has=page.get_by_text(name, exact=True))


def test_a_hundred_thousand_episodes_are_few_nodes(many: Site, visit: Visits) -> None:
    """The whole list is there with under 1,000 nodes, at its ends and in between."""
    page = visit(many.url)
    expect(figure(page, "Episodes")).to_contain_text("100,000")
    grid = page.get_by_role("grid", name="Episodes")
    expect(grid).to_have_attribute("aria-rowcount", str(MANY + 1))
    assert nodes(page) < MOST_NODES
    grid.focus()
    page.keyboard.press("End")
    last = page.locator(f"[aria-rowindex='{MANY + 1}']")
    expect(last).to_contain_text("trivia:initials")
    assert nodes(page) < MOST_NODES
    page.evaluate("() => { document.querySelector('.vl').scrollTop = 1_400_000 }")
    expect(page.locator("[aria-rowindex='50010']")).to_contain_text("trivia")
    assert nodes(page) < MOST_NODES


def test_the_first_page_is_small(many: Site, visit: Visits) -> None:
    """All of the first page is under 80 KB on the wire, scripts and styles included."""
    page = visit.tab()
    wire = Wire(page)
    page.goto(many.url)
    settle(page)
    expect(page.locator(".facets button").first).to_be_visible()
    assert wire.bytes < PAGE_BYTES, wire.requests
    assert not [each for each in wire.requests if "marked" in each]


def test_rows_are_chosen_by_keys_and_found_again(own: Site, visit: Visits) -> None:
    """`j`, `k`, End and Enter move and open; Back returns to the same row, in sight."""
    page = visit(own.url)
    for key in ("j", "j", "ArrowDown", "k"):
        page.keyboard.press(key)
    expect(selected(page)).to_have_attribute("aria-rowindex", "3")
    page.get_by_role("grid").focus()
    page.keyboard.press("End")
    expect(selected(page)).to_contain_text("trivia:initials")
    row = str(selected(page).get_attribute("aria-rowindex"))
    active = page.get_by_role("grid").get_attribute("aria-activedescendant")
    expect(selected(page)).to_have_attribute("id", active)
    link = selected(page).get_by_role("link").get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(own.url + link)
    page.go_back()
    settle(page)
    expect(selected(page)).to_be_in_viewport()
    expect(selected(page)).to_have_attribute("aria-rowindex", row)
    expect(selected(page).get_by_role("link")).to_have_attribute("href", link)


def test_a_click_anywhere_in_a_row_opens_it(own: Site, visit: Visits) -> None:
    """A row is one link, from end to end, and it is the selected one on return."""
    page = visit(own.url)
    row = page.locator("[aria-rowindex='5']")
    row.click(position={"x": 700, "y": 10})
    page.wait_for_url(re.compile(r"/trace/[0-9a-f]{32}"))
    page.go_back()
    settle(page)
    expect(selected(page)).to_have_attribute("aria-rowindex", "5")


def test_headers_sort(own: Site, visit: Visits) -> None:
    """A header puts the list in its order, then the other way; the URL has it."""
    page = visit(own.url)
    header = page.get_by_role("columnheader", name="Reward")
    header.get_by_role("button").click()
    page.wait_for_url("**/?sort=-reward")
    settle(page)
    expect(header).to_have_attribute("aria-sort", "descending")
    expect(page.locator("[aria-rowindex='2'] .reward")).to_have_text("1.00")
    header.get_by_role("button").click()
    page.wait_for_url("**/?sort=reward")
    settle(page)
    expect(page.locator("[aria-rowindex='2'] .reward")).to_have_text("0.00")
    page.go_back()
    settle(page)
    expect(header).to_have_attribute("aria-sort", "descending")


def test_a_filter_narrows_while_it_is_written(own: Site, visit: Visits) -> None:
    """What is written holds when the writing rests; the URL restores all of it."""
    page = visit(own.url)
    page.keyboard.press("/")
    page.keyboard.type("reward<1 ")
    page.wait_for_url("**/?q=reward%3C1")
    expect(figure(page, "Episodes").locator("b")).not_to_have_text("250")
    few = int(figure(page, "Episodes").locator("b").inner_text())
    assert 0 < few < 250
    expect(page.locator(".behind .term")).to_have_text("reward<1")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert focused(page) == "grid"
    again = visit(page.url)
    expect(again.get_by_role("combobox")).to_have_value("reward<1")
    expect(figure(again, "Episodes").locator("b")).to_have_text(str(few))


def test_what_is_wrong_is_underlined_and_said(own: Site, visit: Visits) -> None:
    """A term that cannot be read is marked and explained; the list stays."""
    page = visit(own.url)
    page.get_by_role("combobox").fill("reward<1 modl:gpt-4o")
    expect(page.locator(".behind .wrong")).to_have_text("modl:gpt-4o")
    field = page.get_by_role("combobox")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#filter-wrong")).to_contain_text("modl")
    assert page.locator("[role=row]").count() > 10
    assert violations(page) == []


def test_fields_and_values_are_offered(own: Site, visit: Visits) -> None:
    """Tab takes a field; arrows and Enter one of its values, which then holds."""
    page = visit(own.url)
    field = page.get_by_role("combobox")
    field.press_sequentially("mode")
    expect(page.get_by_role("option").first).to_contain_text("model")
    assert violations(page) == []
    page.keyboard.press("Tab")
    page.keyboard.type("clau")
    option = page.get_by_role("option", name="claude-sonnet-4")
    expect(page.get_by_role("option")).to_have_count(1)  # the others have gone
    page.keyboard.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=model*claude-sonnet-4")
    settle(page)
    expect(page.locator("[aria-rowindex='2']")).to_contain_text("claude-sonnet-4")


def test_facets_narrow_and_widen(own: Site, visit: Visits) -> None:
    """A facet's value is taken in, a second beside it, and out again; Back undoes it."""
    page = visit(own.url)
    side = page.get_by_role("complementary", name="Narrow down")
    one = side.get_by_role("button", name=re.compile(r"^gpt-4o\s*\d"))
    count = int(one.locator("small").inner_text())
    one.click()
    page.wait_for_url("**/?q=model:gpt-4o")
    settle(page)
    expect(one).to_have_attribute("aria-pressed", "true")
    expect(figure(page, "Episodes").locator("b")).to_have_text(str(count))
    side.get_by_role("button", name="claude-sonnet-4").click()
    page.wait_for_url("**/?q=model:gpt-4o,claude-sonnet-4")
    one.click()
    page.wait_for_url("**/?q=model:claude-sonnet-4")
    page.go_back()
    page.go_back()
    page.wait_for_url("**/?q=model:gpt-4o")
    expect(page.get_by_role("combobox")).to_have_value("model:gpt-4o")


def test_facets_are_a_drawer_on_phones(own: Site, visit: Visits) -> None:
    """On a phone the facets come when they are asked for; rows have two lines."""
    page = visit(own.url, size=PHONE)
    page.get_by_role("button", name="Narrow down").click()
    drawer = page.get_by_role("dialog", name="Narrow down")
    drawer.get_by_role("button", name="claude-sonnet-4").click()
    assert violations(page) == []
    drawer.get_by_role("button", name="Done").click()
    expect(drawer).to_have_count(0)
    settle(page)
    expect(page.locator(".two-lines").first).to_contain_text("claude-sonnet-4")


def test_two_that_are_marked_are_compared(own: Site, visit: Visits) -> None:
    """`x` marks, `c` compares: the URL has both episodes."""
    page = visit(own.url)
    links = []
    for _ in range(2):
        page.keyboard.press("j")
        page.keyboard.press("x")
        links.append(selected(page).get_by_role("link").get_attribute("href"))
    expect(page.get_by_text("2 marked")).to_be_visible()
    assert violations(page) == []
    one, two = (re.findall("[0-9a-f]{32}", link)[0] for link in links)
    page.keyboard.press("c")
    page.wait_for_url(f"{own.url}/diff/{one}...{two}")


def test_a_store_without_episodes_says_how_to_begin(empty: Site, visit: Visits) -> None:
    """With nothing stored there is an example to copy."""
    page = visit(empty.url)
    expect(page.get_by_role("heading", name="No episodes yet")).to_be_visible()
    page.get_by_role("button", name="Copy the example").click()
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert "traced_eval" in copied
    assert violations(page) == []


def test_a_filter_that_leaves_nothing_says_what_to_take_away(
    own: Site, visit: Visits
) -> None:
    """Each term is offered to be taken away, with how many episodes there are then."""
    page = visit(own.url + "/?q=env:trivia%20model:nobody")
    expect(page.get_by_role("heading", name="No episode matches")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name=re.compile("model:nobody.*250 episodes")).click()
    page.wait_for_url("**/?q=env:trivia")
    settle(page)
    expect(figure(page, "Episodes")).to_contain_text("250")


def test_what_is_not_known_is_not_nought(shop: Site, visit: Visits) -> None:
    """A cost that is not known is a dash that says why; so is a missing reward."""
    page = visit(shop.url + "/?q=trace:" + shop.ids["nothing"])
    row = page.locator("[aria-rowindex='2']")
    expect(row.get_by_title("price unknown")).to_have_text("–")
    expect(row.locator(".reward")).to_have_text("–")
    assert "not scored" in str(row.locator(".reward").get_attribute("title"))


def test_what_a_model_wrote_is_text(shop: Site, visit: Visits) -> None:
    """Script tags in names, arguments and answers are shown, not run."""
    page = visit(shop.url + "/?q=%22%3Cscript%3Ealert(1)%3C/script%3E%22")
    expect(page.locator(".vl-row").filter(has_text="what=rubbish")).not_to_have_count(0)
    expect(page.locator(".behind")).to_contain_text("<script>alert(1)</script>")
    for path in ("/search?q=alert", f"/trace/{shop.ids['rubbish']}"):
        page.goto(shop.url + path)
        settle(page)
        expect(page.locator("main")).to_contain_text("<script>alert(1)</script>")
