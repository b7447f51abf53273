"""Jobs, traces, search, setup, and the choice between traces that begin alike."""

from __future__ import annotations

import re
from typing import Any

import pytest
from browser_kit import PHONE, Site, Visits, settle, violations
from viewer_kit import recording

expect = pytest.importorskip("playwright.sync_api").expect


def view(page: Any, name: str) -> None:
    page.get_by_role("tab", name=re.compile(name)).click()
    settle(page)


def test_jobs_are_listed(shop: Site, visit: Visits) -> None:
    """A job has its figures in one row, which opens it."""
    page = visit(shop.url + "/jobs")
    row = page.get_by_role("row").filter(has_text=shop.ids["job"])
    expect(row).to_contain_text("6/6")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/job/"))


def test_a_job_has_its_figures_and_episodes(shop: Site, visit: Visits) -> None:
    """The figures of a job, and its own episodes, which can be filtered further."""
    page = visit(f"{shop.url}/job/{shop.ids['job']}")
    expect(page.locator(".job-head")).to_contain_text("0.667")
    expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", "7")
    page.get_by_role("combobox").fill("reward<1")
    page.wait_for_url("**/job/*?q=reward%3C1")
    settle(page)
    expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", "3")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/trace/.*q=job"))
    page.go_back()
    expect(page.get_by_role("combobox")).to_have_value("reward<1")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_views_of_a_job(shop: Site, visit: Visits, dark: bool) -> None:
    """Tasks with their repeats, what differs, tools and errors: each by a key."""
    page = visit(f"{shop.url}/job/{shop.ids['job']}", dark=dark)
    page.keyboard.press("2")
    page.wait_for_url("**?view=tasks")
    expect(page.get_by_role("grid", name="Tasks")).to_contain_text("pass@2")
    row = page.get_by_role("row").filter(has_text="rubbish")
    expect(row).to_contain_text("0.00")
    expect(row.locator(".repeats a")).to_have_count(2)
    assert violations(page) == []
    page.keyboard.press("3")
    settle(page)
    expect(page.get_by_role("main")).to_contain_text("4 episodes with a reward of 1")
    assert violations(page) == []
    page.keyboard.press("4")
    settle(page)
    expect(page.get_by_role("heading", name="Errors")).to_be_visible()
    assert violations(page) == []
    page.go_back()
    page.go_back()
    page.wait_for_url("**?view=tasks")


def test_a_task_leads_to_its_repeats(shop: Site, visit: Visits) -> None:
    """A row of the tasks opens the episodes of that task, in that job."""
    page = visit(f"{shop.url}/job/{shop.ids['job']}?view=tasks")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/job/.*\?q=task"))
    settle(page)
    expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", "3")


def test_a_job_that_is_not_there(shop: Site, visit: Visits) -> None:
    """An unknown job says so."""
    visit.allow("404")
    page = visit(f"{shop.url}/job/nobody-knows")
    expect(page.get_by_role("heading", name="No such job")).to_be_visible()


def test_a_job_is_live(own: Site, visit: Visits) -> None:
    """A job's figures change while it runs."""
    with recording(own.store) as running:
        page = visit(f"{own.url}/jobs")
        row = page.get_by_role("row").filter(has_text="by-steps")
        expect(row).to_contain_text("0/1")
        running.step()
        running.step()
        expect(row).to_contain_text("1/1")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_job_that_was_cut_off(own: Site, visit: Visits, dark: bool) -> None:
    """A job whose process was killed says so, in the list and on its page."""
    with recording(own.store) as running:
        page = visit(f"{own.url}/jobs", dark=dark)
        row = page.get_by_role("row").filter(has_text="by-steps")
        expect(row).to_contain_text("0/1")
        running.kill()
    expect(row).to_contain_text("interrupted · 1 cut off", timeout=40_000)
    assert violations(page) == []
    page.goto(f"{own.url}/job/by-steps")
    expect(page.locator(".job-head")).to_contain_text("interrupted · 1 cut off")


def test_traces_by_service_name_and_errors(shop: Site, visit: Visits) -> None:
    """All traces, narrowed by name and by errors; the URL has it, Back returns."""
    page = visit(shop.url + "/traces")
    rows = page.locator(".vl-row")
    expect(rows.first).to_be_visible()
    every = rows.count()
    page.get_by_label("With errors only").check()
    page.wait_for_url("**/traces?errors=true")
    settle(page)
    expect(rows).not_to_have_count(every)
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("no such span")
    page.wait_for_url("**name=no+such+span*")
    expect(page.get_by_role("heading", name="No trace matches")).to_be_visible()
    assert violations(page) == []


def test_a_trace_opens_by_keys(shop: Site, visit: Visits) -> None:
    """`j` and Enter open a trace; Back returns to its row."""
    page = visit(shop.url + "/traces")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/trace/"))
    page.go_back()
    settle(page)
    chosen = page.locator("[aria-selected=true]")
    expect(chosen).to_have_attribute("aria-rowindex", "3")


def test_search_finds_what_was_said(shop: Site, visit: Visits) -> None:
    """Hits are grouped by episode, their words marked; a hit leads to its place."""
    page = visit(shop.url + "/search")
    page.keyboard.type("bread")  # the field has the focus
    page.wait_for_url("**/search?q=bread")
    settle(page)
    expect(page.locator(".group mark").first).to_have_text("bread")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/trace/[0-9a-f]{32}[?#]"))
    page.go_back()
    page.wait_for_url("**/search?q=bread")


def test_search_in_one_place(shop: Site, visit: Visits) -> None:
    """A scope leaves the hits of one kind; nothing found says what can be done."""
    page = visit(shop.url + "/search?q=bread")
    expect(page.locator(".group").first).to_be_visible()
    page.get_by_text("Errors", exact=True).click()
    page.wait_for_url("**scope=errors*")
    settle(page)
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    assert violations(page) == []


def test_setup_says_how_to_send_spans(shop: Site, visit: Visits) -> None:
    """The lines to copy, the store, and the state of the index."""
    page = visit(shop.url + "/setup")
    page.get_by_role("button", name="Copy these lines").click()
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert f"OTEL_EXPORTER_OTLP_ENDPOINT={shop.url}" in copied
    expect(page.get_by_role("main")).to_contain_text(str(shop.store))
    expect(page.get_by_role("main")).to_contain_text("up to date")


def test_a_prefix_of_several_traces_is_a_choice(many: Site, visit: Visits) -> None:
    """`/t/` with the beginning of many ids shows them, each with its link."""
    page = visit(many.url + "/t/ab")
    first = page.locator(".choices a").first
    assert str(first.get_attribute("href")).startswith("/trace/ab")
    expect(first.locator("mark")).to_have_text("ab")
    assert violations(page) == []
    small = visit(many.url + "/t/ab", size=PHONE)
    assert small.evaluate("() => document.documentElement.scrollWidth") <= PHONE[0]


def test_a_prefix_of_one_trace_leads_to_it(shop: Site, visit: Visits) -> None:
    """`/t/` with the beginning of one id is that trace."""
    page = visit(f"{shop.url}/t/{shop.ids['bread'][:10]}")
    assert page.url.startswith(f"{shop.url}/trace/{shop.ids['bread']}")
