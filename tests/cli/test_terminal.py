"""What the command line prints and refuses, where texts, values and pipes are hostile."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

EVIL = r"\x1b]0;owned\x07\x1b[2J\x9b1m\u202ehello"
HOSTILE = f"""
import asyncio, sys, hud
from hud.testing import ScriptedModel, call, say
from openai import AsyncOpenAI

evil = "{EVIL}\\nat the margin"
hud.configure(exporters=sys.argv[1:])
env = hud.Environment("hostile")


@env.tool
def look(what: str):
    return "result " + evil


@env.scenario("ask")
async def ask(what: str):
    yield "prompt " + evil
    yield hud.Grade(0.5, explanation="because " + evil)


async def main():
    with ScriptedModel([call(("look", {{"what": evil}})), say("answer " + evil)]) as model:
        async with AsyncOpenAI(base_url=model.url, api_key="none") as client:
            async with hud.eval(env("ask", what=evil), variant="variant " + evil) as ctx:
                tools = [{{"type": "function", "function": {{"name": "look", "parameters":
                    {{"type": "object", "properties": {{"what": {{"type": "string"}}}}}}}}}}]
                chat = client.chat.completions.create
                messages = [{{"role": "user", "content": ctx.prompt}}]
                first = await chat(model="model " + evil, messages=messages, tools=tools)
                messages.append(first.choices[0].message)
                for made in first.choices[0].message.tool_calls:
                    result = await ctx.call_tool("look", what=evil)
                    messages.append({{"role": "tool", "tool_call_id": made.id,
                                      "content": str(result)}})
                last = await chat(model="model " + evil, messages=messages, tools=tools)
                await ctx.submit(last.choices[0].message.content)
    hud.flush()


asyncio.run(main())
"""
ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")

INTERRUPTED = """
import asyncio, os, sys, time, hud

env = hud.Environment("trivia")


@env.scenario("ask")
async def ask():
    yield "?"
    yield 1.0


async def main():
    async with hud.eval(env("ask")):
        print("ready", flush=True)
        await asyncio.sleep(1)  # so that what is open has been written
        print("written", flush=True)
        sys.stdin.readline()
        os._exit(1)


asyncio.run(main())
"""

DEAF = """
import time, hud

env = hud.Environment("trivia")


@env.scenario("ask")
async def ask():
    yield "?"
    yield 1.0


@hud.traced_eval([env("ask"), env("ask")], max_concurrent=2)
def agent(ctx):
    print("in\\n", end="", flush=True)
    time.sleep(30)


agent()
"""


def environment(store: Path | str, **more: str) -> dict[str, str]:
    return {**os.environ, "HUDTRACE_STORE": str(store), "COLUMNS": "140", **more}


def hudtrace(
    *args: str, store: Path | str, code: int = 0, **env: str
) -> tuple[str, str]:
    """Run the command; return what it wrote to stdout and to stderr."""
    encoding = env.get("PYTHONIOENCODING", "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "hudtrace.cli", *args],
        capture_output=True,
        check=False,
        timeout=60,
        env=environment(store, PYTHONIOENCODING=encoding),
    )
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert done.returncode == code, err
    assert "Traceback" not in err
    return out, err


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store with an episode full of control characters; what the console showed."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "hostile.py").write_text(HOSTILE, "utf-8")
    done = subprocess.run(
        [sys.executable, folder / "hostile.py", "console"],
        capture_output=True,
        check=False,
        env=environment(folder / "t.db"),
    )
    err = done.stderr.decode()
    assert done.returncode == 0, err
    return folder / "t.db", err


@pytest.mark.parametrize("args", [["show", "last"], ["show", "last", "--full"], ["ls"]])
def test_control_characters_are_spelled_out(
    hostile: tuple[Path, str], args: list[str]
) -> None:
    """Nothing that models, tools and users write acts on the terminal."""
    out, err = hudtrace(*args, store=hostile[0])
    assert "\\x1b]0;owned\\x07\\x1b[2J\\x9b1m\\u202e" in out
    assert not ACTING.search(out + err)
    if args[0] == "show":
        for what in ("result ", "answer ", "variant ", "prompt ", "model "):
            assert f"{what}\\x1b" in out
        tree = out.split("\n\n")[1]
        assert all(line[0] in "e├└│ " for line in tree.splitlines()), tree
    else:
        assert len(out.splitlines()) == 2


@pytest.mark.parametrize(
    "args",
    [
        ["show", "last", "--chat", "--full"],
        ["show", "last", "--timeline"],
        ["diff", "last", "last", "--full"],
        ["url", "last"],
    ],
)
def test_nothing_acts_that_other_commands_print(
    hostile: tuple[Path, str], args: list[str]
) -> None:
    """Conversations, times and comparisons are spelled out as well."""
    out, err = hudtrace(*args, store=hostile[0])
    assert not ACTING.search(out + err)
    if args[0] != "url":
        assert "\\x1b" in out


def test_the_console_spells_control_characters_out(hostile: tuple[Path, str]) -> None:
    """The console exporter's tree keeps its lines, and nothing in it acts."""
    shown = hostile[1]
    assert "owned" in shown
    assert not ACTING.search(shown)
    assert "\nat the margin" not in shown


def test_notices_and_progress_spell_control_characters_out(tmp_path: Path) -> None:
    """A job's name is part of a progress line, and notices quote what went wrong."""
    script = (
        "from hudtrace.notices import notify_once\n"
        "from hudtrace.progress import Progress\n"
        f'evil = "{EVIL}"\n'
        "notify_once('x', 'a notice ' + evil, error='its error ' + evil)\n"
        "Progress(1, 'episodes of ' + evil).close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True
    )
    err = done.stderr.decode()
    assert err.count("owned") == 3
    assert not ACTING.search(err)


@pytest.mark.parametrize(
    "values",
    [
        ["store", "gc", "--days", "-1"],
        ["store", "gc", "--days", "0"],
        ["store", "gc", "--days", "inf"],
        ["store", "gc", "--megabytes", "-1"],
        ["store", "gc", "--megabytes", "0"],
        ["store", "gc", "--megabytes", "nan"],
        ["ls", "-n", "-1"],
        ["ls", "-n", "0"],
        ["model-server", "--port", "99999"],
        ["model-server", "--port", "-1"],
        ["serve", "x:env", "--model", "m", "--port", "99999"],
    ],
)
def test_values_out_of_range_are_refused(
    hostile: tuple[Path, str], values: list[str]
) -> None:
    """They are wrong usage: exit code 2, a message, and nothing has been done."""
    out, err = hudtrace(*values, store=hostile[0], code=2)
    assert out == ""
    assert f"{values[-1]} is " in err
    assert len(hudtrace("ls", store=hostile[0])[0].splitlines()) == 2


def test_gc_says_what_it_would_delete(hostile: tuple[Path, str]) -> None:
    """`--dry-run` prints it and deletes nothing."""
    store = hostile[0]
    dry = ("store", "gc", "--dry-run")
    out, _ = hudtrace(*dry, store=store)
    assert out == "0 traces older than 90 days would be deleted\n"
    out, _ = hudtrace(*dry, "--days", "1e-9", store=store)
    assert out.startswith("1 trace older than 1e-09 days would be deleted\n")
    out, _ = hudtrace(*dry, "--megabytes", "0.001", "--days", "1e300", store=store)
    assert "then the oldest until the store has 0.001 MB" in out
    assert len(hudtrace("ls", store=store)[0].splitlines()) == 2


def test_ls_finds_what_runs_and_what_was_interrupted(tmp_path: Path) -> None:
    """`--outcome` takes every word that the column shows, and names them."""
    store = tmp_path / "t.db"
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(store),
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        assert running.stdout.readline() == "written\n"
        out, _ = hudtrace("ls", "--outcome", "running", store=store)
        assert len(out.splitlines()) == 2
        assert " running " in out
        _, err = hudtrace("ls", "--outcome", "interrupted", store=store)
        assert "the outcomes there are: running 1" in err
        running.communicate("go\n")
    out, _ = hudtrace("ls", "--outcome", "interrupted", "-n", "1", store=store)
    assert len(out.splitlines()) == 2
    assert " interrupted " in out
    _, err = hudtrace("ls", "--outcome", "running", store=store)
    assert "the outcomes there are: interrupted 1" in err


@pytest.mark.parametrize(
    "args",
    ["ls", "show last", "store info", "store check", "store gc", "forward --list"],
)
def test_a_store_that_is_no_file(tmp_path: Path, args: str) -> None:
    """A directory or another file in the store's place is named in a sentence."""
    folder = [*args.split(), "--store", str(tmp_path)]
    _, err = hudtrace(*folder, store="off", code=1)
    assert err == f"hudtrace: the store {tmp_path} is a directory, not a file\n"
    other = tmp_path / "other.txt"
    other.write_text("no database " * 100)
    _, err = hudtrace(*args.split(), "--store", str(other), store="off", code=1)
    assert "not a database" in err


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_terminals_that_lack_signs(hostile: tuple[Path, str], encoding: str) -> None:
    """Where a sign cannot be encoded, one near it is printed."""
    store = hostile[0]
    out, _ = hudtrace("show", "last", store=store, PYTHONIOENCODING=encoding)
    assert "`- " in out
    assert "|- " in out
    out, _ = hudtrace("doctor", store=store, PYTHONIOENCODING=encoding)
    assert "+ versions" in out


def test_a_full_disk_is_said(hostile: tuple[Path, str]) -> None:
    """What stdout cannot take is an error of one line."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "hudtrace.cli", "ls"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            env=environment(hostile[0]),
            text=True,
        )
    assert done.returncode == 1
    assert re.fullmatch(r"hudtrace: .*No space left on device\n", done.stderr)


def test_a_demo_whose_every_call_fails(tmp_path: Path) -> None:
    """The first error is printed, and the exit code is 1."""
    command = ["demo", "--model", "m", "--base-url", "http://127.0.0.1:9/v1"]
    _, err = hudtrace(*command, store=tmp_path / "t.db", code=1)
    assert "no call has succeeded: APIConnectionError: Connection error." in err
    assert "ConnectError" in err


def test_ctrl_c_says_what_it_waits_for() -> None:
    """Bodies that do not hear are counted at once; a second Ctrl-C leaves."""
    with subprocess.Popen(
        [sys.executable, "-c", DEAF],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment("off"),
        text=True,
    ) as job:
        assert job.stdout is not None
        assert job.stderr is not None
        assert [job.stdout.readline() for _ in range(2)] == ["in\n"] * 2
        job.send_signal(signal.SIGINT)
        for line in job.stderr:
            if line == "waiting for 2 bodies; Ctrl-C again to leave\n":
                break
        else:
            pytest.fail("nothing was said")
        again = time.monotonic()
        job.send_signal(signal.SIGINT)
        job.wait(20)
        assert time.monotonic() - again < 4
        assert "waiting for" not in job.stderr.read()
