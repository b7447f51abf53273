"""Act when a package is imported, without importing it: nobody waits for what he does not use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def when_imported(name: str, act: Callable[[], object]) -> Callable[[], None]:
    """Call *act* after the package *name* has been imported, at once if it has been.

    Returns how to call that off. *act* must not raise.
    """
    if name in sys.modules:
        import_module(name)  # waits, should another thread be at it
        act()
        return lambda: None
    watcher = _Watcher(name, act)
    sys.meta_path.insert(0, watcher)
    return watcher.stop


class _Watcher(MetaPathFinder):
    """Finds nothing itself; has the loader of one package tell when it is done."""

    def __init__(self, name: str, act: Callable[[], object]) -> None:
        self._name = name
        self._act = act

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return the spec that the other finders have for the package."""
        if fullname != self._name:
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((each for each in found if each is not None), None)
        if spec is not None and spec.loader is not None:
            self._wrap(spec.loader)
        return spec

    def stop(self) -> None:
        """Watch no more."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def _wrap(self, loader: Any) -> None:
        load = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            if module.__name__ == self._name:
                del loader.exec_module
                if self in sys.meta_path:
                    self.stop()
                    self._act()

        loader.exec_module = exec_module
