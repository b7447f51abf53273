"""The threads that sync tools run in: never those of the event loop's executor."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class ToolThreads:
    """Up to `size` daemon threads; each result costs one wake-up of the loop.

    A thread is started when a job finds none idle. Jobs beyond `size` wait. With
    *lends*, a job that itself waits for others has a thread more work meanwhile.
    """

    def __init__(self, size: int = 64, *, lends: bool = False) -> None:
        self.size = size
        self._lends = lends
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0  # threads with no job
        self._backlog = 0  # jobs with no thread
        self._lent = 0

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
            else:
                self._backlog += 1
                self._hire()
        return future

    def close(self) -> None:
        """Let the threads end when they have nothing left to do."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def lend(self, count: int) -> None:
        """Allow *count* threads more (less, if negative), if this may grow at all."""
        if not self._lends:
            return
        with self._lock:
            self._lent += count
            self._hire()

    def _hire(self) -> None:
        """Start a thread for a job that has none, if one may be."""
        if self._backlog > 0 and self._threads < self.size + self._lent:
            self._backlog -= 1
            self._threads += 1
            threading.Thread(
                target=self._work, name="hudtrace-tool", daemon=True
            ).start()

    def _work(self) -> None:
        _here.threads = self
        while (job := self._jobs.get()) is not None:
            _run(job)
            del job
            if not self._stays():
                return

    def _stays(self) -> bool:
        """Return whether the calling thread, which has done its job, is to take on."""
        with self._lock:
            if self._threads > self.size + self._lent:
                self._threads -= 1
                return False
            if self._backlog > 0:
                self._backlog -= 1
            else:
                self._idle += 1
            return True


@contextlib.contextmanager
def waiting() -> Iterator[None]:
    """Say that this thread waits for other work: a tool that it runs may need one.

    Without this, tools that run evals of their own could hold every thread.
    """
    threads: ToolThreads | None = getattr(_here, "threads", None)
    if threads is None:
        yield
        return
    threads.lend(1)
    try:
        yield
    finally:
        threads.lend(-1)


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


_here = threading.local()
_shared = ToolThreads(lends=True)


def tool_threads() -> ToolThreads:
    """Return the threads that the tools of this process share."""
    return _shared


def resize_tool_threads(size: int) -> None:
    """Set how many tools may run in threads at the same time."""
    _shared.size = size


def _after_fork() -> None:
    global _here, _shared
    _here = threading.local()
    _shared = ToolThreads(_shared.size, lends=True)


os.register_at_fork(after_in_child=_after_fork)
