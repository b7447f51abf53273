"""Which environments there are in this process, by name."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING

from hudtrace.errors import UnknownEnvironment

if TYPE_CHECKING:
    from hudtrace.environment import Environment


class Registry:
    """The environments defined in this process, by name, none kept alive."""

    def __init__(self) -> None:
        self._known: dict[str, list[weakref.ref[Environment]]] = {}
        self._lock = threading.Lock()

    def add(self, environment: Environment) -> None:
        """Note *environment*; it replaces one of its name from the same module."""
        with self._lock:
            others = [
                other
                for other in self._alive(environment.name)
                if other is not environment and other.module != environment.module
            ]
            self._known[environment.name] = [
                weakref.ref(known) for known in (*others, environment)
            ]

    def get(self, name: str) -> Environment | None:
        """Return the one environment called *name*; None if there is none.

        One that nothing refers to any more does not count, even where Python has not
        yet collected it. Raises `UnknownEnvironment` naming both places if there are
        two.
        """
        alive = self._alive_now(name)
        if len(alive) > 1:
            alive = []
            gc.collect()
            alive = self._alive_now(name)
        if len(alive) > 1:
            places = " and ".join(other.place for other in alive)
            raise UnknownEnvironment(
                f"environment {name!r} is defined more than once: at {places}; use the "
                f"object itself, or give one of them another name"
            )
        return alive[0] if alive else None

    def names(self) -> list[str]:
        """Return the names of the environments that are alive."""
        with self._lock:
            return [name for name in self._known if self._alive(name)]

    def _alive_now(self, name: str) -> list[Environment]:
        with self._lock:
            return self._alive(name)

    def _alive(self, name: str) -> list[Environment]:
        found = [ref() for ref in self._known.get(name, ())]
        return [environment for environment in found if environment is not None]
