"""Names of attributes with dots and numbers, as the tree that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hudtrace.transcript import loose


def nested(attributes: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the tree that the names after *prefix* stand for."""
    tree: dict[str, Any] = {}
    for key, value in attributes.items():
        if not key.startswith(prefix):
            continue
        *path, last = key.removeprefix(prefix).split(".")
        at = tree
        for step in path:
            below = at.get(step)
            if not isinstance(below, dict):
                below = at[step] = {}
            at = below
        at.setdefault(last, value)
    return tree


def in_order(tree: Any) -> list[Any]:
    """Return what stands below numbers, in their order."""
    if isinstance(tree, str):
        tree = loose.loaded(tree)
    if isinstance(tree, list):
        return tree
    if not isinstance(tree, Mapping):
        return []
    numbers = sorted((key for key in tree if key.isdecimal()), key=int)
    return [tree[key] for key in numbers]


def below(given: Any, *path: str) -> Any:
    """Return what is below *given* at *path*, as far as that leads."""
    for step in path:
        if isinstance(given, Mapping) and step in given:
            given = given[step]
    return given
