"""JSON Schemas in the closed form that strict function calling asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
_DROPPED = frozenset({"default", "title", "$defs", "definitions", "examples"})


class NotStrict(ValueError):
    """The schema has an open map or a cycle, which strict mode cannot say."""


def strict_schema(schema: Json) -> Json | None:
    """Return *schema* closed for strict mode, None where that is impossible.

    References are inlined, every object is closed, every property required;
    optional ones may be null instead. Source: OpenAI, structured outputs.
    """
    try:
        closed = _closed(schema, _definitions(schema), ())
    except NotStrict:
        return None
    return dict(closed)


def _definitions(schema: Json) -> Mapping[str, Json]:
    found: dict[str, Json] = {}
    for key in ("$defs", "definitions"):
        for name, definition in (schema.get(key) or {}).items():
            found[f"#/{key}/{name}"] = definition
    return found


def _closed(node: Any, definitions: Mapping[str, Json], path: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_closed(item, definitions, path) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        reference = node["$ref"]
        if reference in path or reference not in definitions:
            raise NotStrict(reference)
        beside = {key: value for key, value in node.items() if key != "$ref"}
        target = {**definitions[reference], **beside}
        return _closed(target, definitions, (*path, reference))
    kept = _merged(node, definitions, path)
    if kept.get("type") == "object" or "properties" in kept:
        return _closed_object(kept, definitions, path)
    return {
        key: value
        if key in ("enum", "const", "required")
        else _closed(value, definitions, path)
        for key, value in kept.items()
    }


def _merged(node: Json, definitions: Mapping[str, Json], path: tuple[str, ...]) -> Json:
    kept = {key: value for key, value in node.items() if key not in _DROPPED}
    if "oneOf" in kept:
        kept["anyOf"] = kept.pop("oneOf")
        kept.pop("discriminator", None)
    for part in kept.pop("allOf", ()):
        kept = {**_closed(part, definitions, path), **kept}
    return kept


def _closed_object(
    node: Json, definitions: Mapping[str, Json], path: tuple[str, ...]
) -> Json:
    if node.get("additionalProperties", False) is not False:
        raise NotStrict("open map")
    if "properties" not in node and "additionalProperties" not in node:
        raise NotStrict("any object")
    required = set(node.get("required", ()))
    properties = {}
    for name, child in (node.get("properties") or {}).items():
        closed = _closed(child, definitions, path)
        properties[name] = closed if name in required else _nullable(closed)
    return {
        **node,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _nullable(schema: Json) -> Json:
    options = schema.get("anyOf")
    if options is not None:
        if any(option.get("type") == "null" for option in options):
            return schema
        return {**schema, "anyOf": [*options, {"type": "null"}]}
    described = {k: v for k, v in schema.items() if k == "description"}
    plain = {k: v for k, v in schema.items() if k != "description"}
    return {**described, "anyOf": [plain, {"type": "null"}]}
