"""Arguments as models send them: nulls of strict mode, and words of JSON in errors."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Literal

import pydantic
import pytest

from hudtrace.dialects import gemini, openai_chat, openai_responses
from hudtrace.dialects.fields import read_arguments
from hudtrace.dialects.strict import strict_schema
from hudtrace.errors import InvalidArguments
from hudtrace.tools import Tool


class Colour(enum.Enum):
    RED = "red"


class Inner(pydantic.BaseModel):
    n: int = 3
    note: str | None = "unset"
    colour: Colour = Colour.RED


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    tricks: int
    lives: int | None = 1


class Outer(pydantic.BaseModel):
    inner: Inner = Inner()
    maybe: Inner | None = None
    many: list[Inner] = []
    pair: tuple[int, Inner] | None = None
    pet: Annotated[Cat | Dog, pydantic.Field(discriminator="kind")] | None = None
    either: Cat | Dog | None = None


class Tree(pydantic.BaseModel):
    label: str = "leaf"
    below: list[Tree] = []


def validated(value: Any) -> Any:
    def take(outer: Outer) -> None: ...

    return Tool.from_function(take).validate({"outer": value})["outer"]


def test_the_nulls_of_strict_mode_are_defaults_at_every_depth() -> None:
    """A null for an optional field that takes none is as if it had not been sent."""

    def take(outer: Outer) -> None: ...

    assert strict_schema(Tool.from_function(take).input_schema) is not None
    nulls = {"n": None, "note": None, "colour": None}
    read = validated(
        {
            "inner": nulls,
            "maybe": nulls,
            "many": [nulls, {"n": 1, "note": None, "colour": "red"}],
            "pair": [1, nulls],
            "pet": {"kind": "cat", "lives": None},
            "either": {"kind": "dog", "tricks": 2, "lives": None},
        }
    )
    inner = Inner(note=None)
    assert read.inner == read.maybe == read.many[0] == read.pair[1] == inner
    assert read.many[1] == Inner(n=1, note=None)
    assert (read.pet, read.either) == (
        Cat(kind="cat", lives=9),
        Dog(kind="dog", tricks=2, lives=None),
    )
    assert validated({"inner": None, "maybe": None, "many": None}) == Outer()


def test_nulls_in_maps_and_recursive_models() -> None:
    """Nulls are found through maps and references to oneself too."""

    def take(trees: dict[str, Tree], forest: dict[str, int] | None = None) -> None: ...

    tool = Tool.from_function(take)
    tree = {"label": None, "below": [{"label": "x", "below": None}]}
    read = tool.validate({"trees": {"a": tree}, "forest": None})
    assert read["trees"]["a"] == Tree(below=[Tree(label="x")])
    assert read["forest"] is None
    with pytest.raises(InvalidArguments, match=r"trees\.a"):
        tool.validate({"trees": {"a": None}})


def test_a_null_that_counts_stays() -> None:
    """Required fields and those that allow null get the null."""

    def take(a: int | None, b: Any = 1, c: Literal["x", None] = "x") -> None: ...

    tool = Tool.from_function(take)
    assert tool.validate({"a": None, "b": None, "c": None}) == {
        "a": None,
        "b": None,
        "c": None,
    }
    with pytest.raises(InvalidArguments, match="tricks"):
        validated({"pet": {"kind": "dog", "tricks": None}})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "an array"),
        ('"x"', "a string"),
        ("1.5", "a number"),
        ("true", "a boolean"),
    ],
)
def test_a_mistake_is_told_in_words_of_json(text: str, words: str) -> None:
    """A model that sends no object is told what it sent, as JSON calls it."""
    arguments, problem = read_arguments(text)
    assert arguments is None
    assert problem == f"the arguments are {words}; send a JSON object"
    call = {"name": "f", "args": [1]}
    parsed = gemini.parse(call)
    assert parsed is not None
    assert "an array" in str(parsed.problem)


@pytest.mark.parametrize("dialect", [openai_chat, openai_responses])
def test_null_for_arguments_is_no_arguments(dialect: Any) -> None:
    """Models send `null` to a tool that takes nothing."""
    call = {"name": "f", "arguments": "null"}
    wire = {"type": "function_call", "call_id": "c", **call}
    if dialect is openai_chat:
        wire = {"id": "c", "type": "function", "function": call}
    parsed = dialect.parse(wire)
    assert (parsed.arguments, parsed.problem) == ({}, None)


def test_what_does_not_fit_is_told_in_words_of_json() -> None:
    """The line for each field has no Python in it."""

    def take(inner: Inner, items: list[int], nothing: None, on: bool) -> None: ...

    tool = Tool.from_function(take)
    with pytest.raises(InvalidArguments) as caught:
        tool.validate({"inner": [None, True], "items": {"a": 1}, "nothing": 1})
    assert str(caught.value).splitlines()[1:] == [
        "- inner: Input should be an object (got [null,true])",
        '- items: Input should be an array (got {"a":1})',
        "- nothing: Input should be null (got 1)",
        "- on: missing, but required",
    ]
