"""An environment on a real MCP server: git, on a repository that is made here.

    python examples/17_mcp_server.py [MODEL]

With OPENAI_API_KEY set, and a model named, that model answers. Without, a scripted
one does, offline. Needs git, and `pip install 'hudtrace[mcp,openai]' mcp-server-git`.
Tried with mcp 2.3 and mcp-server-git 2026.10.

The tools are the server's. What the agent says, and what it did, is checked with git
itself, and never by what the server tells of it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from mcp_server_git.server import GitTools
from openai import AsyncOpenAI

import hud
from hud.testing import ScriptedModel, ScriptedRequest, call, say

FOLDER = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
REPOSITORY = Path(FOLDER.name) / "shop"
COMMITS = [
    ("Ada", "prices.txt", "Add the prices"),
    ("Grace", "stock.txt", "Count the stock"),
    ("Ada", "prices.txt", "Lower the prices"),
]

env = hud.Environment("git")
env.connect_mcp(
    [sys.executable, "-m", "mcp_server_git", "--repository", str(REPOSITORY)],
    name="git",
    include=[GitTools.LOG.value, GitTools.SHOW.value, GitTools.CREATE_BRANCH.value],
)


def git(*arguments: str) -> str:
    """Run git on the repository, and return what it prints."""
    command = ["git", "-C", str(REPOSITORY), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def make_repository() -> None:
    """Make the repository, with a few commits."""
    REPOSITORY.mkdir()
    git("init", "--quiet", "--initial-branch=main")
    for number, (author, file, message) in enumerate(COMMITS):
        (REPOSITORY / file).write_text(f"{number}\n")
        git("add", file)
        git(
            *("-c", f"user.name={author}", "-c", "user.email=shop@example.org"),
            *("commit", "--quiet", f"--message={message}"),
        )


@env.scenario("author")
async def author(message: str) -> AsyncIterator[Any]:
    """Ask who made a commit; git knows."""
    answer = yield (
        f"Who wrote the commit {message!r} in the repository {REPOSITORY}? "
        f"Answer with the name alone."
    )
    right = git("log", "--format=%an", f"--grep={message}")
    yield 1.0 if answer and answer.strip(" .") == right else 0.0


@env.scenario("branch")
async def branch(name: str) -> AsyncIterator[Any]:
    """Have a branch made; it must be there, and begin where main is."""
    yield f"Make a branch called {name!r} of main in the repository {REPOSITORY}."
    made = git("for-each-ref", "--format=%(objectname)", f"refs/heads/{name}")
    yield 1.0 if made == git("rev-parse", "main") else 0.0


def scripted(request: ScriptedRequest) -> Any:
    """Do what a model would: use a tool, read what it returned, answer."""
    prompt, last = str(request.conversation[0]), str(request.conversation[-1])
    where = {"repo_path": str(REPOSITORY)}
    if len(request.conversation) > 1:
        before = last.partition("Count the stock")[0]
        return say("Grace" if "Grace" in before else "Done.")
    if "Who wrote" in prompt:
        return call((GitTools.LOG.value, {**where, "max_count": 10}))
    new = {"branch_name": "sale", "base_branch": "main"}
    return call((GitTools.CREATE_BRANCH.value, {**where, **new}))


async def run(client: AsyncOpenAI, model: str) -> None:
    """Run both tasks and print what came of them."""
    for task in (author(message="Count the stock"), branch(name="sale")):
        result = await hud.run_scenario_chat(
            client=client, model=model, task=task, max_steps=8
        )
        print(f"{task.scenario}: reward {result.reward}, {result.outcome}")
        print(f"hudtrace show {result.trace_id[:12]}")


async def main() -> None:
    """Make the repository, and let the real model work in it, or the scripted one."""
    make_repository()
    if len(sys.argv) > 1:
        async with AsyncOpenAI() as client:
            await run(client, sys.argv[1])
        return
    with ScriptedModel(scripted) as model:
        async with AsyncOpenAI(base_url=model.url, api_key="none") as client:
            await run(client, model.model)


if __name__ == "__main__":
    asyncio.run(main())
