"""The command line, run as its users run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hudtrace.store.store import Store

PICTURES = """
import asyncio, hud
from hud.testing import ScriptedModel, call, say
from anthropic import AsyncAnthropic

env = hud.Environment("pictures")
image = hud.Image(b"\\x89PNG" + bytes(2996))


@env.tool
def draw():
    return ["a caption", image]


@env.scenario("look")
async def look():
    yield ["What is it?", image]
    yield 1.0


async def main():
    with ScriptedModel([call(("draw", {})), say("a picture")]) as model:
        client = AsyncAnthropic(base_url=model.origin, api_key="none")
        await hud.run_scenario_chat(client=client, model="m", task=look())
    hud.flush()


asyncio.run(main())
"""


def hudtrace(
    *args: str, store: Path | str, code: int = 0, **env: str
) -> tuple[str, str]:
    """Run the command; return what it wrote to stdout and to stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "hudtrace.cli", *args],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HUDTRACE_STORE": str(store), "COLUMNS": "140", **env},
    )
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The demo's store and output."""
    store = tmp_path_factory.mktemp("demo") / "traces.db"
    out, err = hudtrace("demo", store=store)
    return store, out, err


def test_demo(demo: tuple[Path, str, str]) -> None:
    """Two variants side by side, the difference, a failing tree, the account, next."""
    _, out, err = demo
    assert "hasty" in out
    assert "careful" in out
    for row in ("reward", "passed", "provider_error", "no_answer", "tokens in", "cost"):
        assert row in out
    assert "stopped by a limit" in out
    assert "careful - hasty: +" in out
    assert "95 % interval" in out
    assert "◀ read by the grader" in out
    assert "210 spans started = 210 stored, 0 dropped" in out
    assert "hudtrace show " in out
    assert "scripted model answered" in out
    assert "spans go to" in err
    assert "24 episodes in" in err


def test_demo_as_json(tmp_path: Path) -> None:
    """`--json` prints one result a line, with every outcome among them."""
    out, _ = hudtrace("demo", "--json", store=tmp_path / "t.db")
    results = [json.loads(line) for line in out.splitlines()]
    assert len(results) == 24
    outcomes = {r["outcome"] for r in results}
    assert outcomes == {"scored", "no_answer", "provider_error"}
    assert {r["stopped_by"] for r in results} == {None, "turns"}
    assert any(r["tool_errors"] for r in results)
    assert {r["reward"] for r in results} == {0.0, 1.0, None}


def test_demo_with_a_real_model_needs_a_key(tmp_path: Path) -> None:
    """`--model` without a key says what to set, and exits with 1."""
    _, err = hudtrace("demo", "--model", "gpt-4o-mini", store=tmp_path / "t.db", code=1)
    assert "needs OPENAI_API_KEY" in err
    assert "Traceback" not in err


def test_ls(demo: tuple[Path, str, str]) -> None:
    """The newest episodes, newest first; JSON a line each; filters."""
    store, _, _ = demo
    out, _ = hudtrace("ls", "-n", "3", store=store)
    lines = out.splitlines()
    assert len(lines) == 4
    assert "trivia:initials(company=spotify)" in lines[1]
    out, _ = hudtrace("ls", "--json", "-n", "100", store=store)
    rows = [json.loads(line) for line in out.splitlines()]
    assert len(rows) == 24
    assert rows[0]["start"] >= rows[-1]["start"]
    out, _ = hudtrace("ls", "--outcome", "provider_error", store=store)
    assert len(out.splitlines()) == 2


def test_ls_says_why_it_is_empty(demo: tuple[Path, str, str], tmp_path: Path) -> None:
    """Filters that match nothing are named, with what there is; JSON stays empty."""
    store, _, _ = demo
    out, err = hudtrace("ls", "--outcome", "failed", store=store)
    assert out == ""
    assert err.startswith("none of 24 episodes is of --outcome failed; the outcomes")
    assert "scored " in err
    out, err = hudtrace(
        "ls", "--job", "x", "--outcome", "scored", "--json", store=store
    )
    assert (out, err) == ("", "none of 24 episodes is of --job x --outcome scored\n")
    empty = tmp_path / "empty.db"
    Store(empty).close()
    _, err = hudtrace("ls", "--outcome", "failed", store=empty)
    assert err.startswith("no episodes yet")


def test_show_names_images(tmp_path: Path) -> None:
    """Images in prompts and results are named with their size, never printed."""
    script = tmp_path / "pictures.py"
    script.write_text(PICTURES)
    store = tmp_path / "t.db"
    subprocess.run(
        [sys.executable, str(script)],
        check=True,
        env={**os.environ, "HUDTRACE_STORE": str(store)},
    )
    out, _ = hudtrace("show", "last", "--full", store=store)
    assert "user  [image: image/png, 3000 bytes]" in out
    assert "tool  → a caption\n[image: image/png, 3000 bytes]" in out
    assert "iVBOR" not in out


def test_show(demo: tuple[Path, str, str]) -> None:
    """An episode as a tree and a conversation, with reward, tokens and where to look."""
    store, _, _ = demo
    out, _ = hudtrace("ls", "--json", "-n", "100", store=store)
    rows = [json.loads(line) for line in out.splitlines()]
    row = next(r for r in rows if r["turns"] == 2 and r["reward"] == 1.0)
    out, _ = hudtrace("show", row["trace_id"][:10], store=store)
    assert f"{row['env']}:{row['scenario']}" in out
    for piece in ("reward 1", "turn 2", "execute_tool lookup_ceo", "tokens", " ms"):
        assert piece in out
    assert "assistant  lookup_ceo({" in out
    assert "     user  What are the initials" in out
    assert f"/trace/{row['trace_id']}" in out
    assert "nothing listens there yet: hudtrace view" in out
    out, _ = hudtrace("show", "last", "--json", store=store)
    data = json.loads(out)
    assert data["episode"]["outcome"] == "scored"
    assert any("conversation" in span for span in data["spans"])


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("show", "ffff"), "no trace begins with 'ffff'"),
        (("show", "zz"), "no trace begins with 'zz'"),
        (("show", ""), "no trace begins"),
    ],
)
def test_show_what_is_not_there(
    demo: tuple[Path, str, str], args: tuple[str, ...], text: str
) -> None:
    """A wrong id is one clear line and exit code 1."""
    store, _, _ = demo
    out, err = hudtrace(*args, store=store, code=1)
    assert text in err
    assert out == ""
    assert "Traceback" not in err


def test_no_store(tmp_path: Path) -> None:
    """Without a store, the commands say what to do."""
    _, err = hudtrace("ls", store=tmp_path / "none.db", code=1)
    assert "no trace store at" in err
    _, err = hudtrace("ls", store="off", code=1)
    assert "the store is off" in err
    broken = tmp_path / "broken.db"
    broken.write_text("this is no database, " * 100)
    _, err = hudtrace("ls", store=broken, code=1)
    assert "cannot read the store" in err


def test_usage() -> None:
    """Wrong usage exits with 2; help and version with 0."""
    hudtrace(store="off", code=2)
    hudtrace("nothing", store="off", code=2)
    out, _ = hudtrace("--help", store="off")
    assert "COMMAND" in out
    out, _ = hudtrace("--version", store="off")
    assert out.startswith("hudtrace 0.")


def test_wrong_settings(tmp_path: Path) -> None:
    """A setting that cannot be used is named with where it came from."""
    _, err = hudtrace("demo", store=tmp_path / "t.db", code=1, HUDTRACE_CONTENT="some")
    assert "content is 'some' in HUDTRACE_CONTENT" in err
