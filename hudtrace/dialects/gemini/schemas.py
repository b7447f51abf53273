"""JSON Schemas in the part of them that Gemini's function declarations know.

It is the part that both libraries take; what it cannot say goes into the
description, where the model reads it. Source: Gemini API reference, `Schema`.
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


def gemini_schema(schema: Json) -> Json:
    """Return *schema* with upper-case types and only the keys that Gemini knows.

    References are inlined, a cycle ends in a plain object, alternatives become
    the one type that holds them best.
    """
    definitions = {
        f"#/{key}/{name}": definition
        for key in ("$defs", "definitions")
        for name, definition in (schema.get(key) or {}).items()
    }
    return _Reduction(definitions).of(schema)


class _Reduction:
    """One schema on its way, with the definitions that it refers to."""

    def __init__(self, definitions: Mapping[str, Json]) -> None:
        self._definitions = definitions

    def of(self, node: Any, path: tuple[str, ...] = ()) -> Json:
        if not isinstance(node, dict):
            return {"type": "STRING"}
        if "$ref" in node:
            return self._referred(node, path)
        node, path = self._merged(node, path)
        options, nullable = _options(node)
        if len(options) > 1:
            made = _best([self.of(option, path) for option in options])
            told = [made.pop("description", ""), _alternatives(options)]
        elif options:
            rest = {key: node[key] for key in node if key not in _ALTERNATIVES}
            made, told = self.of({**options[0], **rest}, path), []
        else:
            made, told = self._plain(node, path)
        if nullable:
            made["nullable"] = True
        return _described(node, made, told)

    def _referred(self, node: Json, path: tuple[str, ...]) -> Json:
        reference = node["$ref"]
        beside = {key: value for key, value in node.items() if key != "$ref"}
        if reference in path or reference not in self._definitions:
            return self.of({"type": "object", **beside}, path)
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
        return [
            f"any keys, with values of type {self.of(values, path)['type'].lower()}"
        ]


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
    kinds = {each["type"] for each in made}
    if kinds == {"OBJECT"}:
        properties: Json = {}
        for each in reversed(made):
            properties.update(each.get("properties", {}))
        needed = [set(each.get("required", ())) for each in made]
        required = [name for name in properties if all(name in n for n in needed)]
        merged: Json = {"type": "OBJECT"}
        if properties:
            merged["properties"] = properties
        if required:
            merged["required"] = required
        return merged
    if "STRING" in kinds and not kinds & {"OBJECT", "ARRAY"}:
        return {"type": "STRING"}
    if kinds == {"INTEGER", "NUMBER"}:
        return {"type": "NUMBER"}
    return dict(made[0])


def _alternatives(options: list[Json]) -> str:
    words: list[str] = []
    for option in options:
        choices = [option["const"]] if "const" in option else option.get("enum")
        name = str(option.get("$ref", "")).rpartition("/")[2] or option.get("title")
        if choices:
            words += map(_json, choices)
        else:
            words.append(str(name or _kind(option)))
    return "one of: " + ", ".join(dict.fromkeys(words))


def _described(node: Json, made: Json, told: list[str]) -> Json:
    own = node.get("description") or made.get("description") or ""
    notes = "; ".join(note for note in told if note)
    description = f"{own} ({notes})".strip() if notes else own
    return {**made, "description": description} if description else made


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
