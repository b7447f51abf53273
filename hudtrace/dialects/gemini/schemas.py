"""JSON Schemas in the part of them that Gemini's function declarations know.

What that part cannot say goes into the description, where the model reads it.
Source: Gemini API reference, `Schema`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object"})
_FORMATS = frozenset({"date-time", "float", "double", "int32", "int64"})
_ALTERNATIVES = ("anyOf", "oneOf", "type")
_TOLD = {
    "default": "default",
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
    "multipleOf": "a multiple of",
    "minLength": "characters, at least",
    "maxLength": "characters, at most",
    "pattern": "pattern",
    "minProperties": "properties, at least",
    "maxProperties": "properties, at most",
}


def gemini_schema(schema: Json, *, alternatives: bool = True) -> Json:
    """Return *schema* with upper-case types and only the keys that Gemini knows.

    References are inlined and alternatives are `any_of`. Where *alternatives*
    is False (google.generativeai knows none), they become the one type that
    holds them best: of several objects, one with the properties of all.

    Gemini has neither recursion nor maps. A model inside of itself is an object
    without properties, a map likewise; their descriptions tell the model what
    belongs there, and a call's arguments are checked against the whole schema.
    """
    definitions = {
        f"#/{key}/{name}": definition
        for key in ("$defs", "definitions")
        for name, definition in (schema.get(key) or {}).items()
    }
    return _Reduction(definitions, alternatives).of(schema)


class _Reduction:
    """One schema on its way, with the definitions that it refers to."""

    def __init__(self, definitions: Mapping[str, Json], alternatives: bool) -> None:
        self._definitions = definitions
        self._alternatives = alternatives

    def of(self, node: Any, path: tuple[str, ...] = ()) -> Json:
        if not isinstance(node, dict):
            return {"type": "STRING"}
        if "$ref" in node:
            return self._referred(node, path)
        node, path = self._merged(node, path)
        options, nullable = _options(node)
        if len(options) > 1:
            made, told = self._choice(options, path)
        elif options:
            rest = {key: node[key] for key in node if key not in _ALTERNATIVES}
            made, told = self.of({**options[0], **rest}, path), []
        else:
            made, told = self._plain(node, path)
        made = _described(node, made, told)
        return _nullable(made) if nullable else made

    def _choice(
        self, options: list[Json], path: tuple[str, ...]
    ) -> tuple[Json, list[str]]:
        """Reduce alternatives; return them and what they could not say."""
        reduced = [self.of(option, path) for option in options]
        flat = [each for one in reduced for each in one.get("any_of", [one])]
        made = [one for index, one in enumerate(flat) if one not in flat[:index]]
        best = _best(made)
        if len(made) == 1 or _holds_all(best, made):
            return best, []
        if self._alternatives:
            return {"any_of": made}, []
        return best, [best.pop("description", ""), _alternatives(options, reduced)]

    def _referred(self, node: Json, path: tuple[str, ...]) -> Json:
        reference = node["$ref"]
        beside = {key: value for key, value in node.items() if key != "$ref"}
        if reference not in self._definitions:
            return self.of({"type": "object", **beside}, path)
        if reference in path:
            own = beside.get("description") or ""
            name = reference.rpartition("/")[2]
            told = f"{own} (of the same form as the {name} that it is in)".strip()
            return {"type": "OBJECT", "description": told}
        return self.of({**self._definitions[reference], **beside}, (*path, reference))

    def _merged(
        self, node: Json, path: tuple[str, ...]
    ) -> tuple[Json, tuple[str, ...]]:
        """Put the parts of `allOf` into *node* itself."""
        kept = {key: value for key, value in node.items() if key != "allOf"}
        for part in node.get("allOf") or ():
            while isinstance(part, dict) and part.get("$ref") in self._definitions:
                if part["$ref"] in path:
                    part = {}
                    break
                path = (*path, part["$ref"])
                part = self._definitions[part["$ref"]]
            if isinstance(part, dict):
                properties = {
                    **part.get("properties", {}),
                    **kept.get("properties", {}),
                }
                required = [*part.get("required", ()), *kept.get("required", ())]
                kept = {**part, **kept, "properties": properties, "required": required}
        return kept, path

    def _plain(self, node: Json, path: tuple[str, ...]) -> tuple[Json, list[str]]:
        """Reduce a node of one type; return it and what it could not say."""
        kind = _kind(node)
        made: Json = {"type": kind.upper()}
        told = [
            f"{words} {_json(node[key])}"
            for key, words in _TOLD.items()
            if node.get(key) is not None
        ]
        if node.get("format") in _FORMATS:
            made["format"] = node["format"]
        elif node.get("format"):
            told.append(f"format {node['format']}")
        told += _choose(node, kind, made)
        if kind == "array":
            self._array(node, made, path)
        elif kind == "object":
            told += self._object(node, made, path)
        return made, told

    def _array(self, node: Json, made: Json, path: tuple[str, ...]) -> None:
        items = node.get("items")
        pieces = node.get("prefixItems")
        if pieces and not isinstance(items, dict):
            items = {"anyOf": pieces} if len(pieces) > 1 else pieces[0]
        made["items"] = self.of(items, path)
        for key, name in (("minItems", "min_items"), ("maxItems", "max_items")):
            if isinstance(node.get(key), int):
                made[name] = node[key]

    def _object(self, node: Json, made: Json, path: tuple[str, ...]) -> list[str]:
        properties = node.get("properties") or {}
        if properties:
            made["properties"] = {
                name: self.of(child, path) for name, child in properties.items()
            }
        required = [name for name in node.get("required") or () if name in properties]
        if required:
            made["required"] = list(dict.fromkeys(required))
        values = node.get("additionalProperties")
        if not isinstance(values, dict) or not values:
            return []
        return [f"any keys, with values {_in_words(self.of(values, path))}"]


def _options(node: Json) -> tuple[list[Json], bool]:
    """Return the alternatives of a node that are not null, and whether null is one."""
    options = node.get("anyOf") or node.get("oneOf")
    kinds = node.get("type")
    if not isinstance(options, list):
        options = []
        if isinstance(kinds, list):
            rest = {key: value for key, value in node.items() if key != "type"}
            options = [{**rest, "type": kind} for kind in kinds]
    real = [o for o in options if isinstance(o, dict) and o.get("type") != "null"]
    nullable = len(real) < len(options) or None in (node.get("enum") or ())
    return real, nullable


def _kind(node: Json) -> str:
    kind = node.get("type")
    if kind in _TYPES:
        return str(kind)
    if "properties" in node or "additionalProperties" in node:
        return "object"
    return "array" if "items" in node or "prefixItems" in node else "string"


def _choose(node: Json, kind: str, made: Json) -> list[str]:
    """Write an enumeration of texts; return any other as words."""
    values = [node["const"]] if "const" in node else node.get("enum") or []
    values = [value for value in values if value is not None]
    if not values:
        return []
    if kind == "string" and all(isinstance(v, str) and v for v in values):
        made["enum"] = values
        return []
    return ["one of " + ", ".join(map(_json, values))]


def _best(made: list[Json]) -> Json:
    """Return the one schema that holds most of what the alternatives do."""
    kinds = {each.get("type") for each in made}
    if kinds == {"OBJECT"}:
        return _together(made)
    if kinds == {"STRING"} and all("enum" in each for each in made):
        values = dict.fromkeys(value for each in made for value in each["enum"])
        return {"type": "STRING", "enum": list(values)}
    if "STRING" in kinds and not kinds & {"OBJECT", "ARRAY"}:
        return {"type": "STRING"}
    if kinds == {"INTEGER", "NUMBER"}:
        return {"type": "NUMBER"}
    return dict(made[0])


def _together(made: list[Json]) -> Json:
    """Return an object with the properties of all; those that all need are required."""
    if len(made) == 1:
        return dict(made[0])
    given: dict[str, list[Json]] = {}
    for each in made:
        for name, child in each.get("properties", {}).items():
            if child not in given.setdefault(name, []):
                given[name].append(child)
    needed = [set(each.get("required", ())) for each in made]
    required = [name for name in given if all(name in n for n in needed)]
    merged: Json = {"type": "OBJECT"}
    if given:
        merged["properties"] = {name: _best(each) for name, each in given.items()}
    if required:
        merged["required"] = required
    return merged


def _holds_all(best: Json, made: list[Json]) -> bool:
    """Say whether *best* loses nothing: one enumeration, or the wider number."""
    plain = all(each.keys() <= {"type", "enum"} for each in made)
    return plain and ("enum" in best or best["type"] == "NUMBER")


def _nullable(made: Json) -> Json:
    """Let *made* be null; beside `any_of` Vertex takes no other key."""
    if "any_of" in made:
        return {"any_of": [{**option, "nullable": True} for option in made["any_of"]]}
    return {**made, "nullable": True}


def _alternatives(options: list[Json], reduced: list[Json]) -> str:
    words: list[str] = []
    for option, made in zip(options, reduced, strict=True):
        choices = [option["const"]] if "const" in option else option.get("enum")
        name = str(option.get("$ref", "")).rpartition("/")[2] or option.get("title")
        if choices:
            words += map(_json, choices)
            continue
        properties = ", ".join(made.get("properties", {}))
        word = str(name or _kind(option))
        words.append(f"{word} with {properties}" if properties else word)
    return "one of: " + "; ".join(dict.fromkeys(words))


def _in_words(made: Json) -> str:
    """Say what a schema allows where it cannot stand itself."""
    if made.keys() == {"type"}:
        return f"of type {made['type'].lower()}"
    return f"of this schema: {_json(made)}"


def _described(node: Json, made: Json, told: list[str]) -> Json:
    own = node.get("description") or made.get("description") or ""
    notes = "; ".join(note for note in told if note)
    description = f"{own} ({notes})".strip() if notes else own
    if not description:
        return made
    if "any_of" in made:  # beside which Vertex takes no other key
        options = [_introduced(option, description) for option in made["any_of"]]
        return {"any_of": options}
    return {**made, "description": description}


def _introduced(option: Json, description: str) -> Json:
    own = option.get("description")
    return {**option, "description": f"{description} ({own})" if own else description}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
