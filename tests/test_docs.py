"""README and examples do what they say."""

from __future__ import annotations

import ast
import os
import re
import shutil
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def run(tmp_path: Path, *command: str) -> str:
    """Run a command with a store of its own; return what it prints."""
    environment = {**os.environ, "HUDTRACE_STORE": str(tmp_path / "t.db")}
    environment.pop("OPENAI_API_KEY", None)
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_readme_code(tmp_path: Path, number: int) -> None:
    """Each block of Python in README runs as it stands."""
    script = tmp_path / "block.py"
    script.write_text(BLOCKS[number], "utf-8")
    run(tmp_path, str(script))


def test_readme_tree(tmp_path: Path) -> None:
    """The first block, of about fifteen lines, leaves the tree that README shows."""
    script = tmp_path / "block.py"
    script.write_text(BLOCKS[0], "utf-8")
    assert sum(bool(line.strip()) for line in BLOCKS[0].splitlines()) <= 15
    run(tmp_path, str(script))
    shown = run(tmp_path, "-m", "hudtrace.cli", "show", "last")
    shown = re.sub(r"  [\d.]+ m?s\b", "", shown)
    tree = re.search(r"```\n(eval .*?)```", README, re.DOTALL)
    assert tree is not None
    assert tree.group(1) in shown


def test_readme_server(tmp_path: Path) -> None:
    """The scripted model and the server of README answer its curl, and end at its kill."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (script,) = re.findall(r"```sh\n(cat > script\.json.*?)```", README, re.DOTALL)
    with socket.create_server(("", 0)) as one, socket.create_server(("", 0)) as other:
        ports = [str(each.getsockname()[1]) for each in (one, other)]
    for old, new in (
        ("8330", ports[0]),
        ("8321", ports[1]),
        ("hudtrace model-server", f"hudtrace model-server --port {ports[0]}"),
        ("hudtrace serve", f"hudtrace serve --port {ports[1]}"),
    ):
        assert old in script
        script = script.replace(old, new)
    folder = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-ec", f"{script}\nwait"],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "HUDTRACE_STORE": str(tmp_path / "t.db"),
        },
        cwd=tmp_path,
        timeout=60,
    )
    assert '"content":"JR"' in done.stdout, done.stderr
    trees = run(tmp_path, "-m", "hudtrace.cli", "show", "last")
    assert "execute_tool lookup_ceo" in trees
    assert "reward score=1.0" in trees


def is_here(module: str) -> bool:
    """Say whether a module can be imported; packages share names such as `google`."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize(
    "example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name
)
def test_examples(tmp_path: Path, example: Path) -> None:
    """Each example runs offline and earns its reward."""
    tree = ast.parse(example.read_text("utf-8"))
    imported = {n.module for n in tree.body if isinstance(n, ast.ImportFrom)}
    if missing := {str(module) for module in imported if not is_here(str(module))}:
        pytest.skip(
            f"{', '.join(sorted(missing))} is not here; make frameworks runs this"
        )
    assert "reward 1.0" in run(tmp_path, str(example))
