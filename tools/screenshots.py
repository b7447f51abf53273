"""Take the pictures of the README, of what `make demo` records.

    tools/screenshots.py      # needs Chromium, and what `make test` has set up

They go to `docs/images/`, small enough to be kept with the code.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
SIZE = {"width": 1280, "height": 720}
LIMIT = 300_000  # bytes of one picture
#: The episode that is shown: the agent has guessed, and the grader says why not.
SHOWN = "reward<1"


@contextmanager
def demo() -> Iterator[str]:
    """Run the demo and serve its store; give the viewer's address."""
    with tempfile.TemporaryDirectory() as folder:
        variables = {**os.environ, "HUDTRACE_STORE": str(Path(folder) / "traces.db")}
        command = [sys.executable, "-m", "hudtrace.cli"]
        subprocess.run([*command, "demo"], env=variables, check=True)
        view = [*command, "view", "--port", "0", "--otlp-http", "off", "--no-open"]
        with subprocess.Popen(
            view, env=variables, stdout=subprocess.PIPE, text=True
        ) as serving:
            assert serving.stdout is not None
            try:
                yield serving.stdout.readline().strip().rstrip("/")
            finally:
                serving.terminate()


def shoot(page: Page, name: str) -> None:
    """Write a picture of the page as it is now."""
    page.wait_for_function(
        "() => !document.querySelector('.spinner, [aria-busy=true]')"
    )
    page.wait_for_timeout(500)
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} KB")
    assert path.stat().st_size < LIMIT


def main() -> None:
    """Take both pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with demo() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        page = browser.new_page(viewport=SIZE, device_scale_factor=1.25)
        page.goto(url)
        shoot(page, "episodes")
        page.goto(f"{url}/?q={SHOWN}")
        page.locator(".vl-row a").first.click()
        page.wait_for_url("**/trace/**")
        page.get_by_role("tab", name="Split").click()
        shoot(page, "episode")
        browser.close()


if __name__ == "__main__":
    main()
