"""How values read: rounding never says what is not so, and hidden characters show."""

from __future__ import annotations

from typing import Any

import pytest
from browser_kit import Site, Visits

CASES: list[tuple[str, Any, str]] = [
    ("reward", 0.8333, "0.83"),
    ("reward", 1, "1.00"),
    ("reward", 0.999999, "0.999999"),
    ("reward", 0.9999999999, "<1"),
    ("reward", -0.001, "-0.001"),
    ("percent", 0.81, "81%"),
    ("percent", 0.997, "99.7%"),
    ("percent", 0.0001, "0.01%"),
    ("percent", 1, "100%"),
    ("cost", 0, "$0"),
    ("cost", 0.0000155, "$0.000016"),
    ("cost", 1e-9, "<$0.000001"),
    ("cost", 0.9996, "$1.00"),
    ("cost", 99.996, "$100"),
    ("duration", 0.00099996, "1 ms"),
    ("duration", 0.9996, "1.0 s"),
    ("duration", 9.96, "10 s"),
    ("duration", 59.7, "1m 00s"),
    ("duration", 3599.7, "1h 00m"),
    ("tokens", 12345, "12.3k"),
    ("tokens", 999_950, "1M"),
    ("bytes", 999_999, "1 MB"),
    ("visible", "a\u202eb\x1b", "a\\u202eb\\x1b"),
    ("args", {"a": "\u202e"}, "a=\\u202e"),
]


@pytest.fixture(scope="module")
def read(shop: Site, chromium: Any) -> Any:
    """Format a value as the pages do."""
    page = chromium.new_page()
    page.goto(shop.url)
    script = "async ([name, v]) => (await import('/static/-/js/format.mjs'))[name](v)"
    yield lambda name, value: page.evaluate(script, [name, value])
    page.close()


@pytest.mark.parametrize(("name", "value", "text"), CASES)
def test_values_read_as_they_are(read: Any, name: str, value: Any, text: str) -> None:
    """The unit is that of the rounded value, and nothing is rounded across 0 or 1."""
    assert read(name, value) == text


def test_a_prefix_in_the_palette_goes_straight_to_the_one_trace(
    shop: Site, visit: Visits
) -> None:
    """A beginning that one trace has is that trace; Back leaves both behind."""
    page = visit(shop.url + "/setup")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Go to").fill(shop.ids["bread"][:12])
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/trace/{shop.ids['bread']}")
    page.go_back()
    page.wait_for_url(shop.url + "/setup")


def test_a_job_id_in_the_palette_goes_to_the_job(shop: Site, visit: Visits) -> None:
    """The id of a job, pasted, leads to that job."""
    page = visit(shop.url + "/setup")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Go to").fill(shop.ids["job"])
    page.get_by_role("option", name="Job " + shop.ids["job"]).click()
    page.wait_for_url(f"**/job/{shop.ids['job']}")
