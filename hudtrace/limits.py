"""Watches the limits of one eval and stops its body when one is reached."""

from __future__ import annotations

import asyncio
import functools
import math
import threading
from time import monotonic as _now
from typing import Any, TypeVar

from hudtrace.loops import Start
from hudtrace.notices import notify_once
from hudtrace.result import Limits
from hudtrace.tracing.episode import Episode

T = TypeVar("T")

#: Seconds that a cancelled body has before it is cancelled again: a framework may wait
#: in its clean-up for what was cancelled, and for ever.
AGAIN = 2.0
_REACHED = "limit reached: "


class LimitGuard:
    """Stops the body of an eval at a limit, from whatever thread it is noticed.

    `reached` names the limit that stopped it. *body* is the task that runs the body,
    None for sync code; build and `release` the guard on its loop, `release` it when
    the body is over. A body that goes on is cancelled again after `AGAIN` seconds,
    and when its time is over. Nobody can interrupt sync code: only its next call is
    refused, and calls that it waits for are cancelled.
    """

    def __init__(
        self, limits: Limits, episode: Episode, body: asyncio.Task[Any] | None
    ) -> None:
        self.reached: str | None = None
        self._limits = limits
        self._episode = episode
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._body = body
        self._calls: set[asyncio.Task[Any]] = set()
        self._until = math.inf if limits.time is None else _now() + limits.time
        self._before = self._body.cancelling() if self._body else 0
        self._cancels = 0
        self._again: asyncio.TimerHandle | None = None
        self._revoked = False
        self._released = False
        self._timer: asyncio.TimerHandle | None = None
        episode.limit = self._next_would_pass
        episode.stop = self.stop
        if limits.time is not None:
            self._timer = self._loop.call_later(limits.time, self._time_is_over)

    def stop(self, limit: str) -> None:
        """Note *limit* as reached and cancel the body, unless it asks itself."""
        if self._released:
            return
        self.reached = self.reached or limit
        if threading.get_ident() != self._thread:
            self._loop.call_soon_threadsafe(self._cancel)
        else:
            self._cancel()

    def cancel(self) -> None:
        """Have sync code stop at its next call, not as at a limit: nothing is graded."""
        self._revoked = True
        self._loop.call_soon_threadsafe(self._cancel)

    def check(self) -> None:
        """Raise `asyncio.CancelledError` where sync code is to stop."""
        if self._released:
            return
        if self._revoked:
            raise asyncio.CancelledError("the eval was cancelled")
        if _now() >= self._until:
            self.stop("time")
            raise asyncio.CancelledError(f"{_REACHED}time")

    async def watch(self, start: Start[T]) -> T:
        """Await a coroutine that sync code waits for; a limit cancels it."""
        task = asyncio.current_task()
        assert task is not None
        self._calls.add(task)
        try:
            return await start()
        finally:
            self._calls.discard(task)

    def release(self) -> None:
        """Stop watching; take back a cancellation that the body has used up."""
        if self._released:
            return
        self._released = True
        for timer in (self._timer, self._again):
            if timer is not None:
                timer.cancel()
        if self._body is not None:
            for _ in range(self._cancels):
                self._body.uncancel()

    @property
    def only_cause(self) -> bool:
        """Whether a cancellation of the body came from a limit and nobody else."""
        if self.reached is None or self._revoked:
            return False
        return self._body is None or self._body.cancelling() <= self._before

    def has_caused(self, error: BaseException) -> bool:
        """Whether *error* came of a limit: it is, or was raised from, its cancellation.

        Sync code of a framework may turn `asyncio.CancelledError` into an error of its
        own.
        """
        if not self.only_cause:
            return False
        if isinstance(error, asyncio.CancelledError):
            return True
        seen: set[int] = set()
        above: BaseException | None = error
        while above is not None and id(above) not in seen:
            if isinstance(above, asyncio.CancelledError) and _says_so(above):
                return True
            seen.add(id(above))
            hidden = above.__suppress_context__
            above = above.__cause__ or (None if hidden else above.__context__)
        return False

    def _cancel(self) -> None:
        if self._released or self._cancels:
            return
        message = f"{_REACHED}{self.reached}" if self.reached else None
        for task in list(self._calls):
            if task is not asyncio.current_task():
                cancel = functools.partial(task.cancel, message)
                task.get_loop().call_soon_threadsafe(cancel)
        if self._body is None:
            return
        if asyncio.current_task(self._loop) is not self._body:
            self._cancel_body()
        elif self._again is None:  # the call that asked raises CancelledError itself
            self._again = self._loop.call_later(AGAIN, self._cancel_body)

    def _cancel_body(self) -> None:
        if self._released or self._body is None:
            return
        if self._again is not None:
            self._again.cancel()
        self._cancels += self._body.cancel(f"{_REACHED}{self.reached}")
        self._again = self._loop.call_later(AGAIN, self._cancel_body)

    def _time_is_over(self) -> None:
        again = self._cancels
        self.stop("time")
        if again:
            self._cancel_body()

    def _next_would_pass(self, kind: str) -> str | None:
        """Return the limit that forbids one more of *kind*, if any.

        *kind* is "turns", "tool_calls", or "calls": model calls in an open turn.
        """
        if not self._released:
            if self.reached is not None:
                return self.reached
            if self._revoked:
                raise asyncio.CancelledError("the eval was cancelled")
            if _now() >= self._until:
                return "time"  # the timer is late: the loop is blocked
        limits, tally = self._limits, self._episode.tally
        usage = tally.usage
        used = usage.input_tokens + usage.output_tokens
        if limits.tokens is not None:
            if tally.untold:
                _say_untold()
            if used >= limits.tokens:
                return "tokens"
        if limits.cost is not None:
            if usage.cost is None and tally.model_calls:
                _say_unpriced()
            if tally.spent >= limits.cost:
                return "cost"
        for limit, made in (
            ("turns", self._episode.turn_count),
            ("tool_calls", tally.tool_calls),
        ):
            allowed: int | None = getattr(limits, limit)
            if kind == limit and allowed is not None and made >= allowed:
                return limit
        return None


def _says_so(error: BaseException) -> bool:
    return bool(error.args) and str(error.args[0]).startswith(_REACHED)


def _say_untold() -> None:
    notify_once(
        "token-limit-without-usage",
        "a token limit is set but a model call did not say how many tokens it used, so "
        "it cannot be kept; have streams report them (stream_options={'include_usage': "
        "True}, in LangChain stream_usage=True), or set Limits(turns=...) as well",
    )


def _say_unpriced() -> None:
    notify_once(
        "cost-limit-without-price",
        "a cost limit is set but the price of a model is not known, so it cannot be "
        "kept; set Limits(tokens=...) as well",
    )
