"""The layers of the architecture, held by the import statements themselves."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = {
    0: "errors exits semconv settings messages notices progress terminal",
    1: "tools schema nulls threads loops locks grading tree tracing delivery store backends dialects prices answers index transcript",
    2: "task prompts scenario scenario_run environment registry hub mcp_servers frameworks formats instrumentation interchange",
    3: "runtime carriers record limits result toolbox converters eval_view open_eval sync_eval context bare jobs evaluation comparison verdicts notebook chat",
    4: "server viewer testing cli __main__",
}
LAYER = {name: layer for layer, names in LAYERS.items() for name in names.split()}
FORBIDDEN = [
    ("store", "tracing"),
    ("tracing", "store"),
    ("tracing", "delivery"),
    ("store", "delivery"),
    ("dialects", "tracing"),
    ("dialects", "delivery"),
    ("dialects", "store"),
    ("viewer", "server"),
    ("server", "viewer"),
]
#: Imports of higher layers, each inside a function and each with its reason.
UPWARD = {
    ("task", "environment"),  # same layer, but the other way round at the top
    ("environment", "server"),  # env.serve_as_agent
}


def modules() -> list[Path]:
    return [p for p in (ROOT / "hudtrace").rglob("*.py") if p.parent.name != "_data"]


def imports(path: Path) -> set[str]:
    """Return the modules of ours that *path* imports, by their second name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "hudtrace":
                names = [f"hudtrace.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {n.split(".")[1] for n in names if n.startswith("hudtrace.")}
        assert not any(n.split(".")[0] in ("hud", "hudtrace_exporters") for n in names)
    return found - {"__version__"}


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_lower_layers(path: Path) -> None:
    """Each module imports its own layer and those below, and no forbidden one."""
    own = path.relative_to(ROOT / "hudtrace").parts[0].removesuffix(".py")
    if own == "__init__":
        return
    for other in imports(path) - {own}:
        if (own, other) not in UPWARD:
            assert LAYER[other] <= LAYER[own], f"{own} imports {other}"
        assert (own, other) not in FORBIDDEN, f"{own} must not know {other}"


def test_exporters_know_only_the_seam() -> None:
    """The backends that ship reach the core as any plug-in does."""
    for path in (ROOT / "exporters" / "hudtrace_exporters").glob("*.py"):
        allowed = {"hudtrace.backends", "hudtrace_exporters.otlp"}
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("hud"):
                assert node.module in allowed, f"{path.name} imports {node.module}"


def test_names_of_attributes_stand_in_semconv_alone() -> None:
    """No module but semconv spells an attribute name."""
    literal = re.compile(r"""["'](?:hud|gen_ai)\.[a-z_.]+["']""")
    for path in modules():
        if path.name == "semconv.py":
            continue
        found = literal.search(path.read_text("utf-8"))
        assert found is None, f"{path.relative_to(ROOT)}: {found and found.group()}"


def test_only_settings_reads_the_environment() -> None:
    """No module but settings reads os.environ."""
    for path in modules():
        if path.name != "settings.py":
            text = path.read_text("utf-8")
            assert "os.environ" not in text, path
            assert "getenv" not in text, path


def test_modules_stay_small() -> None:
    """No module grows past 500 lines."""
    for path in modules():
        lines = len(path.read_text("utf-8").splitlines())
        assert lines <= 500, f"{path.relative_to(ROOT)}: {lines} lines"
