"""One look in the browser, quick enough for every run of the tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser_kit import Visits, chromium_path, fill
from viewer_kit import viewing


def test_episodes_appear(tmp_path: Path) -> None:
    """The list of episodes is drawn in a real browser, without a complaint."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    fill(tmp_path / "traces.db", 3)
    with api.sync_playwright() as playwright:
        path = chromium_path(playwright.chromium.executable_path)
        if path is None:
            pytest.skip("needs Chromium: apt install chromium")
        with viewing(tmp_path / "traces.db") as viewer:
            browser = playwright.chromium.launch(
                executable_path=path, args=["--no-sandbox"]
            )
            visits = Visits(browser)
            page = visits(viewer.url)
            assert page.locator(".vl-row").count() == 3
            visits.close()
            browser.close()
