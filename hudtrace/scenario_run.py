"""Drives one scenario generator: prompt, answer, reward, end.

An async generator is driven by one asyncio task with a contextvars Context of
its own, from set-up through grading to close, so that a task group may be held
across a `yield` and nothing that the scenario sets leaks. A sync generator has
one thread and one Context of its own instead.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from hudtrace.errors import ScenarioProtocolError
from hudtrace.exits import contained
from hudtrace.prompts import read_prompt
from hudtrace.threads import EpisodeThread
from hudtrace.tools import Tool

_LEAVE = object()  # sent instead of an answer: close without grading


@dataclass(slots=True)
class Elsewhere:
    """What is known of a run that another process has: it has the tools and the word.

    `outcome` and `stopped_by` are what it says at the end.
    """

    tools: Mapping[str, Tool] = field(default_factory=dict)
    outcome: Any = None
    stopped_by: str | None = None


class ScenarioRun:
    """One run of one scenario; call `setup`, then `grade`, and always `close`.

    `elsewhere` is given where another process runs it, and this only asks for it.
    """

    def __init__(
        self,
        name: str,
        start: Callable[[], Any],
        *,
        is_async: bool,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.elsewhere = elsewhere
        self._name = name
        self._start = start
        self._is_async = is_async
        self._driver: asyncio.Task[None] | None = None
        self.clean_up_error: Exception | None = None

    async def setup(self, context: Context) -> Any:
        """Run to the first yield, with *context* current inside; return the prompt.

        Raises what the scenario raises, `ScenarioProtocolError` if it yields
        no prompt. Cancelling this cancels the scenario.
        """
        loop = asyncio.get_running_loop()
        self._prompt: asyncio.Future[Any] = loop.create_future()
        self._answer: asyncio.Future[Any] = loop.create_future()
        self._driver = loop.create_task(
            self._drive(context), context=contextvars.copy_context()
        )
        try:
            prompt = await self._prompt
        except asyncio.CancelledError:
            # Ours to pass on, and the scenario's to clean up after.
            self._driver.cancel()
            await asyncio.wait([self._driver])
            raise
        return read_prompt(prompt, self._name)

    async def grade(self, answer: Any, context: Context) -> Any:
        """Send *answer*, with *context* current inside; return what is yielded.

        The scenario is then resumed once more and must end, and is closed. What it
        raises after its reward is in `clean_up_error`.
        Raises as `setup`; cancelling this cancels the scenario.
        """
        assert self._driver is not None
        if not self._answer.done():
            self._answer.set_result((answer, context))
        return await self._driver

    @property
    def closed(self) -> bool:
        """Whether the generator has been closed."""
        return self._driver is None or self._driver.done()

    async def close(self) -> None:
        """Close the generator, which runs its `finally`; safe to call again.

        Raises what closing raises, if nobody has seen it yet.
        """
        if self._driver is None or self._driver.done():
            return
        if not self._answer.done():
            self._answer.set_result((_LEAVE, None))
        await asyncio.wait([self._driver])
        if not self._driver.cancelled():
            error = self._driver.exception()
            if error is not None:
                raise error

    async def _drive(self, context: Context) -> Any:
        otel_context.attach(context)
        generator = self._open()
        failure: BaseException | None = None
        try:
            _settle(self._prompt, await self._next(generator, None, "a prompt"))
            answer, context = await self._answer
            if answer is _LEAVE:
                return None
            otel_context.attach(context)
            reward = await self._next(generator, answer, "a reward")
            await self._expect_end(generator)
            return reward
        except BaseException as error:
            failure = error
            if not self._prompt.done():
                _settle(self._prompt, error=error)
                if not isinstance(error, asyncio.CancelledError):
                    return None  # set-up raises it
            raise
        finally:
            await self._close(generator, failure)

    async def _close(self, generator: Any, failure: BaseException | None) -> None:
        try:
            with contained():
                await _close(generator)
        except BaseException as error:
            if failure is None:
                raise
            failure.add_note(f"and closing the scenario raised {error!r}")

    def _open(self) -> Any:
        generator = self._start()
        return generator if self._is_async else _ThreadedGenerator(generator)

    async def _next(self, generator: Any, value: Any, what: str) -> Any:
        try:
            with contained():
                return await generator.asend(value)
        except StopAsyncIteration:
            raise ScenarioProtocolError(
                f"scenario {self._name!r} ended without yielding {what}; it yields a "
                f"prompt and then a reward"
            ) from None

    async def _expect_end(self, generator: Any) -> None:
        try:
            with contained():
                extra = await generator.asend(None)
        except StopAsyncIteration:
            return
        except Exception as error:
            self.clean_up_error = error  # the reward has been given
            return
        raise ScenarioProtocolError(
            f"scenario {self._name!r} yielded a third time ({extra!r:.80}); it ends "
            f"after its reward"
        )


class _ThreadedGenerator:
    """A sync generator behind the async generator's methods, on one thread."""

    def __init__(self, generator: Generator[Any, Any, Any]) -> None:
        self._generator = generator
        self._thread = EpisodeThread()
        self._context = contextvars.copy_context()
        self._left_running = False

    async def asend(self, value: Any) -> Any:
        current = otel_context.get_current()

        def step() -> Any:
            otel_context.attach(current)
            try:
                return self._generator.send(value)
            except StopIteration:
                return _LEAVE

        try:
            result = await self._thread.run(lambda: self._context.run(step))
        except asyncio.CancelledError:
            self._left_running = True
            raise
        if result is _LEAVE:
            raise StopAsyncIteration
        return result

    async def aclose(self) -> None:
        closing = self._thread.run(lambda: self._context.run(self._generator.close))
        self._thread.close()
        if self._left_running:
            # The thread is still in the step that was cancelled; it closes the
            # generator when it comes back, and nobody waits for that.
            closing.add_done_callback(lambda done: done.cancelled() or done.exception())
            return
        await closing


async def _close(generator: Any) -> None:
    """Close *generator*; a task group in it reports the GeneratorExit as an error."""
    try:
        await generator.aclose()
    except BaseExceptionGroup as group:
        others = group.split(GeneratorExit)[1]
        if others is not None:
            raise others from None


def _settle(
    future: asyncio.Future[Any], result: Any = None, error: BaseException | None = None
) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, asyncio.CancelledError):
        future.cancel()
    else:
        future.set_exception(error)


AnyGenerator = AsyncGenerator[Any, Any] | Generator[Any, Any, Any]
