"""Looking at episodes: show, diff, tail, url, open, and completion in a real shell."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

AGENT = """
import asyncio, sys
import hudtrace as hud
from hudtrace.testing import ScriptedModel, call, say
from openai import AsyncOpenAI

env = hud.Environment("trivia")


@env.tool()
def lookup_ceo(company: str) -> str:
    return "Jay Ram"


@env.scenario("initials")
async def initials(company: str):
    answer = yield f"What are the initials of the CEO of {company}?"
    yield hud.Grade(float(answer == "JR"), explanation=f"wanted JR, got {answer}")


async def answer(ctx, text):
    replies = [call(("lookup_ceo", {"company": text})), say(text)]
    with ScriptedModel(replies) as model:
        async with AsyncOpenAI(base_url=model.url, api_key="k") as client:
            messages = [{"role": "user", "content": ctx.prompt}]
            create = client.chat.completions.create
            reply = (await create(model="m", messages=messages)).choices[0].message
            messages += [reply, await ctx.call_tool(reply.tool_calls[0])]
            reply = (await create(model="m", messages=messages)).choices[0].message
            await ctx.submit(reply.content)


async def main():
    for text in ("JM", "JR"):
        async with hud.eval(env("initials", company="HUD")) as ctx:
            await answer(ctx, text)
        print(ctx.result.trace_id)

    @hud.traced_eval([env("initials", company=c) for c in ("a", "b", "c")], max_concurrent=1)
    async def job(ctx):
        if "slow" in sys.argv:
            await asyncio.sleep(2)
        await ctx.submit("JR")

    print((await job()).id, flush=True)
    hud.flush()


asyncio.run(main())
"""


def environment(store: Path, **more: str) -> dict[str, str]:
    """Return the variables of a command that uses *store*."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HUDTRACE_")}
    return {**kept, "HUDTRACE_STORE": str(store), "COLUMNS": "120", **more}


def hudtrace(*args: str, store: Path, code: int = 0, **more: str) -> tuple[str, str]:
    """Run the command; return what it wrote to stdout and to stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "hudtrace.cli", *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(store, **more),
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str, str]:
    """A store with two episodes and a job; their ids."""
    folder = tmp_path_factory.mktemp("looking")
    (folder / "agent.py").write_text(AGENT, "utf-8")
    done = subprocess.run(
        [sys.executable, folder / "agent.py"],
        capture_output=True,
        text=True,
        check=True,
        env=environment(folder / "t.db"),
    )
    wrong, right, job = done.stdout.split()
    return folder / "t.db", wrong, right, job


Ran = tuple[Path, str, str, str]


def test_show_the_conversation(ran: Ran) -> None:
    """`--chat` is the head and what was said, `--timeline` the spans with their times."""
    store, wrong, *_ = ran
    out, _ = hudtrace("show", wrong, "--chat", store=store)
    head, chat, where = out.split("\n\n")
    assert head.startswith("trivia:initials(company=HUD)  scored  reward 0")
    assert chat.splitlines() == [
        "     user  What are the initials of the CEO of HUD?",
        'assistant  lookup_ceo({"company": "JM"})',
        "     tool  → Jay Ram",
        "assistant  JM",
    ]
    assert wrong in where
    out, _ = hudtrace("show", wrong, "--timeline", store=store)
    rows = out.split("\n\n")[1].splitlines()
    assert len(rows) == 9
    assert all("█" in row for row in rows)
    assert rows[-1].endswith("└─ reward score=0.0")
    assert "assistant" not in out
    _, err = hudtrace("show", wrong, "--chat", "--timeline", store=store, code=2)
    assert "not allowed with" in err


ELSEWHERE = """
import asyncio
from opentelemetry import trace
import hudtrace as hud

env = hud.Environment("plain")

@env.scenario("one")
async def one():
    yield "go"
    yield 1.0

async def main():
    async with hud.eval(one()) as ctx:
        span = trace.get_tracer("another").start_span("work")
        span.set_status(trace.StatusCode.ERROR)
        span.end()
        await ctx.submit("x")
    print(ctx.result.trace_id)
    hud.flush()

asyncio.run(main())
"""


def test_show_what_other_programs_say(tmp_path: Path) -> None:
    """An error is marked, whoever has written the span."""
    store = tmp_path / "t.db"
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        capture_output=True,
        text=True,
        check=True,
        env=environment(store),
    )
    out, _ = hudtrace("show", done.stdout.strip(), "--timeline", store=store)
    (line,) = [line for line in out.splitlines() if "work" in line]
    assert line.endswith("work error")


def test_show_a_span(ran: Ran) -> None:
    """`--span` is everything of one span, the whole history of a model call included."""
    store, wrong, *_ = ran
    out, _ = hudtrace("show", wrong, "--json", store=store)
    spans = json.loads(out)["spans"]
    last = [span for span in spans if span["name"].startswith("chat")][-1]
    out, _ = hudtrace("show", wrong, "--span", last["span_id"][:12], store=store)
    assert out.startswith("chat m  done")
    assert "  gen_ai.operation.name = chat" in out
    assert out.splitlines()[-4:] == [
        "     user  What are the initials of the CEO of HUD?",
        'assistant  lookup_ceo({"company": "JM"})',
        "     tool  → Jay Ram",
        "assistant  JM",
    ]
    out, _ = hudtrace("show", wrong, "--span", last["span_id"], "--json", store=store)
    assert json.loads(out)["conversation"]["output"][0]["role"] == "assistant"
    _, err = hudtrace("show", wrong, "--span", "zz", store=store, code=1)
    assert "no span of" in err


def test_diff(ran: Ran) -> None:
    """Two episodes: what they share in short, what they do not word by word."""
    store, wrong, right, _ = ran
    out, _ = hudtrace("diff", wrong[:12], right[:12], store=store)
    out = re.sub(r"seconds \S+ \S+ . \S+ \S+", "seconds …", out)
    assert out.splitlines() == [
        f"A  {wrong[:12]}  trivia:initials(company=HUD)",
        f"B  {right[:12]}  trivia:initials(company=HUD)",
        "",
        "   turn 1 = user: What are the initials of the CEO of HUD?",
        "   turn 1 ≠ lookup_ceo  ← first difference",
        '            company: A "JM", B "JR"',
        "   turn 1 = lookup_ceo → Jay Ram",
        "   turn 2 ≠ text: [-JM-]{+JR+}",
        "          ≠ answer: [-JM-]{+JR+}",
        "          ≠ reward: [-0-]{+1+} wanted JR, got [-JM-]{+JR+}",
        "",
        "reward 0 → 1   turns 2 = 2   tool calls 1 = 1   tool errors 0 = 0   "
        "input tokens 80 = 80   output tokens 2 = 2   seconds …",
    ]
    out, _ = hudtrace("diff", wrong, right, "--json", store=store)
    assert json.loads(out)["first"] == 1
    _, err = hudtrace("diff", wrong, "ffff", store=store, code=1)
    assert "no trace begins with 'ffff'" in err


def test_url(ran: Ran) -> None:
    """`url` prints an address and nothing else: of a trace, a span, a job."""
    store, wrong, _, job = ran
    out, err = hudtrace("url", wrong[:12], store=store)
    assert (out, err) == (f"http://127.0.0.1:7680/trace/{wrong}\n", "")
    out, _ = hudtrace("show", wrong, "--json", store=store)
    span = json.loads(out)["spans"][1]["span_id"]
    out, _ = hudtrace("url", wrong, "--span", span[:10], store=store)
    assert out == f"http://127.0.0.1:7680/trace/{wrong}?span={span}\n"
    out, _ = hudtrace("url", job, store=store)
    assert out == f"http://127.0.0.1:7680/job/{job}\n"
    template = "https://x.test/{trace_id}?s={span_id}"
    out, _ = hudtrace(
        "url", wrong, "--span", span, store=store, HUDTRACE_TRACE_URL=template
    )
    assert out == f"https://x.test/{wrong}?s={span}\n"
    _, err = hudtrace("url", "nothing", store=store, code=1)
    assert "no trace begins with" in err


def test_open(ran: Ran, tmp_path: Path) -> None:
    """`open` starts the browser where the viewer answers; else it says what to start."""
    store, wrong, *_ = ran
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as viewer:
        url = f"http://127.0.0.1:{viewer.getsockname()[1]}/trace/{{trace_id}}"
        out, _ = hudtrace(
            "open", wrong, store=store, BROWSER=str(browser), HUDTRACE_TRACE_URL=url
        )
    assert out.strip() == url.replace("{trace_id}", wrong)
    assert (tmp_path / "opened").read_text() == out
    out, err = hudtrace(
        "open", wrong, store=store, code=1, BROWSER=str(browser), HUDTRACE_TRACE_URL=url
    )
    assert "nothing listens there; start it: " in err
    assert "view" in err
    out, _ = hudtrace("url", wrong, store=store)
    assert "uiFind" not in out


@pytest.mark.parametrize("viewer", ["jaeger", "grafana"])
def test_open_elsewhere(ran: Ran, viewer: str) -> None:
    """`--in` leads to Jaeger's page, or to Grafana's Explore with the time of the trace."""
    store, wrong, *_ = ran
    done = subprocess.run(
        [sys.executable, "-m", "hudtrace.cli", "open", wrong, "--in", viewer],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(store, BROWSER="true"),
    )
    ports = {"jaeger": ":16686/trace/", "grafana": ":3000/explore?"}
    assert ports[viewer] in done.stdout
    assert wrong in done.stdout
    if viewer == "grafana":
        assert "%22range%22" in done.stdout


def test_tail_what_was(ran: Ran) -> None:
    """A job that has ended: its last lines, and the end."""
    store, wrong, _, job = ran
    out, err = hudtrace("tail", job, "-n", "4", store=store)
    lines = out.splitlines()
    assert len(lines) == 4
    assert "eval trivia:initials" in lines[-1]
    assert "scored  reward 1.0" in lines[-1]
    assert err == f"job {job}: done\n"
    out, _ = hudtrace("tail", job, "--json", store=store)
    rows = [json.loads(line) for line in out.splitlines()]
    assert {row["attributes"]["hud.job.id"] for row in rows} == {job}
    assert wrong not in {row["trace_id"] for row in rows}
    _, err = hudtrace("tail", "nothing", store=store, code=1)
    assert "no job 'nothing'" in err
    assert "ls jobs' lists them" in err


def test_tail_what_runs(tmp_path: Path) -> None:
    """What ends while it looks is printed as it ends; Ctrl-C ends it with 130."""
    (tmp_path / "agent.py").write_text(AGENT, "utf-8")
    store = tmp_path / "t.db"
    subprocess.run(
        [sys.executable, tmp_path / "agent.py"],
        check=True,
        capture_output=True,
        env=environment(store),
    )
    tail = subprocess.Popen(
        [sys.executable, "-m", "hudtrace.cli", "tail", "-n", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(store),
    )
    assert tail.stdout is not None
    assert tail.stderr is not None
    try:
        assert "eval trivia:initials" in tail.stdout.readline()
        later = subprocess.run(
            [sys.executable, tmp_path / "agent.py"],
            check=True,
            capture_output=True,
            text=True,
            env=environment(store),
        )
        new = later.stdout.split()[0][:12]
        seen = [tail.stdout.readline() for _ in range(4)]
        assert all(new in line for line in seen)
        assert "chat m" in seen[0]
        assert "execute_tool lookup_ceo" in seen[1]
        tail.send_signal(signal.SIGINT)
        assert tail.wait(20) == 130
        assert "interrupted" in tail.stderr.read()
    finally:
        tail.kill()
        tail.communicate()


@pytest.mark.parametrize("end", ["done", "interrupted"])
def test_tail_until_the_end_of_a_job(end: str, tmp_path: Path) -> None:
    """With a job, it ends as the job does; that of a dead process is an error."""
    (tmp_path / "agent.py").write_text(AGENT, "utf-8")
    store = tmp_path / "t.db"
    agent = subprocess.Popen(
        [sys.executable, tmp_path / "agent.py", "slow"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(store),
    )
    try:
        job = wait_for_job(store)
        tail = subprocess.Popen(
            [sys.executable, "-m", "hudtrace.cli", "tail", job],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(store),
        )
        if end == "interrupted":
            agent.kill()
            agent.wait()
        out, err = tail.communicate(timeout=60)
    finally:
        agent.kill()
        agent.communicate()
    assert err == f"job {job}: {end}\n"
    assert tail.returncode == (0 if end == "done" else 1)
    if end == "done":
        evals = [line for line in out.splitlines() if "  eval trivia" in line]
        assert len(evals) == 3


def wait_for_job(store: Path) -> str:
    """Return the id of the first job in a store, once its own span is known open."""
    while True:
        time.sleep(0.2)
        if not store.exists():
            continue
        with contextlib.closing(sqlite3.connect(store)) as db:
            with contextlib.suppress(sqlite3.Error):
                row = db.execute(
                    "SELECT job_id FROM episodes WHERE job_id IS NOT NULL AND "
                    "EXISTS (SELECT 1 FROM open_spans WHERE name = 'hud.job')"
                ).fetchone()
                if row is not None:
                    return str(row[0])


def install(folder: Path) -> None:
    """Put a command named hudtrace into *folder*."""
    binary = folder / "hudtrace"
    binary.write_text(f'#!/bin/sh\nexec {sys.executable} -m hudtrace.cli "$@"\n')
    binary.chmod(0o755)


def complete(line: str, store: Path, tmp_path: Path) -> list[str]:
    """Return what a real bash offers at the end of *line*."""
    install(tmp_path)
    words = line.split(" ")
    script = (
        'eval "$(hudtrace completion bash)"; '
        f"COMP_WORDS=({' '.join(word or chr(39) * 2 for word in words)}); "
        f"COMP_CWORD={len(words) - 1}; _hudtrace; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=environment(store, PATH=f"{tmp_path}:{os.environ['PATH']}"),
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_completion_in_bash(ran: Ran, tmp_path: Path) -> None:
    """Commands, options, words, ids of traces and jobs are completed."""
    store, wrong, right, job = ran
    assert complete("hudtrace d", store, tmp_path) == ["demo", "diff", "down", "doctor"]
    assert "--timeline" in complete("hudtrace show --", store, tmp_path)
    assert complete("hudtrace store m", store, tmp_path) == ["migrate"]
    assert complete(f"hudtrace show {wrong[:8]}", store, tmp_path) == [wrong]
    assert {wrong, right} <= set(complete("hudtrace diff ", store, tmp_path))
    assert complete(f"hudtrace tail {job[:3]}", store, tmp_path) == [job]
    assert complete("hudtrace ls --job ", store, tmp_path) == [job]
    nowhere = tmp_path / "none.db"
    assert complete("hudtrace show a", nowhere, tmp_path) == []


_ASK = {
    "zsh": (
        "autoload -Uz compinit; compinit -u -D; "
        'eval "$(hudtrace completion zsh)"; '
        'compadd() { print -l -- "$@" }; '
        "words=(hudtrace show {word}); CURRENT=3; _hudtrace"
    ),
    "fish": 'hudtrace completion fish | source; complete -C "hudtrace show {word}"',
}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_in_other_shells(shell: str, ran: Ran, tmp_path: Path) -> None:
    """Real zsh and fish, where they are installed, offer options and ids as well."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    store, wrong, *_ = ran
    install(tmp_path)
    for word, offered in ((wrong[:8], wrong), ("--ti", "--timeline")):
        done = subprocess.run(
            [
                shell,
                *(["-f"] if shell == "zsh" else []),
                "-c",
                _ASK[shell].replace("{word}", word),
            ],
            capture_output=True,
            text=True,
            check=True,
            env=environment(
                store, PATH=f"{tmp_path}:{os.environ['PATH']}", HOME=str(tmp_path)
            ),
        )
        assert offered in done.stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, ran: Ran) -> None:
    """Each script names every command; the shell itself, where it is, can read it."""
    store, *_ = ran
    out, _ = hudtrace("completion", shell, store=store)
    for command in ("demo", "show", "diff", "tail", "completion", "model-server"):
        assert command in out
    if shutil.which(shell):
        done = subprocess.run(
            [shell, "-n"], input=out, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert out.count("'") % 2 == 0
    assert out.count("(") == out.count(")")
