"""The web app's files and addresses: cached for good, and nothing beside them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from viewer_kit import Served

View = Callable[..., Served]
ID = "0af7651916cd43dd8448eb211c80319c"
PAGES = [
    "/",
    "/job/shopper-16c18387",
    "/job/a%2Fb",
    "/traces",
    f"/trace/{ID}",
    "/trace/nonsense",
    f"/diff/{ID}...{ID}",
    "/search?q=%00%ff",
    "/setup",
    "/t/0123456789ab",
]


@pytest.mark.parametrize("path", PAGES)
def test_pages(viewer: Served, path: str) -> None:
    """Each address of the app is its one page, which may load only what is here."""
    answer = viewer.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == "'self'"
    assert policy["img-src"] == "'self' data:"
    assert policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "no-cache" in answer.headers["cache-control"]
    assert "/static/-/" not in answer.text
    head = viewer.raw("HEAD", path)
    assert (head[0], head[2]) == (200, b"")


def test_files(viewer: Served) -> None:
    """All that the page names is there, for good; asked for again, it is not sent."""
    page = viewer.get("/").text
    names = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert len(names) > 3
    for name in names:
        answer = viewer.get(name)
        assert answer.status_code == 200, name
        assert "immutable" in answer.headers["cache-control"]
        tag = answer.headers["etag"]
        again = viewer.get(name, headers={"if-none-match": tag})
        assert (again.status_code, again.content) == (304, b"")
        assert "immutable" in again.headers["cache-control"]
    kinds = {viewer.get(n).headers["content-type"].partition(";")[0] for n in names}
    assert kinds == {"text/javascript", "text/css", "image/svg+xml"}
    script = next(name for name in names if name.endswith("app.mjs"))
    old = re.sub(r"/static/[^/]+/", "/static/other/", script)
    answer = viewer.get(old)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
    packed = viewer.get(script, headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert viewer.get("/favicon.ico").status_code == 302


@pytest.mark.parametrize(
    "path",
    [
        "/static/x/../../app.py",
        "/static/x/..%2f..%2fapp.py",
        "/static/x/%2e%2e/%2e%2e/gate.py",
        "/static/../app.py",
        "/static/x//etc/passwd",
        "/static/x/%2fetc%2fpasswd",
        "/static/x/js\\..\\..\\app.py",
        "/static/x/a%00b",
        "/static/x/.hidden",
        "/static/x/",
        "/static/x/js",
        "/static/x",
        "/nothing",
        "/t/",
        "/t/xyz",
        f"/t/{ID}0",
        "/api/hud/v1",
        "/api/hud/v1/",
        "/api/hud/v1/nothing",
        "/api/hud/v2/episodes",
        "/%ff%fe",
        "/" + "a" * 5000,
    ],
)
def test_nothing_else(viewer: Served, path: str) -> None:
    """What is beside the app's files is nobody's to read."""
    status, headers, body = viewer.raw("GET", path)
    assert status == 404
    assert headers["content-type"] == "application/problem+json"
    assert b"def " not in body
    assert b"root:" not in body
    status, headers, body = viewer.raw("GET", path, Accept="text/html,*/*")
    page = headers["content-type"].startswith("text/html")
    expected = path == "/t/" or not path.startswith(("/static/", "/api/", "/t/"))
    assert (status, page) == (404, expected)


def test_short_addresses(viewer: Served, ids: dict[str, str]) -> None:
    """The first digits of an id lead to the trace, if no other has them."""
    trace = ids["bread"]
    for prefix in (trace[:16], trace[:16].upper(), trace):
        answer = viewer.get(f"/t/{prefix}?span=1")
        assert answer.status_code == 302
        assert answer.headers["location"] == f"/trace/{trace}?span=1"
    assert viewer.get(f"/t/{ID}").headers["location"] == f"/trace/{ID}"
    assert viewer.get("/t/0123456789ab").status_code == 200  # the page says so


def test_long_ids(tmp_path: Path, view: View) -> None:
    """Nothing of an address makes the viewer fail."""
    served = view(tmp_path / "t.db")
    for path in (
        "/trace/" + "f" * 60_000,
        "/job/" + "%f0" * 500,
        "/diff/...",
        "/diff/",
    ):
        status, _, _ = served.raw("GET", path)
        assert status in (200, 404)


@pytest.mark.parametrize("path", PAGES)
def test_what_a_page_needs_is_told_at_once(viewer: Served, path: str) -> None:
    """A page's modules, and the data of a trace, are named before they are asked for."""
    page = viewer.get(path).text
    named = re.findall(
        r'<link rel="(?:modulepreload|preload)"[^>]* href="([^"]+)"', page
    )
    assert any(name.endswith("/js/app.mjs") for name in named)
    assert any(name.endswith("/vendor/preact.mjs") for name in named)
    assert len(named) == len(set(named))
    for name in named:
        assert viewer.get(name).status_code == 200, name
    data = [name for name in named if name.startswith("/api/")]
    expected = [f"/trace/{ID}/spans?packed=1", f"/trace/{ID}"]
    mine = path == f"/trace/{ID}"
    assert data == ([f"/api/hud/v1{each}" for each in expected] if mine else [])
