"""Where a framework is not installed, its converter says how to install it."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

import hudtrace as hud
from hudtrace.errors import MissingExtra

pytestmark = pytest.mark.usefixtures("store")


@pytest.mark.parametrize(
    ("method", "package", "extra"),
    [
        ("as_openai_agent_tools", "agents", "agents"),
        ("as_langchain_tools", "langchain_core", "langchain"),
        ("as_llamaindex_tools", "llama_index", "llamaindex"),
        ("as_adk_tools", "google.adk", "adk"),
        ("as_crewai_tools", "crewai", "crewai"),
        ("as_browser_use_tools", "browser_use", "browser-use"),
    ],
)
async def test_the_pip_line(
    task: hud.Task, method: str, package: str, extra: str
) -> None:
    """`MissingExtra` names the extra of ours that brings the framework."""
    try:
        if find_spec(package) is not None:
            pytest.skip(f"{package} is here")
    except ModuleNotFoundError:
        pass  # not even the package that it would be in
    async with hud.eval(task) as ctx:
        with pytest.raises(MissingExtra, match=rf"pip install 'hudtrace\[{extra}\]'"):
            getattr(ctx, method)()
