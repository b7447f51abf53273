"""Schemas and arguments for frameworks that want pydantic models or strict mode."""

from __future__ import annotations

import json
from typing import Any

import pydantic
import pytest

from hudtrace.frameworks.arguments import arguments_model, type_saying
from hudtrace.frameworks.schemas import closed, inlined, restored
from hudtrace.testing.apis.refusals import check_strict_schema

SCHEMA: dict[str, Any] = {
    "$defs": {
        "Pair": {
            "type": "object",
            "description": "Two.",
            "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
            "required": ["a"],
        },
        "Node": {
            "type": "object",
            "properties": {"next": {"$ref": "#/$defs/Node"}, "n": {"type": "integer"}},
        },
    },
    "type": "object",
    "properties": {
        "pair": {"$ref": "#/$defs/Pair", "description": "Which."},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "maybe": {"anyOf": [{"type": "object"}, {"type": "null"}], "default": None},
        "rows": {
            "type": "array",
            "items": {"type": "object", "additionalProperties": {"type": "number"}},
        },
        "either": {"anyOf": [{"type": "string"}, {"type": "object"}]},
        "node": {"$ref": "#/$defs/Node"},
        "copy": {"type": "boolean"},
        "$ref": {"type": "string"},
    },
    "required": ["pair", "labels"],
    "additionalProperties": False,
}


def test_references_are_inlined() -> None:
    """What a reference means is in its place, and what is beside it wins."""
    whole = inlined(SCHEMA)
    assert "$defs" not in whole
    assert whole["properties"]["pair"]["description"] == "Which."
    assert whole["properties"]["pair"]["required"] == ["a"]
    assert whole["properties"]["node"]["properties"]["next"] == {}
    assert whole["properties"]["$ref"] == {"type": "string"}
    assert "$defs" in SCHEMA


def test_a_closed_schema() -> None:
    """Strict mode takes it, maps and optional arguments included."""
    strict = closed(SCHEMA)
    check_strict_schema(strict, "tool")
    labels = strict["properties"]["labels"]
    assert labels["type"] == "string"
    assert "JSON object" in labels["description"]
    assert strict["required"] == list(SCHEMA["properties"])


def test_maps_are_restored() -> None:
    """A map that came as text is a map again, at any depth; text stays text."""
    sent = {
        "pair": {"a": 1, "b": None},
        "labels": '{"x": "y"}',
        "maybe": '{"deep": {"er": 1}}',
        "rows": ['{"z": 1.5}', {"z": 2}],
        "either": '{"stays": "text"}',
    }
    assert restored(sent, SCHEMA) == {
        "pair": {"a": 1, "b": None},
        "labels": {"x": "y"},
        "maybe": {"deep": {"er": 1}},
        "rows": [{"z": 1.5}, {"z": 2}],
        "either": '{"stays": "text"}',
    }
    assert restored({"labels": "no JSON", "maybe": "[1]"}, SCHEMA) == {
        "labels": "no JSON",
        "maybe": "[1]",
    }


@pytest.mark.parametrize(
    "sent",
    [
        {"labels": {}, "pair": {"a": "not an integer"}, "copy": True},
        {"_odd": 1, "model_config": 2, "labels": None},
        {},
    ],
)
def test_a_model_takes_what_is_sent(sent: dict[str, Any]) -> None:
    """Arguments go through as they are, in their order, whatever their names."""
    model = arguments_model("tool", SCHEMA)
    assert model.model_json_schema() == inlined(SCHEMA)
    for made in (model(**sent), model.model_validate(sent)):
        assert json.dumps(made.sent()) == json.dumps(sent)
        assert json.dumps(made.model_dump(exclude_unset=True)) == json.dumps(sent)


def test_a_model_inside_another() -> None:
    """Inside another model it says and keeps the same."""
    inner = arguments_model("tool", SCHEMA)
    outer = pydantic.create_model("outer", tool=(inner, ...))
    made = outer.model_validate({"tool": {"labels": {"a": "b"}}})
    assert made.model_dump() == {"tool": {"labels": {"a": "b"}}}
    assert inlined(outer.model_json_schema())["properties"]["tool"] == inlined(SCHEMA)


def test_a_type_that_says_a_schema() -> None:
    """An annotation says the schema and takes any value."""
    adapter = pydantic.TypeAdapter(type_saying("labels", {"type": "object", "x": 1}))
    assert adapter.json_schema() == {"type": "object", "x": 1}
    assert adapter.validate_python("anything") == "anything"
