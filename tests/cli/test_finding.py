"""`hudtrace ls` with filters, and `hudtrace search`, run as their users run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_stores import BEGIN, MINUTE, Call, Filled, Made, text

from hudtrace import semconv


def hudtrace(*args: str, store: Path, code: int = 0) -> tuple[str, str]:
    """Run the command; return what it wrote to stdout and to stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "hudtrace.cli", *args],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HUDTRACE_STORE": str(store), "COLUMNS": "140"},
    )
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store of four episodes, two of them in a job."""
    filled = Filled(tmp_path_factory.mktemp("finding") / "t.db")
    filled.add(
        [
            Made(
                {
                    semconv.REWARD: number / 3,
                    semconv.OUTCOME: "scored",
                    **({semconv.JOB_ID: "nightly"} if number < 2 else {}),
                },
                [[text("user", f"find the \x1b[31m treasure {number}")]],
                [Call("dig", {"depth": number})],
                start=BEGIN + number * MINUTE,
            )
            for number in range(4)
        ]
    )
    yield filled.path
    filled.store.close()


def test_filters_of_lists(store: Path) -> None:
    """A filter narrows the list, as JSON too, sorted by a column; it adds to options."""
    out, err = hudtrace("ls", "--filter", "reward<1 treasure", store=store)
    assert len(out.splitlines()) == 1 + 3
    assert err == ""
    lines = hudtrace(
        "ls",
        "episodes",
        "--filter",
        "tool:dig",
        "--sort=-reward",
        "--json",
        store=store,
    )[0].splitlines()
    rewards = [json.loads(line)["reward"] for line in lines]
    assert rewards == sorted(rewards, reverse=True)
    assert len(rewards) == 4
    out, _ = hudtrace(
        "ls", "--filter", "reward>0", "--job", "nightly", "--json", store=store
    )
    assert [json.loads(line)["job_id"] for line in out.splitlines()] == ["nightly"]
    out, err = hudtrace("ls", "--filter", "tool:dig", "-n", "1", store=store)
    assert len(out.splitlines()) == 2
    assert "3 more" in err


def test_mistakes_in_filters(store: Path) -> None:
    """A mistake is shown at its place, with what there is, on stderr; the code is 2."""
    out, err = hudtrace("ls", "--filter", "tool:dig rewrad<1", store=store, code=2)
    assert out == ""
    first, shown, marks = err.splitlines()
    assert "did you mean reward?" in first
    assert shown[marks.index("^") : marks.rindex("^") + 1] == "rewrad"
    hudtrace("search", "x", "--filter", "reward:no", store=store, code=2)
    _, err = hudtrace("ls", "--sort", "beauty", store=store, code=2)
    assert "there are: started" in err


def test_nothing_is_explained(store: Path) -> None:
    """A list with nothing in it says which term leaves nothing."""
    out, err = hudtrace("ls", "--filter", "tool:dig env:nowhere", store=store)
    assert out == ""
    assert "none of 4 episodes" in err
    assert "without env:nowhere there are 4" in err
    assert (
        "no jobs of env:nowhere"
        in hudtrace("ls", "jobs", "--filter", "env:nowhere", store=store)[1]
    )


def test_jobs_and_traces_are_listed(store: Path) -> None:
    """Jobs and traces have lists of their own, as tables and as JSON."""
    out, _ = hudtrace("ls", "jobs", store=store)
    assert out.splitlines()[1].split()[0] == "nightly"
    (line,) = hudtrace("ls", "jobs", "--json", store=store)[0].splitlines()
    assert json.loads(line)["figures"]["count"] == 2
    out, _ = hudtrace("ls", "traces", store=store)
    assert len(out.splitlines()) == 1 + 4
    out, _ = hudtrace("ls", "traces", "--filter", "reward<0.1", "--json", store=store)
    assert json.loads(out)["service"] == "hudtrace"


def test_texts_are_found(store: Path) -> None:
    """Hits are shown under their episode, marked; the count is a notice."""
    out, err = hudtrace("search", "treasure 2", store=store)
    assert "«treasure»" in out
    assert "\x1b" not in out
    assert "reward 0.666667" in out
    assert err == "1 hit\n"
    out, _ = hudtrace("search", "depth", "--scope", "tools", "--json", store=store)
    found = [json.loads(line) for line in out.splitlines()]
    assert len(found) == 4
    assert found[0]["hits"][0]["scope"] == "tools"
    assert found[0]["episode"]["trace_id"] == found[0]["trace_id"]
    out, err = hudtrace(
        "search", "treasure", "--filter", "reward<0.5", "-n", "1", store=store
    )
    assert "2 hits, the newest traces of them" in err


def test_nothing_is_found(store: Path) -> None:
    """Nothing found is a notice, not a failure; a text without words is wrong usage."""
    out, err = hudtrace("search", "unheard", store=store)
    assert out == ""
    assert err.startswith("nothing found (of texts of more than 64 KB")
    _, err = hudtrace("search", "?!", store=store, code=2)
    assert "no letters or digits" in err
    hudtrace("search", "x", "--scope", "all over", store=store, code=2)


@pytest.mark.parametrize("what", ["episodes", "jobs", "traces"])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_lists_say_what_the_limit_leaves_out(
    what: str, form: list[str], tmp_path: Path
) -> None:
    """How many more there are is on stderr; stdout has as many lines as were asked for."""
    filled = Filled(tmp_path / "t.db")
    filled.add([Made({semconv.JOB_ID: f"j{number}"}) for number in range(5)])
    filled.store.close()
    out, err = hudtrace("ls", what, "-n", "2", *form, store=filled.path)
    assert len(out.splitlines()) == 2 + (not form)
    assert err == "… and 3 more (-n 5)\n"
    assert hudtrace("ls", what, "-n", "5", *form, store=filled.path)[1] == ""
