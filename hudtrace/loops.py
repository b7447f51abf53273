"""The event loops that an eval's coroutines run on, reachable from every thread.

Sync code that wants a coroutine's result must not wait for a loop that itself waits
for that code: a sync `agent.invoke()` blocks the eval's loop while its tools are
called in worker threads. So work is offered to the eval's own loop first, since what
tools hold may be bound to it; a loop that does not take it is blocked, and then a
background loop of ours is asked. The first that takes the work runs it, once.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import contextvars
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from hudtrace.threads import waiting

T = TypeVar("T")
Start = Callable[[], Coroutine[Any, Any, T]]

PATIENCE = 0.1  # seconds; a loop that stands still for as long is blocked
_MOVING = 10  # times as long for a loop that does not: it computes, or polls
_LATE = 0.003  # seconds; a thread that computes lets another go on after five
_AGAIN = 0.005  # seconds, for a loop that was found blocked before
_EXIT_SECONDS = 1.0
_LOOK = 1.0  # seconds between looks at whether the loop that has the work still lives
_MAX_EXITS = 100  # that may come out of a loop of ours as it ends


class Home:
    """The loop that an eval was opened on, for callers in any thread or loop.

    Make it on that loop.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._lane = _background.lane_of(loop) or _Lane(loop)

    @property
    def is_here(self) -> bool:
        """Whether the calling code runs on this loop."""
        return asyncio._get_running_loop() is self._lane.loop

    async def run(self, start: Start[T]) -> T:
        """Return what the coroutine of *start* does; directly, if we are at home.

        From another loop it runs at home, with the caller's contextvars.
        Cancelling this cancels it.
        """
        if self.is_here:
            return await start()
        work = _Work(start)
        try:
            for lane in self._lanes():
                if await lane.takes_async(work):
                    break
            await work.end_async()
        except BaseException:
            work.cancel()
            await work.end_async()
            raise
        return work.outcome()

    def run_sync(self, start: Start[T]) -> T:
        """Do as `run` for sync code in any thread, also where a loop is blocked by it.

        An interrupt (Ctrl-C) cancels the work and waits for its end; a second one
        waits no longer.
        """
        return _run_sync(start, self._lanes())

    def _lanes(self) -> Iterator[_Lane]:
        yield self._lane
        for lane in _background.lanes():
            if lane is not self._lane:
                yield lane


def run_in_background(start: Start[T]) -> T:
    """Run a coroutine on a loop of ours and return its value, from sync code."""
    return _run_sync(start, _background.lanes())


def in_background() -> bool:
    """Whether the calling code runs on a background loop of ours."""
    loop = asyncio._get_running_loop()
    return loop is not None and _background.lane_of(loop) is not None


def _run_sync(start: Start[T], lanes: Iterator[_Lane]) -> T:
    work = _Work(start)
    try:
        with waiting():
            for lane in lanes:
                if lane.takes(work):
                    break
            work.end()
    except BaseException:
        work.cancel()
        work.end()
        raise
    return work.outcome()


class _Work(Generic[T]):
    """A coroutine that is run by the first loop that takes it, in our context."""

    def __init__(self, start: Start[T]) -> None:
        self.taken: Future[None] = Future()
        self.done: Future[None] = Future()
        self._start: Start[T] | None = start
        self._context = contextvars.copy_context()
        self._lock = threading.Lock()
        self._is_taken = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._value: Any = None
        self._error: BaseException | None = None

    def take(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start in *loop*, whose thread we are in, unless another loop has."""
        with self._lock:
            if self._is_taken:
                return
            self._is_taken, self._loop = True, loop
        self._task = loop.create_task(self._perform(), context=self._context)
        self._task.add_done_callback(self._finish)
        self.taken.set_result(None)

    def cancel(self) -> None:
        """Stop the work, or keep it from ever starting."""
        with self._lock:
            never = not self._is_taken
            self._is_taken = True
        if never:
            self._error = asyncio.CancelledError()
            self.done.set_result(None)
        elif self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._cancel)

    def end(self) -> None:
        """Wait until it is done, or lost with its loop."""
        while not self._is_over():
            with contextlib.suppress(TimeoutError):
                self.done.result(_LOOK)

    async def end_async(self) -> None:
        """Do as `end`, without blocking the calling loop."""
        done = asyncio.wrap_future(self.done)
        while not self._is_over():
            await asyncio.wait([done], timeout=_LOOK)

    def _is_over(self) -> bool:
        if self.done.done():
            return True
        loop = self._loop
        if loop is None or not loop.is_closed() or loop in _ended:
            return False
        # Closed with the work in it; what ends a loop of ours ends the work before.
        self._error = RuntimeError("the event loop was closed before its work was done")
        self._start = self._task = None
        return True

    def outcome(self) -> T:
        """Return the value or raise the error, when it is done."""
        error, self._error = self._error, None
        if error is None:
            value: T = self._value
            return value
        try:
            raise error
        finally:
            del error, self  # or the traceback holds itself

    async def _perform(self) -> None:
        assert self._start is not None
        try:
            self._value = await self._start()
        except BaseException as error:
            self._error = error  # raised where it is waited for, and not in the loop

    def _finish(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():  # before it began
            self._error = asyncio.CancelledError()
        self._start = self._task = None
        if self._loop not in _ended:  # or the process ends, and whoever waits with it
            self.done.set_result(None)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


class _Lane:
    """One event loop, the thread that it runs in, and whether it takes work now."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        thread: threading.Thread | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.loop = loop
        self.thread = thread or threading.current_thread()
        self._patience = patience
        self._unheard: dict[_Work[Any], bool] = {}  # whether we have given it up
        self._lock = threading.Lock()

    def takes(self, work: _Work[Any]) -> bool:
        """Offer *work*, and return whether it was taken, here or elsewhere."""
        if not self._offer(work):
            return False
        for pause in self._pauses():
            with contextlib.suppress(TimeoutError):
                work.done.result(pause)  # a short one is done by then, in one wait
            if work.taken.done():
                return True
        self._give_up(work)
        return work.taken.done()

    async def takes_async(self, work: _Work[Any]) -> bool:
        """Do as `takes`, without blocking the calling loop."""
        if not self._offer(work):
            return False
        taken = asyncio.wrap_future(work.taken)
        for pause in self._pauses():
            await asyncio.wait([taken], timeout=pause)
            if taken.done():
                return True
        self._give_up(work)
        return work.taken.done()

    def _offer(self, work: _Work[Any]) -> bool:
        if self.thread is threading.current_thread():
            return False  # it waits for us
        with self._lock:
            self._unheard[work] = False
        try:
            self.loop.call_soon_threadsafe(self._hear, work)
        except RuntimeError:  # the loop is closed
            self._forget(work)
            return False
        return True

    def _hear(self, work: _Work[Any]) -> None:
        self._forget(work)
        work.take(self.loop)

    def _forget(self, work: _Work[Any]) -> None:
        with self._lock:
            self._unheard.pop(work, None)

    def _give_up(self, work: _Work[Any]) -> None:
        with self._lock:
            if work in self._unheard:
                self._unheard[work] = True

    def _pauses(self) -> Iterator[float]:
        """Yield how long to wait for an answer, until the loop counts as blocked."""
        with self._lock:
            known = any(self._unheard.values())
        if known:  # it has not heard an earlier offer yet
            yield _AGAIN
            return
        until = time.monotonic() + _MOVING * self._patience
        before: object = None
        late = False
        while (asked := time.monotonic()) < until:
            now = _progress(self.thread)
            if now is None or (now == before and not late):
                return
            before = now
            yield self._patience
            # Where some thread computes, the interpreter comes back late; a tight
            # loop is seen in the same place again and again.
            late = time.monotonic() - asked - self._patience > _LATE


def _progress(thread: threading.Thread) -> tuple[int, int, int] | None:
    """Return what changes while the code of *thread* gets on; None if it is gone."""
    if thread.ident is None or not thread.is_alive():
        return None
    frame = sys._current_frames().get(thread.ident)
    if frame is None:
        return None
    milliseconds = 0
    if hasattr(time, "pthread_getcpuclockid"):  # not on Windows
        with contextlib.suppress(OSError):
            clock = time.pthread_getcpuclockid(thread.ident)
            milliseconds = time.clock_gettime_ns(clock) // 1_000_000
    return id(frame), frame.f_lasti, milliseconds


class _Background:
    """Our own loops, each in a daemon thread; a second is there if one is blocked."""

    def __init__(self) -> None:
        self._lanes: list[_Lane] = []
        self._lock = threading.Lock()

    def lanes(self) -> Iterator[_Lane]:
        """Yield the loops, and new ones for as long as somebody asks."""
        place = 0
        while True:
            with self._lock:
                if place == len(self._lanes):
                    self._lanes.append(self._start())
                lane = self._lanes[place]
            yield lane
            place += 1

    def lane_of(self, loop: asyncio.AbstractEventLoop) -> _Lane | None:
        """Return the lane of *loop*, None if it is none of ours."""
        for lane in self._lanes:
            if lane.loop is loop:
                return lane
        return None

    def close(self) -> None:
        """End the loops, without waiting long for what still runs in them."""
        lanes, self._lanes = self._lanes, []
        for lane in lanes:
            _ended.add(lane.loop)
            with contextlib.suppress(RuntimeError):
                lane.loop.call_soon_threadsafe(lane.loop.stop)
        until = time.monotonic() + _EXIT_SECONDS
        for lane in lanes:
            lane.thread.join(max(0.0, until - time.monotonic()))

    def _start(self) -> _Lane:
        global _at_exit
        if not _at_exit:
            # Not before: what is registered last runs first, and what ends here is
            # to be written by what has been set up by now.
            _at_exit = True
            atexit.register(_close)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(
            target=_run_forever, args=[loop], name="hudtrace-loop", daemon=True
        )
        # Work of many evals shares it, so that it is blocked only by a mistake.
        lane = _Lane(loop, thread, 10 * PATIENCE)
        thread.start()
        return lane


def _run_forever(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        while loop not in _ended:
            _run_on(loop.run_forever)
        for _ in range(_MAX_EXITS):
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            if not left or _run_on(loop.run_until_complete, asyncio.wait(left)):
                break
        _run_on(loop.run_until_complete, loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _run_on(run: Callable[..., object], *args: Any) -> bool:
    """Run a loop of ours; return False where an exit has come out of it.

    A task raises SystemExit and KeyboardInterrupt to whoever waits for it, and out
    of the loop as well: there it would end the work of everybody else.
    """
    try:
        run(*args)
    except (SystemExit, KeyboardInterrupt):
        return False
    return True


_background = _Background()
_ended: set[asyncio.AbstractEventLoop] = set()
_inherited: list[_Background] = []
_at_exit = False


def _close() -> None:
    _background.close()


def _after_fork() -> None:
    # The threads are the parent's; its loops are kept, so that nothing closes them.
    global _background
    _inherited.append(_background)
    _background = _Background()


os.register_at_fork(after_in_child=_after_fork)
