"""A browser for all tests of this folder, and viewers of a few stores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from browser_kit import Site, Visits, chromium_path, fill
from viewer_kit import HERE, python, until, viewing

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MANY = 100_000


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Chromium, without a window."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with api.sync_playwright() as playwright:
        path = chromium_path(playwright.chromium.executable_path)
        if path is None:
            pytest.skip("needs Chromium: apt install chromium, or playwright install")
        options = ["--no-sandbox", "--disable-dev-shm-usage"]  # root, in containers
        browser = playwright.chromium.launch(executable_path=path, args=options)
        api.expect.set_options(timeout=20_000)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visits]:
    """Open pages: `visit(url, dark=True, size=PHONE)`; complaints fail the test."""
    visits = Visits(chromium)
    yield visits
    visits.close()


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A viewer of evals of every kind: a job, a picture, an error, a late verdict."""
    store = tmp_path_factory.mktemp("shop") / "traces.db"
    with python(store, str(HERE / "recording.py"), "store") as running:
        out, err = running.communicate(timeout=100)
    assert running.returncode == 0, err
    with viewing(store) as viewer:
        yield Site(viewer.url.rstrip("/"), store, json.loads(out))


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A viewer of a hundred thousand episodes."""
    store = tmp_path_factory.mktemp("many") / "traces.db"
    fill(store, MANY)
    with viewing(store) as viewer:
        until(lambda: _lag(viewer.url) == 0, seconds=300)
        yield Site(viewer.url.rstrip("/"), store, {})


def _lag(url: str) -> int | None:
    """Return how many spans are not in the index yet."""
    setup = httpx.get(f"{url.rstrip('/')}/api/hud/v1/setup", timeout=30).json()
    lag: int | None = setup["index"]["lag"]
    return lag


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Site]:
    """A viewer of a store that is not there yet."""
    store = tmp_path / "none" / "traces.db"
    with viewing(store) as viewer:
        yield Site(viewer.url.rstrip("/"), store, {})


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Site]:
    """A viewer of a store of the test's own, with 250 episodes."""
    store = tmp_path / "traces.db"
    fill(store, 250)
    with viewing(store) as viewer:
        yield Site(viewer.url.rstrip("/"), store, {})


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Mark all tests that take a browser."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
        if "many" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("many"))  # made once
