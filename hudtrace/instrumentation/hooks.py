"""Methods of a client that are replaced, and given back."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


class Hooks:
    """The methods that are replaced; `active` until they are given back."""

    def __init__(self) -> None:
        self.active = True
        self._replaced: list[tuple[Any, str, Any, Any]] = []

    def replace(self, owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
        """Put a wrapper around a method of *owner*, if it has it."""
        original = vars(owner).get(name)
        if original is not None:
            wrapper = functools.wraps(original)(wrap(_unbound(original)))
            setattr(owner, name, wrapper)
            self._replaced.append((owner, name, original, wrapper))

    def undo(self) -> None:
        """Give the methods back; one that others have wrapped since only passes on."""
        self.active = False
        for owner, name, original, wrapper in self._replaced:
            if vars(owner).get(name) is wrapper:
                setattr(owner, name, original)


def _unbound(method: Any) -> Callable[..., Any]:
    """Return *method* to be called with its object; others' wrappers must be bound."""
    if inspect.isfunction(method):
        return method
    return lambda self, *args, **kwargs: method.__get__(self, type(self))(
        *args, **kwargs
    )
