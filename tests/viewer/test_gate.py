"""Who may read the viewer: not pages of others, nor machines without the token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from viewer_kit import API, Served, viewing

from hudtrace.cli import main
from hudtrace.errors import ConfigurationError
from hudtrace.viewer.options import ViewOptions

View = Callable[..., Served]


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost:{port}", True),
        ("127.0.0.1:{port}", True),
        ("[::1]:{port}", True),
        ("LOCALHOST", True),
        ("evals.lan", True),
        ("evil.example:{port}", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("10.0.0.1", False),
        ("evil.example@localhost", False),
        ("", False),
        ("[", False),
        ("localhost:80:80", True),
    ],
)
def test_host_names(tmp_path: Path, view: View, host: str, allowed: bool) -> None:
    """Only its own names are answered, whatever page has been made to mean it."""
    served = view(tmp_path / "t.db", trusted_hosts=["evals.lan"])
    for path in ("/", f"{API}/episodes", "/healthz", "/static/x/y", "/api/services"):
        status, _, body = served.raw("GET", path, Host=host.format(port=served.port))
        assert (status != 403) == allowed, body


def test_other_pages(tmp_path: Path, view: View) -> None:
    """Pages of other sites may link to the viewer, but not call, embed or post."""
    served = view(tmp_path / "t.db")
    path = f"{API}/episodes"
    assert served.raw("GET", path, Origin="https://evil.example")[0] == 403
    assert served.raw("GET", path, Origin="null")[0] == 403
    assert served.raw("GET", path, Origin=served.origin)[0] == 200
    cross = {"Sec_Fetch_Site": "cross-site"}
    assert served.raw("GET", path, **cross, Sec_Fetch_Mode="no-cors")[0] == 403
    followed = {**cross, "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert served.raw("GET", "/traces", **followed)[0] != 403
    framed = {**followed, "Sec_Fetch_Dest": "iframe"}
    assert served.raw("GET", "/traces", **framed)[0] == 403
    posted = {"Origin": "https://evil.example", "Content_Type": "application/json"}
    assert served.raw("POST", "/v1/traces", **posted, Content_Length="0")[0] == 403


def test_frames(tmp_path: Path, view: View) -> None:
    """With allow_frame, other pages may show it."""
    served = view(tmp_path / "t.db", allow_frame=True)
    framed = {
        "Sec_Fetch_Site": "cross-site",
        "Sec_Fetch_Mode": "navigate",
        "Sec_Fetch_Dest": "iframe",
    }
    status, headers, _ = served.raw("GET", "/", **framed)
    assert status == 200
    assert "frame-ancestors *" in headers["content-security-policy"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "X"])
def test_nothing_is_written(tmp_path: Path, view: View, method: str) -> None:
    """Every other method is refused, with those that there are."""
    served = view(tmp_path / "t.db")
    for path in ("/", f"{API}/episodes", f"{API}/nothing", "/static/x/y"):
        status, headers, _ = served.raw(method, path, Content_Length="0")
        assert status == 405
        assert headers["allow"] == "GET, HEAD"
    status, headers, _ = served.raw("GET", "/v1/traces")
    assert (status, headers["allow"]) == (405, "POST")


def test_read_only(tmp_path: Path, view: View) -> None:
    """A viewer that is read-only takes no spans, and makes no store."""
    store = tmp_path / "t.db"
    served = view(store, read_only=True)
    status, _, body = served.raw("POST", "/v1/traces", Content_Length="0")
    assert (status, b"--read-only" in body) == (403, True)
    assert served.api("/setup")["env"] == []
    assert not store.exists()


def test_the_token(tmp_path: Path, view: View) -> None:
    """It is asked for everywhere, and taken as a bearer's or a cookie's."""
    served = view(tmp_path / "t.db", token="s3cret~/+=")
    for path in ("/", f"{API}/episodes", "/static/x/y", f"{API}/events", "/t/abc"):
        status, headers, body = served.raw("GET", path)
        assert status == 401, path
        assert headers["www-authenticate"] == "Bearer"
        assert b"s3cret" not in body
    assert served.get("/healthz").json() == {"status": "ok"}
    bearer = {"authorization": "Bearer s3cret~/+="}
    assert served.get(f"{API}/episodes", headers=bearer).status_code == 200
    for wrong in ("Bearer nope", "Basic s3cret~/+=", "Bearer", "bearer \xff"):
        headers = {"authorization": wrong.encode("latin-1")}
        assert served.get(f"{API}/episodes", headers=headers).status_code == 401
    with httpx.Client(base_url=served.origin) as browser:
        first = browser.get("/traces", params={"token": "s3cret~/+=", "q": "a b&c"})
        assert first.status_code == 303
        assert first.headers["location"] == "/traces?q=a+b%26c"
        cookie = first.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "s3cret" not in cookie
        assert browser.get(f"{API}/episodes").status_code == 200
        # A cookie comes by itself, so it is not enough to write.
        assert browser.post("/v1/traces", content=b"").status_code == 401
        posted = browser.post(
            "/v1/traces", content=b"", headers={**bearer, "content-type": "text/x"}
        )
        assert posted.status_code == 415
    assert served.raw("GET", "/?token=wrong")[0] == 401
    assert served.raw("GET", "/", Cookie='hudtrace_80="; x')[0] == 401
    # Any name will do: a page that was made to mean us has no token.
    assert served.raw("GET", "/healthz", Host="evals.lan")[0] == 200


@pytest.mark.parametrize(
    "path", ["//evil.example/", "/%5Cevil.example", "/\\evil.example"]
)
def test_a_redirection_stays_here(tmp_path: Path, view: View, path: str) -> None:
    """The token's redirection leads to no other site."""
    served = view(tmp_path / "t.db", token="t")
    status, headers, _ = served.raw("GET", f"{path}?token=t")
    assert status == 303
    assert headers["location"].startswith("/evil.example")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "evals.lan"])
def test_other_machines_need_a_token(tmp_path: Path, host: str) -> None:
    """An address that others reach is refused, unless that is meant."""
    with pytest.raises(ConfigurationError, match=r"--token auto.*--unsafe-no-auth"):
        ViewOptions(store=tmp_path / "t.db", host=host)
    assert ViewOptions(store=tmp_path / "t.db", host=host, token="t").hosts is None
    unsafe = ViewOptions(store=tmp_path / "t.db", host=host, unsafe_no_auth=True)
    assert unsafe.hosts is not None
    assert "evil.example" not in unsafe.hosts
    for near in ("127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"):
        assert ViewOptions(store=tmp_path / "t.db", host=near).is_local


def test_the_command_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on stderr, and exit code 1."""
    store = ["--store", str(tmp_path / "t.db")]
    assert main(["view", *store, "--host", "0.0.0.0"]) == 1
    assert "can be reached from other machines" in capsys.readouterr().err
    assert main(["view", *store, "--token", ""]) == 1
    assert "would let nobody in" in capsys.readouterr().err
    assert main(["view", "--store", str(tmp_path)]) == 1
    assert "is a directory" in capsys.readouterr().err


def test_the_command_for_other_machines(tmp_path: Path) -> None:
    """With a token that was made up, its address lets a browser in, and IPs will do."""
    with viewing(tmp_path / "t.db", "--host", "0.0.0.0", "--token", "auto") as running:
        address = httpx.URL(running.url)
        token = address.params["token"]
        assert len(token) >= 30
        near = f"http://127.0.0.1:{address.port}"
        assert httpx.get(f"{near}/").status_code == 401
        assert httpx.get(f"{near}/?token={token}").status_code == 303


def test_the_command_without_a_token(tmp_path: Path) -> None:
    """Without one, other machines come by the address, not by names of others."""
    arguments = ("--host", "0.0.0.0", "--unsafe-no-auth")
    with viewing(tmp_path / "t.db", *arguments) as running:
        port = httpx.URL(running.url).port
        for host, status in (("10.1.2.3", 200), ("evil.example", 403)):
            answer = httpx.get(
                f"http://127.0.0.1:{port}/healthz", headers={"host": host}
            )
            assert answer.status_code == status
