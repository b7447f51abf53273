"""The official Node packages: `openai`, and the SDK of MCP."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from node_kit import node_folder
from server_kit import Serve, Server

from hudtrace.messages import text_of
from hudtrace.testing import ScriptedRequest, call, say
from hudtrace.testing.scripts import ScriptedReply

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def node() -> Path:
    """A folder with the scripts and what they need, in the user's cache."""
    return node_folder(HERE)


def run(folder: Path, script: str, origin: str) -> Any:
    done = subprocess.run(
        ["node", script, origin], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_openai_package(serve: Serve, node: Path) -> None:
    """Begin, go on, stream, be refused, finish."""
    lookup = call(("lookup_ceo", {"company": "HUD"}))
    server = serve([lookup, say("Jay Ram"), say("Hm."), say("It is JR")])
    assert run(node, "chat.mjs", server.origin) == {
        "first": "Jay Ram",
        "second": "Hm.",
        "text": "It is JR",
        "same": True,
        "refused": [400, "missing_scenario", "scenario"],
        "reward": 1.0,
    }


def test_the_mcp_sdk(serve: Serve, node: Path) -> None:
    """Two clients at once list and call the tools, with the right reward each."""

    def answer(request: ScriptedRequest) -> ScriptedReply:
        return say("JR" if "HUD" in text_of(request.conversation[0]) else "?")

    right, wrong = run(node, "mcp.mjs", serve(answer).origin)
    assert (right["reward"], wrong["reward"]) == (1, 0)
    assert len(right["tools"]) == 4


def test_the_mcp_sdk_as_the_agent(env: Any, store: object, node: Path) -> None:
    """Two agents at once play the served environment, with the right reward each."""
    with Server(env, lambda: None, {}) as server:
        right, wrong = run(node, "agent.mjs", server.origin)
    assert (right["reward"], wrong["reward"]) == (1, 0)
    assert right["asked"] == "What are the initials of the CEO of HUD?"
    assert "scenario_submit" in right["tools"]
    assert not server.agents._open
