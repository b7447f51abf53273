"""Test the agent frameworks, each set of them in an environment of its own.

    tools/frameworks.py run [SET …] [--update] [-- PYTEST-ARGUMENT …]
    tools/frameworks.py compile [SET …]

`frameworks.toml`, beside this, lists the sets. Their environments are kept outside
the clone, and made again only when what is installed in them has changed. A run
prints what was tested, and fails if docs/frameworks.md says something else;
`--update` writes it there. Nothing but the standard library is needed.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import time
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "frameworks.md"
PAGE = ROOT.parent / "shared" / "spec" / "integrations-page.md"
BEGIN, END = "<!-- versions: make frameworks UPDATE=1 -->", "<!-- /versions -->"
COLUMNS = ("section", "framework", "version", "form", "result", "set")
UV = shutil.which("uv")
#: What the tests themselves need, beside what hudtrace depends on.
TOOLS = ["pytest>=8.4", "pytest-asyncio>=1.0", "pytest-timeout>=2.3"]
#: The sections of the documented page, in its order.
SECTIONS = (
    *("Chat Completions", "Responses API", "Agents SDK", "Anthropic", "Gemini"),
    *("browser-use", "LangChain", "LlamaIndex", "Google ADK", "CrewAI", "AutoGen"),
    "Raw MCP",
)

Row = tuple[str, ...]


@dataclass(frozen=True)
class Set:
    """One environment: what is in it, and what is tested there."""

    name: str
    requires: list[str]
    members: list[str]
    python: str = ""
    env: dict[str, str] = field(default_factory=dict)
    programs: dict[str, str] = field(default_factory=dict)

    @property
    def constraints(self) -> Path:
        """The file with the exact versions."""
        return ROOT / "constraints" / f"frameworks-{self.name}.txt"

    @property
    def venv(self) -> Path:
        """Where the environment is kept."""
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(cache) / "hudtrace" / "frameworks" / self.name

    @property
    def tests(self) -> list[str]:
        """The test modules of the members."""
        return [f"tests/frameworks/test_{member}.py" for member in self.members]

    @property
    def lacks(self) -> str | None:
        """What the set needs and this machine has not; None if all is here."""
        if self._refuses(sys.version_info[:2]):
            return f"Python {self.python}"
        for name, how in self.programs.items():
            if shutil.which(name) is None:
                return f"{name} (Debian: {how})"
        return None

    def _refuses(self, version: tuple[int, int]) -> bool:
        """Tell whether the set does not work with a version of Python."""
        for bound in filter(None, self.python.replace(" ", "").split(",")):
            limit = tuple(map(int, bound.lstrip("<>=").split(".")))
            if bound.startswith("<") and version >= limit:
                return True
            if bound.startswith(">=") and version < limit:
                return True
        return False


def read_sets(names: Iterable[str]) -> list[Set]:
    """Read the sets that are named, all of them if none is."""
    with (ROOT / "tools" / "frameworks.toml").open("rb") as file:
        known = {name: Set(name, **entry) for name, entry in tomllib.load(file).items()}
    unknown = set(names) - set(known)
    if unknown:
        sys.exit(f"no set {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    return [known[name] for name in names] or list(known.values())


# Environments -----------------------------------------------------------------------


def prepare(chosen: Set) -> None:
    """Make the environment of a set, unless it is there as it should be."""
    made = time.monotonic()
    installed = chosen.constraints.read_bytes()
    if not _is_current(chosen, "installed", sys.version.encode(), installed):
        print(f"setting up {chosen.venv} …", file=sys.stderr, flush=True)
        shutil.rmtree(chosen.venv, ignore_errors=True)
        if UV:
            # With pip, for a later call without uv.
            _call(UV, "venv", "-q", "--seed", "--python", sys.executable, chosen.venv)
        else:
            _call(sys.executable, "-m", "venv", chosen.venv)
        _install(chosen, "--no-deps", "-r", chosen.constraints)
        _note(chosen, "installed", sys.version.encode(), installed)
        print(f"made in {time.monotonic() - made:.0f} s", file=sys.stderr, flush=True)
    # The code comes from PYTHONPATH; this is for the name, version and entry points.
    project = repr(_project()).encode()
    if not _is_current(chosen, "project", project):
        _install(chosen, "--no-deps", "-e", ROOT)
        _note(chosen, "project", project)


def _project() -> Any:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def _key(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _is_current(chosen: Set, what: str, *parts: bytes) -> bool:
    note = chosen.venv / f".{what}"
    return note.exists() and note.read_text("utf-8") == _key(*parts)


def _note(chosen: Set, what: str, *parts: bytes) -> None:
    (chosen.venv / f".{what}").write_text(_key(*parts), "utf-8")


def _install(chosen: Set, *what: str | Path) -> None:
    python = chosen.venv / "bin" / "python"
    if UV:
        _call(UV, "pip", "install", "-q", "--python", python, *what)
    else:
        quiet = ("-q", "--disable-pip-version-check", "--no-compile")
        _call(python, "-m", "pip", "install", *quiet, *what)


def _call(*command: str | Path) -> None:
    done = subprocess.run(list(map(str, command)), cwd=ROOT)
    if done.returncode:
        sys.exit(f"failed: {' '.join(map(str, command))}")


def compile_set(chosen: Set) -> None:
    """Write the exact versions of a set, for every Python and platform."""
    if not UV:
        sys.exit("compiling constraints needs uv: pip install uv")
    print(f"compiling {chosen.constraints.relative_to(ROOT)} …", flush=True)
    wanted = [*_project()["dependencies"], *TOOLS, *chosen.requires]
    plain = ("-q", "--universal", "--no-header", "--no-annotate", "--no-emit-index-url")
    output = subprocess.run(
        [UV, "pip", "compile", *plain, "--python-version", "3.11", "-"],
        input="\n".join(wanted),
        capture_output=True,
        text=True,
    )
    if output.returncode:
        sys.exit(output.stderr)
    chosen.constraints.write_text(output.stdout, "utf-8")


# Tests ------------------------------------------------------------------------------


def run(chosen: Set, arguments: list[str]) -> tuple[list[Row], bool]:
    """Run the tests of a set; return what was tested and whether all went well."""
    report = chosen.venv / "report.xml"
    report.unlink(missing_ok=True)
    code = f"{ROOT}{os.pathsep}{ROOT / 'exporters'}"
    env = {
        **os.environ,
        **chosen.env,
        "PYTHONPATH": code,
        "HUDTRACE_FRAMEWORKS_SET": chosen.name,
    }
    # Warnings of the frameworks are not ours to fail for.
    command = ["-m", "pytest", "-q", "-rsf", "--disable-warnings", "-W", "default"]
    command += [
        "-W",
        "ignore::ResourceWarning",
        f"--junitxml={report}",
        *chosen.tests,
        *arguments,
    ]
    started = time.monotonic()
    done = subprocess.run(
        [chosen.venv / "bin" / "python", *command],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    took = time.monotonic() - started
    members = ", ".join(chosen.members)
    print(f"\n{chosen.name}: {members}\n{done.stdout}{took:.0f} s", flush=True)
    rows = list(_rows(chosen, report)) if report.exists() else []
    return rows, done.returncode == 0


def _rows(chosen: Set, report: Path) -> Iterator[Row]:
    for case in ElementTree.parse(report).iter("testcase"):
        noted = {p.get("name", ""): p.get("value", "") for p in case.iter("property")}
        if "section" not in noted or case.find("skipped") is not None:
            continue
        wrong = case.find("failure") is not None or case.find("error") is not None
        noted |= {"set": chosen.name, **({"result": "FAILED"} if wrong else {})}
        yield tuple(noted[column] for column in COLUMNS)


# The table --------------------------------------------------------------------------


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Sort as the page does, then by framework, version and form."""

    def key(row: Row) -> Any:
        known = SECTIONS.index(row[0]) if row[0] in SECTIONS else len(SECTIONS)
        return known, row

    return sorted(set(rows), key=key)


def draw(rows: list[Row]) -> str:
    """Draw rows as a table that is Markdown and can be read as it is."""
    table = [COLUMNS, *rows]
    widths = [max(len(row[at]) for row in table) for at in range(len(COLUMNS))]
    head, *body = (
        "| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in table
    )
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([head, rule, *body])


def documented() -> list[Row]:
    """Read the rows of the table in the documentation."""
    if not DOCUMENT.exists():
        return []
    inside = DOCUMENT.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    lines = [line for line in inside.splitlines() if line.startswith("| ")]
    return [tuple(c.strip() for c in line.strip("|").split("|")) for line in lines[1:]]


def write(rows: list[Row]) -> None:
    """Put a table of *rows* into the documentation."""
    head, _, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
    tail = rest.partition(END)[2]
    DOCUMENT.write_text(f"{head}{BEGIN}\n\n{draw(rows)}\n\n{END}{tail}", "utf-8")


def run_all(chosen: list[Set], arguments: list[str], update: bool, jobs: int) -> int:
    """Run sets and compare with the documentation; return the exit code."""
    able = []
    for one in chosen:
        if one.lacks:
            print(f"\n{one.name}: NOT TESTED, it needs {one.lacks}", flush=True)
        else:
            able.append(one)

    def prepared(one: Set) -> tuple[list[Row], bool]:
        prepare(one)
        return run(one, arguments)

    with ThreadPoolExecutor(jobs) as threads:
        results = list(threads.map(prepared, able))
    rows = [row for new, _ in results for row in new]
    ran = [one.name for one in able]
    failed = [name for name, (_, well) in zip(ran, results, strict=True) if not well]
    print(f"\n{draw(in_order(rows))}\n")
    if failed:
        print(f"failed: {', '.join(failed)}")
        return 1
    if arguments:
        return 0  # only some of the tests
    told = documented()
    known = {one.name for one in read_sets(())}
    wanted = in_order(
        [*(r for r in told if r[-1] not in ran and r[-1] in known), *rows]
    )
    if update:
        write(wanted)
        return 0
    # Without the page, which is not part of the clone, some tests are skipped.
    if wanted == told or (not PAGE.exists() and set(wanted) <= set(told)):
        return 0
    print(f"{DOCUMENT.relative_to(ROOT)} says something else: make frameworks UPDATE=1")
    return 1


def main() -> int:
    """Read the command line and do what it says."""
    words = sys.argv[1:]
    own = list(itertools.takewhile(lambda word: word != "--", words))
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("command", choices=["run", "compile"])
    parser.add_argument("sets", nargs="*", metavar="SET")
    parser.add_argument("--update", action="store_true", help="write the table down")
    parser.add_argument("--jobs", type=int, default=2, help="sets at the same time")
    options = parser.parse_args(own)
    chosen = read_sets(options.sets)
    if options.command == "run":
        return run_all(chosen, words[len(own) + 1 :], options.update, options.jobs)
    for one in chosen:
        compile_set(one)
    return 0


if __name__ == "__main__":
    sys.exit(main())
