"""When the process ends, or forks: what its pipelines do then."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hudtrace.delivery.pipeline import Pipeline

_pipelines: weakref.WeakSet[Pipeline] = weakref.WeakSet()
_inherited: list[Any] = []


def watch(pipeline: Pipeline) -> None:
    """Have *pipeline* sent and closed at the end, and begin anew in a fork."""
    _pipelines.add(pipeline)


def _hurry_all() -> None:
    for pipeline in list(_pipelines):
        pipeline.hurry()


def _close_all() -> None:
    for pipeline in list(_pipelines):
        pipeline.close()


def _after_fork() -> None:
    # The child leaves the parent's spans to the parent. Where files could not be closed
    # before the fork, the connection is kept: closing it would touch its locks.
    for pipeline in list(_pipelines):
        _inherited.append(pipeline._store)
        pipeline.start_afresh()


def _before_shutdown(call: Callable[[], None]) -> None:
    """Have *call* made at the end of the main thread, while threads can be started.

    At `atexit` that is too late: `concurrent.futures` takes no work any more. Its own
    hook has to be there before ours, as the last one is called first.
    """
    import concurrent.futures.thread  # noqa: F401

    register = getattr(threading, "_register_atexit", None)
    if register is not None:  # there is no public way
        with contextlib.suppress(RuntimeError):  # it has begun
            register(call)


_before_shutdown(_hurry_all)
atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork)
