"""Ends of spans that the garbage collector has brought about.

It comes at any moment, also where this thread holds a lock that the end of a span
takes. So such an end is only noted, and made by another thread, or sooner by whoever
calls `settle` where no lock is held: an eval that is to count its tokens.
"""

from __future__ import annotations

import _thread
import contextlib
import os
from collections import deque
from collections.abc import Callable

from hudtrace.notices import internal_error

_due: deque[Callable[[], object]] = deque()  # the first stays until it is made
_lock = _thread.RLock()
_making = False


def later(end: Callable[[], object]) -> None:
    """Have *end* called soon; takes no lock."""
    _due.append(end)
    with contextlib.suppress(RuntimeError):  # the interpreter is going down
        _thread.start_new_thread(settle, ())  # `threading` would take its locks


def settle() -> None:
    """Make every end that is due; returns when none is, or it is this that asks."""
    global _making
    while _due:
        with _lock:
            if _making:
                return  # an end that is being made, in this very thread
            _making = True
            try:
                while _due:
                    _make(_due[0])
                    _due.popleft()
            finally:
                _making = False


def _make(end: Callable[[], object]) -> None:
    try:
        end()
    except Exception as error:
        internal_error("ending a span", error)


def _after_fork() -> None:
    global _lock, _making
    _due.clear()  # they are the parent's
    _lock, _making = _thread.RLock(), False


os.register_at_fork(after_in_child=_after_fork)
