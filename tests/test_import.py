"""Importing does nothing: no client, exporter, thread, network or global state."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

LOOK = """
import sys, threading, logging, json, os, socket
sys.addaudithook(lambda name, args: name.startswith("socket.connect") and os._exit(9))
handlers = list(logging.root.handlers)
before = dict(os.environ)
{code}
from opentelemetry import trace
print(json.dumps({{
    "modules": sorted({{name.split(".")[0] for name in sys.modules}}),
    "all": sorted(sys.modules),
    "threads": threading.active_count(),
    "handlers": len(logging.root.handlers) - len(handlers),
    "environ": before == dict(os.environ),
    "provider": type(trace.get_tracer_provider()).__name__,
}}))
"""
HEAVY = {
    "openai",
    "anthropic",
    "google.genai",
    "fastapi",
    "starlette",
    "uvicorn",
    "structlog",
    "mcp",
    "mcp_types",
    "httpx",
    "httpx2",
    "grpc",
    "requests",
}


def after(code: str) -> dict[str, object]:
    """Run *code* in a new interpreter, and say what it left behind."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK.format(code=code)],
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, object] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize(
    "code",
    [
        "import hud",
        "import hudtrace",
        "import hud; [getattr(hud, n) for n in (*hud.__all__, 'eval')]",
    ],
)
def test_import_has_no_side_effects(code: str) -> None:
    """Neither the import nor the use of any name loads or starts anything heavy."""
    state = after(code)
    assert not HEAVY & set(state["modules"])  # type: ignore[call-overload]
    assert not [m for m in state["all"] if "exporter" in m]  # type: ignore[attr-defined]
    assert state["threads"] == 1
    assert state["handlers"] == 0
    assert state["environ"] is True
    assert state["provider"] == "ProxyTracerProvider"


def test_importing_hud_loads_next_to_nothing() -> None:
    """`import hud` alone loads neither pydantic nor OpenTelemetry's SDK."""
    modules = after("import hud; loaded = set(sys.modules)\nprint(end='')")["all"]
    assert isinstance(modules, list)
    assert "pydantic" not in modules
    assert "opentelemetry.sdk" not in modules
