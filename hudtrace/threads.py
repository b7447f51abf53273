"""The threads that sync tools run in: never those of the event loop's executor."""

from __future__ import annotations

import asyncio
import contextvars
import os
import queue
import threading
from collections.abc import Callable
from typing import Any

Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class ToolThreads:
    """Up to `size` daemon threads; each result costs one wake-up of the loop.

    A thread is started when a job finds none idle. Jobs beyond `size` wait.
    """

    def __init__(self, size: int = 64) -> None:
        self.size = size
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0

    def run(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        """Run *function* in a thread, with a copy of the caller's context.

        Cancelling the future leaves the thread to itself: nobody can stop it.
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        context = contextvars.copy_context()
        self._jobs.put((loop, future, lambda: context.run(function)))
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            elif self._threads < self.size:
                self._threads += 1
                threading.Thread(
                    target=self._work, name="hudtrace-tool", daemon=True
                ).start()
        return future

    def close(self) -> None:
        """Let the threads end when they have nothing left to do."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            _run(job)
            del job
            with self._lock:
                self._idle += 1


class EpisodeThread:
    """One thread of one episode, for libraries that are bound to a thread."""

    def __init__(self) -> None:
        self._threads: ToolThreads | None = None

    def run(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        """Run *function* in the episode's thread, after the jobs before it."""
        if self._threads is None:
            self._threads = ToolThreads(1)
        return self._threads.run(function)

    def close(self) -> None:
        """Let the thread end."""
        if self._threads is not None:
            self._threads.close()


def _run(job: Job) -> None:
    loop, future, function = job
    result, error = None, None
    try:
        result = function()
    except BaseException as raised:
        error = raised
        if isinstance(raised, StopIteration):  # a future cannot carry one
            error = RuntimeError("the tool raised StopIteration")
            error.__cause__ = raised
    try:
        loop.call_soon_threadsafe(_settle, future, result, error)
    except RuntimeError:
        return  # the loop is closed: nobody waits any more


def _settle(
    future: asyncio.Future[Any], result: Any, error: BaseException | None
) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


_shared = ToolThreads()


def tool_threads() -> ToolThreads:
    """Return the threads that the tools of this process share."""
    return _shared


def resize_tool_threads(size: int) -> None:
    """Set how many tools may run in threads at the same time."""
    _shared.size = size


def _after_fork() -> None:
    global _shared
    _shared = ToolThreads(_shared.size)


os.register_at_fork(after_in_child=_after_fork)
