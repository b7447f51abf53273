"""Two episodes side by side: what is the same, what is not, and what that made of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browser_kit import PHONE, Site, Visits, nodes, settle, violations
from made_episode import Made, long, short, text, tool_call, tool_result
from viewer_kit import viewing

expect = pytest.importorskip("playwright.sync_api").expect

MOST_NODES = 1_500


def other() -> Made:
    """The short episode, with other arguments, a call less, and another answer."""
    made = Made(12, reward=0.0)
    ask = text("user", "What are the initials of the CEO of HUD?")
    asked = tool_call(
        "c1", "lookup_ceo", {"company": "Hud", "year": 2026}, "I look it up."
    )
    made.turn(text("system", "Be careful."), ask, answer=asked)
    made.turn(tool_result("c1", "Jay Ram"), answer=text("assistant", "**JM**, I think"))
    return made


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A viewer of episodes to compare."""
    store = tmp_path_factory.mktemp("pairs") / "traces.db"
    ids = {
        "right": short(11).write(store),
        "wrong": other().write(store, "got 'JM'"),
        "again": short(13).write(store),
        "long": long(700, seed=2_000).write(store),
        "longer": long(900, seed=3_000).write(store),
    }
    with viewing(store) as viewer:
        yield Site(viewer.url.rstrip("/"), store, ids)


@pytest.fixture
def compare(pairs: Site, visit: Visits) -> Any:
    """Open a comparison: `compare("right", "wrong")`."""

    def open_page(a: str, b: str, **options: Any) -> Any:
        return visit(f"{pairs.url}/diff/{pairs.ids[a]}...{pairs.ids[b]}", **options)

    return open_page


def test_differences_are_side_by_side(compare: Any) -> None:
    """Words that differ are marked, arguments by their path, what only one has is so."""
    page = compare("right", "wrong")
    rows = page.locator(".diff-row")
    expect(rows.locator("del", has_text="JR").first).to_be_visible()
    expect(rows.locator("ins", has_text="JM").first).to_be_visible()
    places = page.locator(".diff-args dt")
    assert {"company", "year"} <= set(places.all_text_contents())
    expect(page.locator(".diff-row.removed").first).to_contain_text("only in A")


def test_the_rail_says_what_it_came_to(compare: Any) -> None:
    """Each figure of both, and the difference, with its sign."""
    rail = compare("right", "wrong").get_by_role("complementary", name="Figures")
    expect(rail.get_by_role("row", name="reward")).to_contain_text("−1.00")
    expect(rail.get_by_role("row", name="turns")).to_contain_text("−1")
    expect(rail.get_by_role("row", name="cost")).to_contain_text("–")


def test_what_is_the_same_is_folded(compare: Any) -> None:
    """A run of the same is one line, and all of it after a click."""
    page = compare("right", "again")
    folded = page.locator(".diff-same").first
    expect(folded).to_contain_text("same")
    before = page.locator(".diff-row").count()
    folded.click()
    expect(page.locator(".diff-row.same").first).to_be_visible()
    assert page.locator(".diff-row").count() > before


def test_differences_are_walked_through(compare: Any) -> None:
    """The keys n and p go from one to the next, 1 to the first; the URL keeps the place."""
    page = compare("right", "wrong")
    status = page.locator(".diff-steps")
    page.keyboard.press("n")
    expect(status).to_contain_text("difference 1 of")
    page.keyboard.press("n")
    expect(status).to_contain_text("difference 2 of")
    expect(page.locator(".block.picked")).to_be_in_viewport()
    page.reload()
    settle(page)
    expect(status).to_contain_text("difference 2 of")
    page.keyboard.press("1")
    expect(status).to_contain_text("difference 1 of")
    page.keyboard.press("p")
    expect(status).not_to_contain_text("difference 1 of")


def test_sides_are_swapped(compare: Any, pairs: Site) -> None:
    """The key s changes A and B; Back changes them again."""
    page = compare("right", "wrong")
    page.keyboard.press("s")
    page.wait_for_url(f"**/diff/{pairs.ids['wrong']}...{pairs.ids['right']}")
    expect(page.get_by_role("row", name="reward")).to_contain_text("+1.00")
    page.go_back()
    expect(page.get_by_role("row", name="reward")).to_contain_text("−1.00")


def test_another_episode_is_chosen_by_its_id(compare: Any, pairs: Site) -> None:
    """A trace id, pasted, takes the place of one side."""
    page = compare("right", "wrong")
    page.get_by_role("button", name="Another").last.click()
    field = page.get_by_role("searchbox")
    expect(field).to_be_focused()
    field.fill(pairs.ids["again"])
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/diff/{pairs.ids['right']}...{pairs.ids['again']}")


def test_another_episode_is_chosen_from_a_list(compare: Any, pairs: Site) -> None:
    """Episodes of the same scenario are offered; a filter narrows them."""
    page = compare("right", "wrong")
    page.get_by_role("button", name="Another").first.click()
    offered = page.locator(".diff-pick li")
    expect(offered).to_have_count(4)
    page.get_by_role("searchbox").fill("turns>800")
    expect(offered).to_have_count(1)
    offered.get_by_role("button").click()
    page.wait_for_url(f"**/diff/{pairs.ids['longer']}...{pairs.ids['wrong']}")


def test_a_row_leads_into_its_episode(compare: Any, pairs: Site) -> None:
    """The place of a row is a link to the span in its episode."""
    page = compare("right", "wrong")
    page.locator(".diff-row.changed .in-b .diff-who a").first.click()
    page.wait_for_url(f"**/trace/{pairs.ids['wrong']}?span=*")
    expect(page.locator(".picked").first).to_be_visible()


def test_long_episodes_are_few_nodes(compare: Any) -> None:
    """Of hundreds of turns only what is in view is drawn, there and at the end."""
    page = compare("long", "longer")
    assert nodes(page) < MOST_NODES
    page.locator(".diff-rows").focus()
    for _ in range(4):
        page.keyboard.press("n")
        expect(page.locator(".block.picked")).to_be_in_viewport()
        assert nodes(page) < MOST_NODES


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_has_no_barriers(compare: Any, dark: bool) -> None:
    """There is nothing that axe finds nothing, in both themes."""
    page = compare("right", "wrong", dark=dark)
    page.keyboard.press("n")
    assert violations(page) == []


def test_a_phone_is_wide_enough(compare: Any) -> None:
    """Nothing is wider than a phone."""
    page = compare("right", "wrong", size=PHONE)
    wide = "() => document.documentElement.scrollWidth > innerWidth"
    assert not page.evaluate(wide)
    assert violations(page) == []
