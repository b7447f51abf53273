"""`hudtrace up`, `down`, `status`: the local stack of the shipped Compose file."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from hudtrace.cli import text
from hudtrace.errors import ConfigurationError

PARTS = {
    "collector": "http://127.0.0.1:13134/",
    "jaeger": "http://127.0.0.1:13133/status",
}
UI = "http://127.0.0.1:16686"
_START_SECONDS = 90.0


def add(parser: argparse.ArgumentParser) -> None:
    """Say what runs the command; it takes nothing."""
    actions = {"up": up, "down": down, "status": status}
    parser.set_defaults(run=lambda o: actions[o.command]())


def up() -> int:
    """Start the stack and wait until it answers; return the exit code."""
    _compose("up", "--detach", "--quiet-pull")
    deadline = time.monotonic() + _START_SECONDS
    while not all(map(_answers, PARTS.values())):
        if time.monotonic() > deadline:
            print("the stack does not answer:", file=sys.stderr)
            status()
            print("its logs: docker compose -p hudtrace logs", file=sys.stderr)
            return 1
        time.sleep(0.3)
    print(f"Jaeger's page: {UI}")
    print("send evals there: export HUDTRACE_EXPORTERS=jaeger")
    return 0


def down() -> int:
    """Stop the stack; what it has stored stays. Return the exit code."""
    _compose("down")
    return 0


def status() -> int:
    """Print which parts answer on this machine; return 0 if all do."""
    answers = {name: _answers(url) for name, url in PARTS.items()}
    for name, there in answers.items():
        print(f"{name:<10} {'healthy' if there else 'not there':<10} {PARTS[name]}")
    if not any(answers.values()):
        print(f"'{text.command('up')}' starts the stack", file=sys.stderr)
    return 0 if all(answers.values()) else 1


def compose_file() -> Path:
    """Return the shipped Compose file; its configurations are beside it."""
    shipped = Path(__file__).parent.parent / "_data" / "compose.yaml"
    if shipped.exists():
        return shipped
    return Path(__file__).parent.parent.parent / "compose.yaml"  # an editable install


def _compose(*arguments: str) -> None:
    docker = shutil.which("docker")
    if docker is None:
        raise ConfigurationError(
            "Docker is not installed: the local stack runs in it. Install Docker Engine "
            "with its Compose plug-in (https://docs.docker.com/engine/install), or send "
            "to any Jaeger that takes OTLP with HUDTRACE_EXPORTERS=jaeger; without "
            "either, the local store and 'hudtrace show' need nothing"
        )
    for command, what in (
        (
            ["compose", "version"],
            "the Compose plug-in of Docker is missing; install it",
        ),
        (["info"], "no Docker engine answers; start it"),
    ):
        tried = subprocess.run(
            [docker, *command], capture_output=True, text=True, check=False
        )
        if tried.returncode != 0:
            raise ConfigurationError(f"{what} ({tried.stderr.strip()[:200]})")
    line = [docker, "compose", "--file", str(compose_file()), *arguments]
    if subprocess.run(line, stdout=sys.stderr, check=False).returncode != 0:
        raise ConfigurationError("docker compose failed; its message is above")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return int(answer.status) == 200
    except (OSError, urllib.error.URLError):
        return False
