"""What an API refuses, and the checks that several of them share."""

from __future__ import annotations

import re
from typing import Any

_REFUSED_AT_TOP = ("oneOf", "anyOf", "allOf", "enum", "not")


class BadRequest(ValueError):
    """The request is not one that the API would take; `param` says where."""

    def __init__(
        self, message: str, param: str | None = None, *, status: int = 400
    ) -> None:
        super().__init__(message)
        self.param = param
        self.status = status


def check_names(names: list[Any], where: str, *, longest: int = 64) -> None:
    """Refuse tool names with odd characters, and the same one twice."""
    allowed = re.compile(rf"[a-zA-Z0-9_-]{{1,{longest}}}")
    seen = set()
    for index, name in enumerate(names):
        at = f"{where}[{index}].name"
        if not isinstance(name, str) or not allowed.fullmatch(name):
            raise BadRequest(f"invalid name {name!r}", at)
        if name in seen:
            raise BadRequest(f"tool names must be unique: {name}", at)
        seen.add(name)


def check_object_schema(schema: Any, where: str) -> None:
    """Refuse a schema of arguments that is not plainly that of an object."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise BadRequest('the schema must be of type "object"', where)
    for key in _REFUSED_AT_TOP:
        if key in schema:
            raise BadRequest(f"the schema must not have {key!r} at the top", where)


def check_strict_schema(schema: Any, where: str) -> None:
    """Refuse what OpenAI's strict mode does: open objects, optional properties."""
    if isinstance(schema, list):
        for item in schema:
            check_strict_schema(item, where)
        return
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties") or {}
        if schema.get("additionalProperties") is not False:
            raise BadRequest("'additionalProperties' must be false", where)
        if set(schema.get("required", ())) != set(properties):
            raise BadRequest("'required' must have every property", where)
    for key in ("oneOf", "allOf", "not", "default"):
        if key in schema:
            raise BadRequest(f"{key!r} is not permitted in strict mode", where)
    for name, child in (schema.get("properties") or {}).items():
        check_strict_schema(child, f"{where}.{name}")
    for key in ("items", "anyOf"):
        check_strict_schema(schema.get(key), where)
