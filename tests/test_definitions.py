"""What cannot be right is refused where it is written, by name."""

from __future__ import annotations

import socket
import sys
import typing
from collections.abc import Callable
from typing import Any

import pytest

import hudtrace as hud
from hudtrace.dialects import (
    anthropic_messages,
    gemini,
    openai_chat,
    openai_responses,
)
from hudtrace.errors import ConfigurationError
from hudtrace.frameworks import mcp
from hudtrace.tools import Tool


class Old(typing.TypedDict):
    a: int


def tool_named(name: str) -> Tool:
    def function() -> None: ...

    return Tool.from_function(function, name=name)


@pytest.mark.parametrize("name", ["", "look up", "lookup!", "größe", "a" * 129, "a\n"])
def test_a_name_that_no_format_takes_is_refused_at_once(name: str) -> None:
    """Registration refuses what no model could call."""
    env = hud.Environment("names")
    with pytest.raises(ValueError, match="it has letters, digits"):
        env.tool(name=name)(lambda: None)
    assert not env.tools


@pytest.mark.parametrize(
    ("name", "takers"),
    [
        ("lookup-ceo_2", {"openai_chat", "openai_responses", "anthropic", "gemini"}),
        ("files.read", {"gemini"}),
        ("files/read", set()),
        ("a" * 65, {"anthropic"}),
        ("2nd", {"openai_chat", "openai_responses", "anthropic"}),
    ],
)
def test_an_api_is_not_sent_a_name_that_it_refuses(name: str, takers: set[str]) -> None:
    """MCP names its tools more freely; an API that does not, says so on export."""
    tool = tool_named(name)
    assert mcp.export([tool])[0].name == name
    dialects: dict[str, Any] = {
        "openai_chat": openai_chat,
        "openai_responses": openai_responses,
        "anthropic": anthropic_messages,
        "gemini": gemini,
    }
    for label, dialect in dialects.items():
        if label in takers:
            dialect.export([tool])
            continue
        with pytest.raises(ConfigurationError, match="rename it") as caught:
            dialect.export([tool])
        assert repr(name) in str(caught.value)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="works there")
def test_an_old_typed_dict_is_refused_with_the_way_out() -> None:
    """Before Python 3.12 the error says which TypedDict to take, and where."""

    def take(n: int, old: list[Old]) -> None: ...

    with pytest.raises(TypeError, match="take: parameter old uses typing") as caught:
        Tool.from_function(take)
    assert "from typing_extensions import TypedDict" in str(caught.value)


@pytest.mark.parametrize("hint", [socket.socket, Callable[[int], int]])
def test_a_type_without_a_schema_is_refused_by_name(hint: Any) -> None:
    """A parameter that no JSON can be checked against is named."""

    def take(n: int, thing: Any) -> None: ...

    take.__annotations__["thing"] = hint
    with pytest.raises(TypeError, match="take: parameter thing has a type"):
        hud.Environment("hints").tool(take)


def test_an_eval_says_what_it_takes(env: hud.Environment, task: hud.Task) -> None:
    """Limits that are none, and a scenario without its arguments, are explained."""
    run: Any = hud.eval
    with pytest.raises(TypeError, match=r"limits={'turns': 3}: it is a hud.Limits"):
        run(task, limits={"turns": 3})
    limits: Any = hud.Limits
    for wrong in ("5", True, 0, float("nan")):
        with pytest.raises(ValueError, match=r"Limits\(turns=.*above 0"):
            limits(turns=wrong)
    with pytest.raises(TypeError, match="the scenario 'initials' itself; call it with"):
        run(env.scenarios["initials"])


def test_a_task_says_what_it_takes(env: hud.Environment) -> None:
    """A scenario object, arguments that are none, a name that is none: say so."""
    scenario = env.scenarios["initials"]
    make: Any = env
    with pytest.raises(TypeError, match=r"task = initials\(.*or name it: 'initials'"):
        make(scenario, company="HUD")
    with pytest.raises(TypeError, match="name it: env"):
        make(3)
    with pytest.raises(TypeError, match="args='abc': the arguments of scenario"):
        make.task("initials", "abc")
    task: Any = hud.Task
    with pytest.raises(TypeError, match="call the environment itself"):
        task(env, "initials")
    environment: Any = hud.Environment
    with pytest.raises(TypeError, match="the name is a text"):
        environment(None)
