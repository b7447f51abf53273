"""Environments, scenarios and tasks: names, references, ids, and clear errors."""

from __future__ import annotations

import enum
import gc
import json
import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import pytest
from typing_extensions import TypedDict

import hudtrace as hud
from hudtrace.errors import (
    InvalidArguments,
    TaskError,
    UnknownEnvironment,
    UnknownScenario,
)
from hudtrace.tools import Tool


async def one(company: str, count: int = 1) -> Any:
    """Ask about a company."""
    yield f"{company} {count}"
    yield 1.0


@pytest.fixture
def env() -> hud.Environment:
    """An environment with one scenario."""
    env = hud.Environment("places")
    env.scenario("one")(one)
    return env


def test_typed_call_equals_the_named_one(env: hud.Environment) -> None:
    """The decorated scenario makes the same task as calling the environment."""
    scenario = env.scenarios["one"]
    task = env("one", company="HUD")
    assert scenario(company="HUD") == task
    assert scenario("HUD") == task
    assert hash(scenario("HUD")) == hash(task)


def test_task_ids_are_stable(env: hud.Environment) -> None:
    """The id depends on environment, scenario and arguments, not on their order."""
    first = env("one", company="HUD", count=2)
    assert env("one", count=2, company="HUD").id == first.id
    assert env("one", company="HUD", count=3).id != first.id
    assert first.id == "places:one:37ceb43ad0e8"


def test_tasks_are_plain(env: hud.Environment) -> None:
    """A task is frozen, JSON, and equal after a round trip."""
    task = env("one", company="HUD").replace(tags=["x"], metadata={"a": 1})
    assert task.tags == ("x",)
    with pytest.raises(AttributeError):
        task.id = "other"  # type: ignore[misc]
    again = hud.Task.from_dict(json.loads(json.dumps(task.to_dict())))
    assert again == task
    assert pickle.loads(pickle.dumps(task)) == task
    assert task.replace(id="mine").id == "mine"


def test_unknown_scenario(env: hud.Environment) -> None:
    """A wrong name is refused when the task is made, with the names there are."""
    with pytest.raises(
        UnknownScenario,
        match=r"no scenario 'oen' in environment 'places' \(it has: one\)",
    ):
        env("oen")


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ({}, "company: missing, but required"),
        (
            {"company": "x", "extra": 1},
            "extra: no such argument (it takes: company, count)",
        ),
        ({"company": 3}, "company: Input should be a valid string (got 3)"),
        ({"company": "x", "count": "many"}, "count: "),
    ],
)
def test_invalid_arguments(
    env: hud.Environment, args: dict[str, Any], text: str
) -> None:
    """Missing, extra and wrongly typed arguments are refused, each by name."""
    with pytest.raises(InvalidArguments) as caught:
        env("one", **args)
    assert text in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_arguments_must_be_plain_data(env: hud.Environment) -> None:
    """An argument that JSON cannot hold is refused with the scenario's name."""
    env.scenario("any")(lambda_scenario())
    with pytest.raises(InvalidArguments, match="must be plain data"):
        env("any", value=object())


def lambda_scenario() -> Callable[..., Any]:
    """Return a scenario that takes anything."""

    async def scenario(value: Any) -> Any:
        yield "p"
        yield 1.0

    return scenario


def test_a_reference_by_name(env: hud.Environment) -> None:
    """An environment without tools or scenarios stands for the one of its name."""
    reference = hud.Environment("places")
    assert reference.resolve() is env
    assert reference("one", company="HUD") == env("one", company="HUD")
    with pytest.raises(UnknownScenario):
        reference("two")


def test_an_unresolved_reference_says_where_it_looked() -> None:
    """A reference that leads nowhere is said at validation, not when it is made."""
    task = hud.Environment("nowhere")("one", x=1)
    with pytest.raises(
        UnknownEnvironment, match=r"'nowhere' is not defined.*connect_hub"
    ):
        task.validate()
    with pytest.raises(TaskError):
        hud.eval(task)


def test_environments_are_not_kept_alive() -> None:
    """A forgotten environment is gone; its tasks keep it while they live."""
    env = hud.Environment("short-lived")
    env.scenario("one")(one)
    task = env("one", company="x")
    del env
    gc.collect()
    task.validate()
    del task
    gc.collect()
    with pytest.raises(UnknownEnvironment):
        hud.Environment("short-lived").resolve()


def define(name: str, module: str) -> hud.Environment:
    """Define an environment as if in another module."""
    names: dict[str, Any] = {"hud": hud, "__name__": module}
    exec(
        f"env = hud.Environment({name!r})\n@env.tool\ndef t() -> str: return 'x'", names
    )
    env: hud.Environment = names["env"]
    env.kept = names  # type: ignore[attr-defined]
    return env


def test_redefinition_in_the_same_module_replaces() -> None:
    """A notebook cell that is run again replaces its environment."""
    first, second = define("cell", "notebook"), define("cell", "notebook")
    assert hud.Environment("cell").resolve() is second
    assert first is not second


def test_two_modules_make_a_reference_fail() -> None:
    """Two live ones of one name: the reference names both places."""
    kept = [define("twice", "module_a"), define("twice", "module_b")]
    with pytest.raises(UnknownEnvironment, match="defined more than once"):
        hud.Environment("twice").resolve()
    assert kept


def test_one_that_nothing_refers_to_does_not_count() -> None:
    """An environment that only awaits its collection is not a second of its name."""
    gc.disable()
    try:
        left = define("left", "module_a")
        left.itself = left  # type: ignore[attr-defined]
        del left
        kept = define("left", "module_b")
        assert hud.Environment("left").resolve() is kept
    finally:
        gc.enable()


SCRIPT = """
import pickle, sys
import hudtrace as hud
env = hud.Environment("script-env")

@env.scenario("one")
async def one():
    yield "p"
    yield 1.0

sys.stdout.buffer.write(pickle.dumps(one()))
"""


def test_a_task_of_a_script_says_what_to_do_elsewhere(tmp_path: Path) -> None:
    """A pickled task whose environment cannot be imported says how to mend that."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script], capture_output=True, check=True)
    task = pickle.loads(done.stdout)
    assert task.reference is None
    with pytest.raises(UnknownEnvironment, match="move the environment into a module"):
        task.validate()


def test_a_task_of_a_module_is_found_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task carries `module:attr`, and another process imports it."""
    (tmp_path / "envs_of_mine.py").write_text(SCRIPT.replace("sys.stdout", "# sys"))
    code = (
        "import envs_of_mine, pickle, sys; "
        "sys.stdout.buffer.write(pickle.dumps(envs_of_mine.one()))"
    )
    path = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env=path
    )
    monkeypatch.syspath_prepend(tmp_path)
    task = pickle.loads(done.stdout)
    assert task.reference == "envs_of_mine:env"
    task.validate()


def test_connect_hub_by_pyproject(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`connect_hub` finds what the nearest pyproject.toml names."""
    (tmp_path / "hubbed.py").write_text(SCRIPT.replace("sys.stdout", "# sys"))
    (tmp_path / "pyproject.toml").write_text(
        '[tool.hudtrace.environments]\nplaces-hub = "hubbed:env"\n'
        'broken = "hubbed:nothing"\nwrong = "json:loads"\n'
    )
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    monkeypatch.syspath_prepend(tmp_path)
    env = hud.Environment("places-hub").connect_hub("places-hub")
    assert list(env.scenarios) == ["one"]
    env("one").validate()
    with pytest.raises(UnknownEnvironment, match="loading it failed"):
        hud.Environment("x").connect_hub("broken")
    with pytest.raises(UnknownEnvironment, match=r"no hud\.Environment"):
        hud.Environment("x").connect_hub("wrong")


def test_connect_hub_by_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`connect_hub` finds an installed distribution's entry point first."""
    (tmp_path / "installed_envs.py").write_text(SCRIPT.replace("sys.stdout", "# sys"))
    info = tmp_path / "installed_envs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: installed-envs\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(
        "[hudtrace.environments]\ninstalled = installed_envs:env\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    env = hud.Environment("installed").connect_hub("installed")
    assert list(env.scenarios) == ["one"]
    assert EntryPoint("a", "b:c", "d").name == "a"


def test_connect_hub_names_every_place() -> None:
    """What is in no hub is an error with all three places."""
    with pytest.raises(UnknownEnvironment) as caught:
        hud.Environment("x").connect_hub("missing")
    for place in ("hudtrace.environments", "pyproject.toml", "HUDTRACE_HUB_URL"):
        assert place in str(caught.value)


def test_digests_change_with_the_grader() -> None:
    """A changed grader or tool changes the digest; the same source keeps it."""

    def build(reward: str, tool: str) -> hud.Environment:
        env = hud.Environment("digest")
        names: dict[str, Any] = {}
        exec(
            textwrap.dedent(f"""
            async def one():
                yield "p"
                yield {reward}
            def tool() -> str:
                return {tool!r}
            """),
            names,
        )
        env.scenario("one")(names["one"])
        env.tool(names["tool"])
        return env

    base = build("1.0", "a")
    assert build("1.0", "a").digest == base.digest
    assert build("0.5", "a").digest != base.digest
    assert build("1.0", "b").digest != base.digest
    assert len(base.digest) == 16


def test_scenarios_must_be_generators() -> None:
    """A function that does not yield is refused when it is decorated."""
    env = hud.Environment("wrong")
    with pytest.raises(TypeError, match="must be a generator function"):
        env.scenario("one")(lambda: None)
    with pytest.raises(TypeError, match="needs a name"):
        env.scenario(one)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="low below high"):
        env.scenario("one", reward_range=(1, 0))(one)
    with pytest.raises(ValueError, match="not empty"):
        hud.Environment("  ")


# Tools ---------------------------------------------------------------------------


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Where(pydantic.BaseModel):
    x: int = pydantic.Field(ge=0)
    labels: list[str] = []


@dataclass
class Size:
    width: float


class Options(TypedDict):
    deep: bool


def everything(
    name: str,
    color: Color,
    where: Where,
    mode: Literal["fast", "slow"] = "fast",
    size: Size | None = None,
    options: Options | None = None,
    tags: list[str] | None = None,
    meta: dict[str, str] | None = None,
    limit: Annotated[int, pydantic.Field(description="At most.", le=10)] = 5,
    anything: Any = None,
) -> str:
    """Search for a thing.

    Looks everywhere.

    Args:
        name: What to look for.
        color: Its color.

    Returns:
        What was found.
    """
    return repr((name, color, where, mode, size, options, tags, meta, limit, anything))


def test_schema_of_a_signature() -> None:
    """Every kind of hint, default and description is in the schema."""
    tool = Tool.from_function(everything)
    schema = tool.input_schema
    properties = schema["properties"]
    assert tool.description.startswith("Search for a thing.")
    assert "Looks everywhere." in tool.description
    assert "Returns" not in tool.description
    assert schema["required"] == ["name", "color", "where"]
    assert schema["additionalProperties"] is False
    assert properties["name"] == {"type": "string", "description": "What to look for."}
    assert schema["$defs"]["Color"]["enum"] == ["red", "blue"]
    assert schema["$defs"]["Where"]["properties"]["x"]["minimum"] == 0
    assert properties["mode"]["enum"] == ["fast", "slow"]
    assert properties["mode"]["default"] == "fast"
    assert properties["limit"]["description"] == "At most."
    assert properties["limit"]["maximum"] == 10
    assert properties["tags"]["anyOf"][0]["items"] == {"type": "string"}
    assert properties["meta"]["anyOf"][0]["additionalProperties"] == {"type": "string"}
    json.dumps(schema)


def test_values_arrive_as_python() -> None:
    """Nested models, dataclasses and enums are built; what is wrong is named by path."""
    tool = Tool.from_function(everything)
    values = tool.validate(
        {
            "name": "n",
            "color": "red",
            "where": {"x": 1},
            "size": {"width": 2},
            "options": {"deep": True},
        }
    )
    assert values["color"] is Color.RED
    assert values["where"] == Where(x=1)
    assert values["size"] == Size(2.0)
    assert "mode" not in values
    with pytest.raises(InvalidArguments) as caught:
        tool.validate({"name": "n", "color": "green", "where": {"x": -1}, "limit": 11})
    text = str(caught.value)
    for field in ("color", "where.x", "limit"):
        assert f"- {field}: " in text


def test_nulls_of_strict_mode_are_dropped() -> None:
    """A null for an optional argument that takes none is as if not given."""
    tool = Tool.from_function(everything)
    values = tool.validate(
        {"name": "n", "color": "red", "where": {"x": 1}, "mode": None, "size": None}
    )
    assert "mode" not in values
    assert values["size"] is None


@pytest.mark.parametrize(
    "style",
    [
        "Do it.\n\nArgs:\n    n: How many.\n",
        "Do it.\n\nParameters\n----------\nn : int\n    How many.\n",
        "Do it.\n\n:param n: How many.\n",
    ],
    ids=["google", "numpy", "rest"],
)
def test_docstring_styles(style: str) -> None:
    """Descriptions are read from Google, NumPy and reST docstrings."""

    def tool(n: int) -> None: ...

    tool.__doc__ = style
    made = Tool.from_function(tool)
    assert made.description == "Do it."
    assert made.input_schema["properties"]["n"]["description"] == "How many."


def test_odd_names_of_arguments() -> None:
    """An argument may have any name that Python allows."""

    def tool(self: int, copy: int, _x: int = 0, model_config: str = "m") -> int:
        return self + copy + _x

    made = Tool.from_function(tool)
    assert made.validate({"self": 1, "copy": 2, "_x": 3}) == {
        "self": 1,
        "copy": 2,
        "_x": 3,
    }


def test_kwargs_take_anything() -> None:
    """A tool with **kwargs takes arguments that its schema does not name."""

    def tool(a: int, **rest: Any) -> None: ...

    made = Tool.from_function(tool)
    assert made.validate({"a": 1, "b": [2]}) == {"a": 1, "b": [2]}
    assert "additionalProperties" not in made.input_schema


def test_wrong_options() -> None:
    """Options that make no sense are refused with the tool's name."""
    env = hud.Environment("options")

    async def coroutine() -> None: ...

    with pytest.raises(ValueError, match="runs in the loop"):
        env.tool(run_in="thread")(coroutine)
    with pytest.raises(ValueError, match="run_in='nowhere'"):
        env.tool(run_in="nowhere")(lambda: None)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="takes a function"):
        env.tool(3)  # type: ignore[call-overload]
