"""A process that forks, as servers and daemons do: both go on, and nothing is lost."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from hudtrace.store.store import read_only

Start = Callable[..., subprocess.Popen[str]]


def names_in(store: Path) -> Counter[str]:
    """Return how many spans of each name are stored."""
    with closing(read_only(store)) as db:
        return Counter(name for (name,) in db.execute("SELECT name FROM spans"))


def test_a_child_that_outlives_its_parent(tmp_path: Path, start_child: Start) -> None:
    """What a daemon writes once its parent has ended is in the store."""
    code = """
        burst(3, "parent")
        hud.flush(10)
        if (pid := os.fork()):
            burst(3, "parent")
            hud.flush(10)
            sys.exit()
        parent = os.getppid()
        burst(2, "early")
        assert hud.flush(10)
        while os.getppid() == parent:
            time.sleep(0.02)
        burst(2, "late")
        assert hud.flush(10)
        os._exit(0)
    """
    child = start_child(code, tmp_path / "t.db")
    _, err = child.communicate(timeout=60)  # until the daemon has closed its stderr
    assert (child.returncode, err) == (0, "")
    assert names_in(tmp_path / "t.db") == {"parent": 6, "early": 2, "late": 2}


def test_forks_while_spans_are_written_and_sent(
    tmp_path: Path,
    receiver: Any,
    start_child: Start,
    stored_ids: Callable[[Path], set[bytes]],
) -> None:
    """In no child anything waits for what a thread of its parent held just then."""
    code = """
        import threading, warnings
        warnings.simplefilter("ignore")
        over = threading.Event()
        def write():
            while not over.is_set():
                burst(20, "parent")
                time.sleep(0.01)
        threads = [threading.Thread(target=write) for _ in range(2)]
        for thread in threads:
            thread.start()
        failed = 0
        for _ in range(40):
            if (pid := os.fork()) == 0:
                burst(3, "child")
                os._exit(0 if hud.flush(8) else 1)
            failed += os.waitpid(pid, 0)[1] != 0
        over.set()
        for thread in threads:
            thread.join()
        print(failed, hud.flush(60))
    """
    child = start_child(
        code, tmp_path / "t.db", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url
    )
    out, err = child.communicate(timeout=110)
    assert out == "0 True\n", err
    assert names_in(tmp_path / "t.db")["child"] == 120
    # A child that exits while it sends for its parent has it sent again.
    assert set(receiver.accepted) == stored_ids(tmp_path / "t.db")
