"""The distribution: a wheel and an editable install that work on their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.packaging


def run(*command: str | Path, **options: object) -> str:
    """Run a command, and return what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return str(done.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this project."""
    folder = tmp_path_factory.mktemp("dist")
    code = (
        f"import hatchling.build as b, os; os.chdir({str(ROOT)!r}); "
        f"print(b.build_wheel({str(folder)!r}))"
    )
    run(sys.executable, "-c", code)
    (built,) = folder.glob("*.whl")
    return built


def test_what_is_in_the_wheel(wheel: Path) -> None:
    """The packages, their type markers, the schema, the licence; nothing else."""
    names = set(zipfile.ZipFile(wheel).namelist())
    for needed in (
        "hud/__init__.py",
        "hud/py.typed",
        "hudtrace/py.typed",
        "hudtrace/store/schema.sql",
        "hudtrace/store/outbox.sql",
        "hudtrace_exporters/py.typed",
        "hudtrace/_data/compose.yaml",
        "hudtrace/_data/otel-collector.yaml",
        "hudtrace/_data/dashboards/jaeger.yaml",
    ):
        assert needed in names
    static = ROOT / "hudtrace" / "viewer" / "static"
    files = [file for file in static.rglob("*") if file.is_file()]
    assert {file.suffix for file in files} >= {".html", ".css", ".mjs", ".svg"}
    for file in files:
        assert file.relative_to(ROOT).as_posix() in names
    assert any(name.endswith("LICENSE") for name in names)
    tops = {name.split("/")[0] for name in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {
        "hud",
        "hudtrace",
        "hudtrace_exporters",
    }


def test_the_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    """Installed in an environment of its own, the command and an eval work."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=False, system_site_packages=False)
    python = home / "bin" / "python"
    target = next((home / "lib").glob("python*")) / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    # The dependencies come from this environment: no network is needed.
    here = next(Path(p) for p in sys.path if p.endswith("site-packages"))
    (target / "dependencies.pth").write_text(f"{here}\n")
    code = (
        "import asyncio, hud, hudtrace; print(hudtrace.__file__)\n"
        "env = hud.Environment('w')\n"
        "@env.scenario('one')\n"
        "async def one():\n    yield 'p'\n    yield 1.0\n"
        "async def main():\n"
        "    async with hud.eval(one()) as ctx: await ctx.submit('x')\n"
        "    print(ctx.result.reward, await ctx.result.delivered())\n"
        "asyncio.run(main())"
    )
    env = {**os.environ, "HUDTRACE_STORE": str(tmp_path / "t.db")}
    out = run(python, "-c", code, env=env, cwd=tmp_path)
    assert str(target) in out
    assert "1.0 True" in out
    listed = run(python, "-m", "hudtrace.cli", "ls", env=env, cwd=tmp_path)
    assert "w:one" in listed
    view = [python, "-m", "hudtrace.cli", "view", "--port", "0", "--otlp-http", "off"]
    with subprocess.Popen(
        view, stdout=subprocess.PIPE, text=True, env=env, cwd=tmp_path
    ) as viewing:
        assert viewing.stdout is not None
        url = viewing.stdout.readline().strip()
        page = httpx.get(url).text
        for name in re.findall(r'(?:href|src)="(/static/[^"]+)"', page):
            assert httpx.get(url.rstrip("/") + name).status_code == 200, name
        found = httpx.get(f"{url}api/hud/v1/episodes", params={"q": "env:w"}).json()
        assert found["total"] == 1
        viewing.terminate()


def test_the_editable_install_is_this_folder(tmp_path: Path) -> None:
    """The tests run against this folder's code, and its version is the project's."""
    out = run(
        sys.executable,
        "-c",
        "import hudtrace; print(hudtrace.__file__, hudtrace.__version__)",
        cwd=tmp_path,
    )
    assert out.split() == [str(ROOT / "hudtrace" / "__init__.py"), "0.1.0"]


def test_lock_files_name_no_registry() -> None:
    """Constraint files hold names and versions, and no address."""
    for path in (ROOT / "constraints").glob("*.txt"):
        assert "://" not in path.read_text("utf-8"), path


@pytest.mark.parametrize("name", ["hud", "hud-python"])
def test_namesakes_are_named(tmp_path: Path, name: str) -> None:
    """Another distribution with a package `hud` is said by name, once."""
    info = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    env = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "HUDTRACE_STORE": str(tmp_path / "t.db"),
    }
    code = "import hud; hud.configure(); hud.configure()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env
    )
    assert done.stderr.count(f"'{name}' is installed beside hudtrace") == 1
