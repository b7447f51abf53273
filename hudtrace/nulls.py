"""Nulls that strict function calling makes a model send, taken out again.

Strict mode asks for every property and lets an optional one be null instead,
also where the function itself takes no null there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Json = dict[str, Any]
_SAYS_KIND = frozenset({"type", "anyOf", "oneOf", "allOf", "enum", "const", "$ref"})


def without_stray_nulls(value: Any, schema: Json) -> Any:
    """Return *value* without the nulls of optional properties that allow none.

    Looks at every depth: through references, alternatives, arrays and maps.
    Where alternatives differ, those count whose constants and enumerations
    *value* fits; a null that any of them wants or allows stays.
    """
    if not _has_null(value):
        return value
    definitions = {
        f"#/{key}/{name}": definition
        for key in ("$defs", "definitions")
        for name, definition in (schema.get(key) or {}).items()
    }
    return _Pruning(definitions).of(value, [schema])


class _Pruning:
    """The definitions that one schema refers to."""

    def __init__(self, definitions: Mapping[str, Json]) -> None:
        self._definitions = definitions

    def of(self, value: Any, schemas: Iterable[Any]) -> Any:
        if isinstance(value, dict):
            return self._object(value, list(self._plain(schemas)))
        if isinstance(value, list):
            return self._array(value, list(self._plain(schemas)))
        return value

    def _object(self, value: Json, options: list[Json]) -> Json:
        fitting = [each for each in options if self._fits(value, each)] or options
        kept: Json = {}
        for name, child in value.items():
            known = [o for o in fitting if name in (o.get("properties") or {})]
            if child is None and known and not self._takes_null(name, known):
                continue
            schemas = [o["properties"][name] for o in known]
            if not known:
                others = (each.get("additionalProperties") for each in fitting)
                schemas = [other for other in others if isinstance(other, dict)]
            kept[name] = self.of(child, schemas)
        return kept

    def _array(self, value: list[Any], options: list[Json]) -> list[Any]:
        made = []
        for index, item in enumerate(value):
            schemas = []
            for option in options:
                pieces = option.get("prefixItems") or ()
                schemas.append(
                    pieces[index] if index < len(pieces) else option.get("items")
                )
            made.append(self.of(item, [s for s in schemas if isinstance(s, dict)]))
        return made

    def _takes_null(self, name: str, options: Iterable[Json]) -> bool:
        return any(
            name in option.get("required", ())
            or self._allows_null(option["properties"][name])
            for option in options
        )

    def _allows_null(self, schema: Json) -> bool:
        for option in self._plain([schema]):
            kinds = option.get("type")
            if not option.keys() & _SAYS_KIND or kinds == "null":
                return True
            if isinstance(kinds, list) and "null" in kinds:
                return True
            if None in option.get("enum", ()) or option.get("const", 0) is None:
                return True
        return False

    def _fits(self, value: Json, option: Json) -> bool:
        """Say whether *value* has the constants that *option* asks for."""
        for name, child in (option.get("properties") or {}).items():
            given = value.get(name)
            if given is None:
                continue
            allowed = [
                [plain["const"]] if "const" in plain else plain.get("enum")
                for plain in self._plain([child])
            ]
            if allowed and all(c is not None and given not in c for c in allowed):
                return False
        return True

    def _plain(
        self, schemas: Iterable[Any], path: tuple[str, ...] = ()
    ) -> Iterator[Json]:
        """Return what *schemas* say in the end, without references and choices."""
        for schema in schemas:
            if not isinstance(schema, dict):
                continue
            reference = schema.get("$ref")
            if reference is not None:
                if reference not in path and reference in self._definitions:
                    target = [self._definitions[reference]]
                    yield from self._plain(target, (*path, reference))
                continue
            inner = [
                option
                for key in ("anyOf", "oneOf", "allOf")
                for option in schema.get(key) or ()
            ]
            yield from self._plain(inner, path)
            if not inner or "properties" in schema:
                yield schema


def _has_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(child is None or _has_null(child) for child in value.values())
    if isinstance(value, list):
        return any(_has_null(child) for child in value)
    return False
