"""Scripts for Node with packages of npm, which are installed once, in the user's cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest


def node_folder(source: Path) -> Path:
    """Return a folder with the scripts of *source* and what its package.json names.

    Skips the test where there is no Node, or where npm cannot install them.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    wanted = hashlib.sha256((source / "package.json").read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "hudtrace" / f"node-{wanted}"
    folder.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        shutil.copy(file, folder)
    if not (folder / "ready").exists():
        done = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode:
            pytest.skip(f"npm cannot install the packages: {done.stderr[-300:]}")
        (folder / "ready").touch()
    return folder
