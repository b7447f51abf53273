"""The event loop that connections live on, in a thread of its own.

A connection outlives the evals and their loops, and serves many of them at once,
sync ones too. Nothing of the user's runs on this loop, so nothing blocks it.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import contextvars
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from hudtrace.threads import waiting

T = TypeVar("T")
Start = Callable[[], Coroutine[Any, Any, T]]
EXIT_SECONDS = 6.0


class SideLoop:
    """An event loop in a daemon thread, started when it is first used."""

    def __init__(self) -> None:
        self.at_exit: Start[None] | None = None  # what is to be closed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._registered = False

    async def run(self, start: Start[T]) -> T:
        """Return what the coroutine does there, with the caller's contextvars.

        Cancelling this cancels it and waits for its end.
        """
        if asyncio.get_running_loop() is self._loop:
            return await start()
        future = self._submit(start)
        waiter = asyncio.wrap_future(future)
        try:
            await asyncio.wait([waiter])
        except BaseException:
            future.cancel()
            await asyncio.wait([waiter])
            _ = waiter.cancelled() or waiter.exception()  # looked at
            raise
        return waiter.result()

    def run_sync(self, start: Start[T], timeout: float | None = None) -> T:
        """Do as `run` for sync code; TimeoutError leaves the work to itself."""
        future = self._submit(start)
        try:
            with waiting():
                return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def soon(self, start: Start[Any]) -> None:
        """Start a coroutine there, if the loop runs, and let nobody wait for it."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._submit(start)

    def forget(self) -> None:
        """Begin anew: after a fork, the thread is the parent's."""
        if self._loop is not None:
            _inherited.append(self._loop)
        self._loop = self._thread = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close what is open and end the loop, within `EXIT_SECONDS`."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        if self.at_exit is not None:
            with contextlib.suppress(Exception):
                self.run_sync(self.at_exit, EXIT_SECONDS)
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(loop.stop)
        thread.join(1.0)

    def _submit(self, start: Start[T]) -> concurrent.futures.Future[T]:
        loop = self._running()
        done: concurrent.futures.Future[T] = concurrent.futures.Future()
        context = contextvars.copy_context()
        loop.call_soon_threadsafe(_begin, loop, start, context, done)
        return done

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                if not self._registered:
                    self._registered = True
                    atexit.register(self.close)
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_run_forever,
                    args=[self._loop],
                    name="hudtrace-mcp",
                    daemon=True,
                )
                self._thread.start()
            return self._loop


def _begin(
    loop: asyncio.AbstractEventLoop,
    start: Start[T],
    context: contextvars.Context,
    done: concurrent.futures.Future[T],
) -> None:
    """Run a coroutine for *done*, which is done when the coroutine is, not before."""
    if done.cancelled():
        return
    task = loop.create_task(start(), context=context)
    outcome = _Outcome(loop, task)
    done.cancel = outcome.cancel  # type: ignore[method-assign]
    task.add_done_callback(lambda _: outcome.tell(done))


class _Outcome:
    """Takes a cancellation to the task, and the task's end to the future."""

    def __init__(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]):
        self._loop = loop
        self._task = task

    def cancel(self) -> bool:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._task.cancel)
        return True

    def tell(self, done: concurrent.futures.Future[Any]) -> None:
        if self._task.cancelled():
            done.set_exception(asyncio.CancelledError())
        elif (error := self._task.exception()) is not None:
            done.set_exception(error)
        else:
            done.set_result(self._task.result())


def _run_forever(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()


_inherited: list[asyncio.AbstractEventLoop] = []
side_loop = SideLoop()
os.register_at_fork(after_in_child=side_loop.forget)
