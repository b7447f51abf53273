"""The page's CrewAI example, with the versions that take LangChain's model and tools."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from contract import BARE, HARD, People, check_trace, framework, tree
from page_code import GATEWAY, PAGE, run, snippet

import hudtrace as hud
from hudtrace.testing import ScriptedModel, captured_spans, redirect, say

framework("crewai")

from crewai import Agent, Crew, Task  # noqa: E402
from langchain_openai import ChatOpenAI  # noqa: E402

#: The vocabulary for counting tokens, which would be downloaded.
litellm = find_spec("litellm")
if litellm is not None and litellm.origin is not None:
    tokenizers = Path(litellm.origin).parent / "litellm_core_utils" / "tokenizers"
    os.environ["TIKTOKEN_CACHE_DIR"] = str(tokenizers)

#: From 0.63 on the address of LangChain's model is not asked for.
HONOURS = version("crewai").startswith("0.5")


@pytest.fixture(autouse=True)
def switches(
    store: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """Its telemetry is off, and what it keeps is in a place of the test's own."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    return monkeypatch


def ask(tool: str, arguments: Any) -> Any:
    """Ask for a tool as the text that these versions speak in."""
    words = json.dumps(arguments)
    return say(f"Thought: I should look.\nAction: {tool}\nAction Input: {words}\n")


def answer(text: str) -> Any:
    """Answer as they do."""
    return say(f"Thought: I now can give a great answer\nFinal Answer: {text}")


@pytest.mark.skipif(not PAGE.exists(), reason=f"the page is not at {PAGE}")
@pytest.mark.section(
    "CrewAI",
    "crewai",
    "as on the page",
    result="reward 1.0" if HONOURS else "reward 1.0, with OPENAI_API_BASE",
)
def test_page(switches: pytest.MonkeyPatch) -> None:
    """The example: reward 1.0, the right tree; `kickoff` beside a running loop."""
    switches.setenv("HUD_API_KEY", "page-key-123")
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(snippet("The Example Environment"), "page", "exec"), names)
    script = [ask("lookup_ceo", {"company": "HUD"}), answer("The initials are JR.")]
    with (
        ScriptedModel(script) as model,
        redirect({GATEWAY: model.origin}),
        captured_spans() as spans,
    ):
        if not HONOURS:
            switches.setenv("OPENAI_API_BASE", model.url)
        done = run(snippet("CrewAI"), names, names["task"])
    expected = tree("gpt-4o", ["lookup_ceo"], [], env="trivia:initials")
    check_trace(spans, done["ctx"].result, expected)
    said = json.dumps(model.requests[0])
    assert "lookup_ceo" in said
    assert "company" in said
    assert "Jay Ram" in json.dumps(model.requests[1])


@pytest.mark.parametrize("arguments", [HARD, BARE], ids=["hard", "bare"])
async def test_hard_arguments(
    switches: pytest.MonkeyPatch, arguments: dict[str, Any]
) -> None:
    """The harder environment: the model is told all of it, and is understood."""
    people = People()
    script = [ask("search", arguments), ask("broken", {"reason": "rust"})]
    script.append(answer("all done"))
    with ScriptedModel(script) as model, captured_spans() as spans:
        switches.setenv("OPENAI_API_BASE", model.url)
        llm = ChatOpenAI(model="gpt-4o", base_url=model.url, api_key="none")
        async with hud.eval(people.task) as ctx:
            helper = Agent(
                role="Helper",
                goal="Do what is asked",
                backstory="Helpful",
                tools=ctx.as_langchain_tools(),
                llm=llm,
            )
            task = Task(
                description=ctx.prompt, expected_output="An answer", agent=helper
            )
            await ctx.submit(Crew(agents=[helper], tasks=[task]).kickoff())
    assert ctx.answer == "all done"
    turns = [["search"], ["broken error=hudtrace.errors.ToolError"], []]
    check_trace(spans, ctx.result, tree("gpt-4o", *turns))
    first, second = ctx.tool_calls
    assert (first.arguments, second.arguments) == (arguments, {"reason": "rust"})
    told = json.dumps(model.requests[0])
    for word in ("founder", "min_age", "street", "floors"):
        assert word in told
    assert "this tool is broken: rust" in json.dumps(model.requests[-1])
