"""JSON Schemas made over for frameworks that change or restrict them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hudtrace.dialects.strict import strict_schema

Json = dict[str, Any]
_CONTAINERS = ("properties", "patternProperties", "$defs", "definitions")


def inlined(schema: Json) -> Json:
    """Return *schema* with its references replaced by what they mean.

    A type inside itself becomes any value there.
    """
    made = _inlined(schema, _definitions(schema), ())
    return {k: v for k, v in made.items() if k not in ("$defs", "definitions")}


def closed(schema: Json) -> Json:
    """Return *schema* so that a strict mode loses nothing of it.

    For frameworks that close every object and require every property. What is
    optional may be null; an object with keys of the model's choice is the text
    of a JSON object. `restored` undoes both.
    """
    plain = _without_maps(inlined(schema))
    return strict_schema(plain) or plain


def restored(arguments: Mapping[str, Any], schema: Json) -> dict[str, Any]:
    """Return *arguments* given for `closed(schema)` as *schema* has them."""
    whole = _restored(dict(arguments), inlined(schema))
    return dict(whole) if isinstance(whole, dict) else dict(arguments)


def _definitions(schema: Json) -> dict[str, Json]:
    return {
        f"#/{key}/{name}": definition
        for key in ("$defs", "definitions")
        for name, definition in (schema.get(key) or {}).items()
    }


def _inlined(node: Any, known: Mapping[str, Json], path: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, known, path) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str):
        beside = {key: value for key, value in node.items() if key != "$ref"}
        if reference in path or reference not in known:
            return _inlined(beside, known, path)
        whole = {**known[reference], **beside}
        return _inlined(whole, known, (*path, reference))
    return {
        key: {name: _inlined(part, known, path) for name, part in value.items()}
        if key in _CONTAINERS and isinstance(value, dict)
        else value
        if key in ("enum", "const", "default", "examples", "required")
        else _inlined(value, known, path)
        for key, value in node.items()
    }


def _is_map(node: Json) -> bool:
    """Say whether *node* is an object whose keys the model chooses."""
    if node.get("type") != "object" or node.get("properties"):
        return False
    return bool(node.get("additionalProperties", True)) or "properties" not in node


def _without_maps(node: Any, *, top: bool = True) -> Any:
    if isinstance(node, list):
        return [_without_maps(item, top=False) for item in node]
    if not isinstance(node, dict):
        return node
    if _is_map(node) and not top:
        inside = node.get("additionalProperties")
        of = f" with values like {json.dumps(inside)}" if inside else ""
        told = f"{node.get('description', '')} (the text of a JSON object{of})"
        return {"type": "string", "description": told.strip()}
    made = dict(node)
    if made.get("type") == "object":
        made["properties"] = {
            name: _without_maps(part, top=False)
            for name, part in (node.get("properties") or {}).items()
        }
        made["additionalProperties"] = False
    for key in ("items", "anyOf", "oneOf", "allOf", "prefixItems"):
        if key in made:
            made[key] = _without_maps(made[key], top=False)
    return made


def _restored(value: Any, schema: Any) -> Any:
    if not isinstance(schema, dict):
        return value
    options = _options(schema)
    if isinstance(value, str):
        return _read_map(value, options)
    if isinstance(value, list):
        items = next((each["items"] for each in options if "items" in each), None)
        return [_restored(item, items) for item in value]
    if isinstance(value, dict):
        parts: Json = {}
        for option in options:
            parts = {**(option.get("properties") or {}), **parts}
        return {key: _restored(part, parts.get(key)) for key, part in value.items()}
    return value


def _options(schema: Json) -> list[Json]:
    """Return *schema* and what it may be instead, at any depth."""
    found = [schema]
    for key in ("anyOf", "oneOf", "allOf"):
        for option in schema.get(key) or ():
            if isinstance(option, dict):
                found += _options(option)
    return found


def _read_map(text: str, options: list[Json]) -> Any:
    """Return the object that *text* is, where a map is wanted and no text is."""
    if not any(map(_is_map, options)):
        return text
    if any(option.get("type") == "string" for option in options):
        return text
    try:
        read = json.loads(text)
    except ValueError:
        return text
    return read if isinstance(read, dict) else text
