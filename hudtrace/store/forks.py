"""No file of SQLite is open while the process forks.

SQLite keeps in memory which locks a process has on a file. A child would take those of
its parent for its own: it would wait for ever for one that was held just then, and
lose what it writes when its parent ends and deletes the file's log. So files are used
inside of `in_use`, closed before a fork, and opened again when they are next used.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any, Protocol

_PATIENCE = 5.0  # seconds that a fork waits for those who use files


class Keeper(Protocol):
    """Who keeps a file open between uses."""

    def let_go(self) -> None:
        """Close it; the next use opens it again."""


class _InUse:
    """A context in which files are used, by any number of threads, but not in a fork."""

    def __init__(self) -> None:
        self._keepers: weakref.WeakSet[Any] = weakref.WeakSet()
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._depths: dict[int, int] = {}  # by thread

    def keep(self, keeper: Keeper) -> None:
        """Have *keeper* let go of its file before each fork."""
        self._keepers.add(keeper)

    def __enter__(self) -> None:
        me = threading.get_ident()
        with self._changed:
            self._depths[me] = self._depths.get(me, 0) + 1

    def __exit__(self, *_exc: object) -> None:
        me = threading.get_ident()
        with self._changed:
            self._depths[me] -= 1
            if not self._depths[me]:
                del self._depths[me]
                self._changed.notify_all()

    def before_fork(self) -> None:
        """Close all files once nobody uses one, and keep others out from then on."""
        self._changed.acquire()
        me = {threading.get_ident()}
        self._changed.wait_for(lambda: self._depths.keys() <= me, _PATIENCE)
        if not self._depths:
            for keeper in list(self._keepers):
                keeper.let_go()

    def after_in_parent(self) -> None:
        """Let files be used again."""
        self._changed.release()

    def after_in_child(self) -> None:
        """Begin anew: what other threads were at is not of this process."""
        me = threading.get_ident()
        mine = self._depths.get(me)
        self._begin()
        if mine:
            self._depths[me] = mine


in_use = _InUse()
os.register_at_fork(
    before=in_use.before_fork,
    after_in_parent=in_use.after_in_parent,
    after_in_child=in_use.after_in_child,
)
