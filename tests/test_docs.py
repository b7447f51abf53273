"""README and examples do what they say."""

from __future__ import annotations

import ast
import os
import re
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
