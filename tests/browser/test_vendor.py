"""What the pages are made of: vendored files as they were fetched, modules that parse."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from browser_kit import HERE, STATIC

from hudtrace.index.fields import FIELDS

FOLDERS = [STATIC / "vendor", HERE / "vendor"]
MODULES = sorted((STATIC / "js").rglob("*.mjs"))
IMPORTED = re.compile(
    r'^(?:im|ex)port\s[^;"]*from "([^"]+)"|^import "([^"]+)"|\bimport\("([^"]+)"\)',
    re.M,
)


@pytest.mark.parametrize("folder", FOLDERS, ids=["served", "tested"])
def test_vendored_files_are_those_of_the_manifest(folder: Path) -> None:
    """Every vendored file has its hash in the manifest, and each library a licence."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    hashes = {name: sha for each in manifest for name, sha in each["sha256"].items()}
    found = {path.name for path in folder.iterdir()} - {"manifest.json"}
    assert found == set(hashes)
    for name, sha in hashes.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha, name
    for each in manifest:
        assert any(name.startswith("LICENSE") for name in each["sha256"])


@pytest.mark.parametrize("module", MODULES, ids=lambda p: str(p.relative_to(STATIC)))
def test_modules_import_files_that_are_there(module: Path) -> None:
    """Modules import by relative paths alone, and what they import exists."""
    for found in IMPORTED.findall(module.read_text("utf-8")):
        name = "".join(found)
        assert name.startswith("."), f"{module.name} imports {name}"
        assert (module.parent / name).is_file(), f"{module.name} imports {name}"


def test_modules_parse(tmp_path: Path) -> None:
    """Every module is JavaScript, as far as Node reads it."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    for module in MODULES:
        said = subprocess.run(
            [node, "--check", str(module)], capture_output=True, text=True
        )
        assert said.returncode == 0, said.stderr


def test_the_page_names_files_that_are_there() -> None:
    """index.html has no style and no script of its own, and names only what exists."""
    page = (STATIC / "index.html").read_text("utf-8")
    named = re.findall(r'(?:href|src)="/static/-/([^"]+)"', page)
    assert len(named) >= 4
    for name in named:
        assert (STATIC / name).is_file(), name
    assert "style=" not in page
    assert "<style" not in page
    assert not re.search(r"<script(?![^>]* src=)", page)


def test_pages_name_no_other_host() -> None:
    """No style sheet and no module of ours has an address on the network."""
    own = [*MODULES, *(STATIC / "css").glob("*.css"), STATIC / "js" / "theme.js"]
    for path in own:
        found = re.findall(r"https?://[^\s\"'`)]+", path.read_text("utf-8"))
        allowed = ("http://localhost", "http://127.0.0.1", "https?://")
        assert [each for each in found if not each.startswith(allowed)] == [], path


def test_the_filter_offers_the_fields_that_there_are() -> None:
    """The fields that the filter box knows are those of the grammar, in order."""
    text = (STATIC / "js" / "episodes" / "grammar.mjs").read_text("utf-8")
    offered = text.split("export const FIELDS")[1].split("];")[0]
    assert re.findall(r'^  \["(\w+)"', offered, re.M) == list(FIELDS)
