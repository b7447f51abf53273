"""`hudtrace view` as a process: its addresses, busy ports, signals, what it prints."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from viewer_kit import API, Events, python, until, viewing

from hudtrace.cli import main
from hudtrace.runtime import viewer_trace_url

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


def test_what_it_prints(demo_store: Path) -> None:
    """The address alone on stdout; where spans go and how to stop it on stderr."""
    with viewing(demo_store) as running:
        assert httpx.get(running.url).status_code == 200
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
    assert (out, running.returncode) == ("", 130)
    assert f"store  {demo_store}" in err
    assert f"OTLP   {running.url.rstrip('/')}\n" in err
    assert "Ctrl-C stops it" in err


def test_a_busy_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said which, and that it may be a viewer that shows the same."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code = main(["view", "--store", str(tmp_path / "t.db"), "--port", str(port)])
    err = capsys.readouterr().err
    assert code == 1
    assert f"127.0.0.1:{port}" in err
    assert "--port 0" in err


def test_otlp_beside(tmp_path: Path) -> None:
    """A port of its own takes spans and nothing else; both ports take the same."""
    store = tmp_path / "t.db"
    with viewing(store, "--otlp-http", "0") as running:
        origin = running.url.rstrip("/")
        setup = httpx.get(origin + f"{API}/setup").json()
        (beside, own) = setup["receivers"]
        assert own["url"] == origin
        assert setup["urls"]["otlp"] == beside["url"] != origin
        assert f"ENDPOINT={beside['url']}" in setup["env"][0]
        for number, url in enumerate((beside["url"], origin), 1):
            answer = httpx.post(f"{url}/v1/traces", json=request(number))
            assert (answer.status_code, answer.json()) == (200, {})
        assert httpx.get(f"{beside['url']}/healthz").status_code == 200
        refused = httpx.get(f"{beside['url']}{API}/episodes")
        assert (refused.status_code, origin in refused.text) == (404, True)
        for number in (1, 2, 3):
            head = httpx.get(f"{origin}{API}/trace/{number:032x}").json()
            assert head["state"] == ("waiting" if number == 3 else "done")


def test_an_otlp_port_that_is_taken(tmp_path: Path) -> None:
    """A collector that has 4318 is no reason to fail; the viewer's own port goes on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with viewing(tmp_path / "t.db", "--otlp-http", port) as running:
            origin = running.url.rstrip("/")
            setup = httpx.get(origin + f"{API}/setup").json()
            assert setup["urls"]["otlp"] == origin
            answer = httpx.post(f"{origin}/v1/traces", json=request(1))
            assert answer.status_code == 200
            running.send_signal(signal.SIGTERM)
            _, err = running.communicate(timeout=20)
    assert f"another program has 127.0.0.1:{port}" in err


def test_otlp_over_grpc(tmp_path: Path) -> None:
    """It is off, and on where it is asked for."""
    with viewing(tmp_path / "t.db", "--otlp-grpc", "0") as running:
        setup = httpx.get(running.url.rstrip("/") + f"{API}/setup").json()
        protocols = {receiver["protocol"]: receiver for receiver in setup["receivers"]}
        address = httpx.URL(protocols["grpc"]["url"])
        with socket.create_connection((address.host, address.port), timeout=10):
            pass


def test_a_store_that_takes_nothing(tmp_path: Path) -> None:
    """Where no spans can be written, they are refused for now, and all can be read."""
    (tmp_path / "file").write_text("no folder")
    with viewing(tmp_path / "file" / "t.db") as running:
        origin = running.url.rstrip("/")
        setup = httpx.get(origin + f"{API}/setup").json()
        assert "cannot write" in setup["receivers"][0]["state"]
        assert httpx.get(origin + f"{API}/episodes").json()["total"] == 0
        answer = httpx.post(f"{origin}/v1/traces", json=request(1))
        assert answer.status_code == 503
        running.send_signal(signal.SIGTERM)
        _, err = running.communicate(timeout=20)
    assert f"OTLP   {origin}: cannot write to the store" in err


def test_a_second_ctrl_c(demo_store: Path) -> None:
    """It ends at once, even while an answer is under way."""
    with viewing(demo_store) as running:
        origin = running.url.rstrip("/")
        with socket.create_connection(("127.0.0.1", httpx.URL(origin).port)) as line:
            line.sendall(
                b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\n"
                b"content-type: application/json\r\ncontent-length: 99\r\n\r\n{"
            )
            with Events(origin):
                time.sleep(0.3)
                running.send_signal(signal.SIGINT)
                time.sleep(0.3)
                assert running.poll() is None
                running.send_signal(signal.SIGINT)
                assert running.wait(20) == 130


def test_an_eval_finds_it(tmp_path: Path) -> None:
    """`hudtrace show` names the viewer where none answers, and only its address else."""
    store = tmp_path / "t.db"
    with python(store, "-m", "hudtrace.cli", "demo") as running:
        out, _ = running.communicate(timeout=60)
    assert "hudtrace view" in out
    last = out.rstrip().splitlines()
    assert any(line.startswith("trace  http://127.0.0.1:7680/trace/") for line in last)


def test_without_the_extra(tmp_path: Path) -> None:
    """What has to be installed is said, not what cannot be imported."""
    code = (
        "import sys; sys.modules['starlette'] = None\n"
        "from hudtrace.cli import main\n"
        f"sys.exit(main(['view', '--store', {str(tmp_path / 't.db')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'hudtrace[view]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--port", "70000"], ["--otlp-http", "on"], ["--otlp-grpc", "-1"], ["--nothing"]],
)
def test_wrong_usage(arguments: list[str]) -> None:
    """Exit code 2, as everywhere."""
    with pytest.raises(SystemExit) as caught:
        main(["view", *arguments])
    assert caught.value.code == 2


def test_many_requests_at_once(demo_store: Path) -> None:
    """Browsers that ask for everything at the same time are all answered."""
    statuses: list[int] = []
    with viewing(demo_store) as running:
        origin = running.url.rstrip("/")

        def ask() -> None:
            with httpx.Client(base_url=origin, timeout=30) as client:
                rows = client.get(f"{API}/episodes").json()["rows"]
                for row in rows[:8]:
                    url = f"{API}/trace/{row['trace_id']}"
                    statuses.append(client.get(url).status_code)
                    statuses.append(client.get(f"{url}/spans").status_code)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        until(lambda: not any(thread.is_alive() for thread in threads), 60)
    assert statuses == [200] * 128


def request(number: int) -> object:
    """Return an OTLP request with one span; its trace id is *number*."""
    span = {
        "traceId": f"{number:032x}",
        "spanId": "0" * 15 + "1",
        "name": "work",
        "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": "1700000001000000000",
    }
    data = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    return data


def test_addresses_follow_the_viewer(tmp_path: Path) -> None:
    """On whichever port it runs, URLs of its store lead there, until it ends or dies."""
    store = tmp_path / "t.db"
    usual = "http://127.0.0.1:7680/trace/{trace_id}"
    assert viewer_trace_url(store) == usual
    with viewing(store) as running:
        assert viewer_trace_url(store) == f"{running.url}trace/{{trace_id}}"
        assert viewer_trace_url(tmp_path / "other.db") == usual
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=20)
        assert [file.name for file in tmp_path.glob("*viewer*")] == []
    with viewing(store) as running:
        running.kill()
        running.communicate(timeout=20)
    assert viewer_trace_url(store) == usual
    (left,) = tmp_path.glob("*viewer*")
    left.write_text("[]")
    assert viewer_trace_url(store) == usual
