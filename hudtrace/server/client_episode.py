"""An episode whose agent is the client: an eval in a task of its own."""

from __future__ import annotations

import asyncio
import contextvars
import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from hudtrace import semconv
from hudtrace.errors import (
    EnvironmentFailure,
    EvalAbandoned,
    EvalFinished,
    SessionFinished,
)
from hudtrace.exits import contain
from hudtrace.runtime import get_runtime
from hudtrace.server.messages import short
from hudtrace.tracing.episode import REQUEST, current_episode, link_to

if TYPE_CHECKING:
    from hudtrace.context import EvalContext
    from hudtrace.result import EvalResult
    from hudtrace.tools import Tool, ToolCall, ToolResult

#: How an episode has ended, by the value of `hud.session.end_reason`.
_HOW = {
    "finished": "is graded",
    "limit": "has reached a limit and is graded",
    "expired": "has expired: nothing was called for too long",
    "failed": "has ended, since its environment could not go on",
    "disconnected": "has ended, since its client left",
    "server_shutdown": "has ended, since the server is shutting down",
}


class ClientEpisode:
    """One eval; its tool calls and its answer come from a client, whenever they do.

    Calls run at the same time. Those that run when the answer comes, or when the
    episode ends otherwise, are stopped. `ending` says how it ends.
    """

    def __init__(self, context: EvalContext, scenario: str) -> None:
        self.id = secrets.token_hex(16)
        self.context = context
        self.scenario = scenario
        self.ending: str | None = None
        self.answer: str | None = None
        self._used = time.monotonic()
        self._calls: set[asyncio.Task[ToolResult]] = set()
        self._inside = contextvars.Context()
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = loop.create_future()
        self._over: asyncio.Future[str | None] = loop.create_future()

    # What can be seen --------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether it has come to its prompt and not to its end."""
        return self._ready.done() and self.ending is None

    @property
    def calls(self) -> set[asyncio.Task[ToolResult]]:
        """The tool calls that run now."""
        return set(self._calls)

    @property
    def idle_seconds(self) -> float:
        """How long nothing has been called."""
        busy = self._calls or not self.is_open
        return 0.0 if busy else time.monotonic() - self._used

    @property
    def meta(self) -> dict[str, Any]:
        """Which scenario it is, and where its trace can be opened."""
        context = self.context
        return {
            "scenario": self.scenario,
            "trace_id": context.trace_id,
            "span_id": context._running.record.episode.span_id,
            "trace_url": context.trace_url,
        }

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The tools that the scenario offers."""
        return self.context._running.toolbox.tools

    @property
    def result(self) -> EvalResult | None:
        """The result, when the episode has ended."""
        return self.context.result if self.context.has_result else None

    def over(self) -> SessionFinished:
        """Return the error for what comes after the end."""
        reason = self.ending or "failed"
        return SessionFinished(
            f"the episode of {self.scenario!r} {_HOW[reason]}; start another with "
            f"scenario_start",
            reason,
        )

    # What clients do ---------------------------------------------------------

    def start(self, caller: trace.Span) -> None:
        """Open the eval in a task of its own, which is `task`."""
        self.task = asyncio.create_task(self._live(caller))

    async def opened(self) -> None:
        """Wait for the prompt; raises what the set-up raises.

        Cancelling this ends the episode.
        """
        try:
            await asyncio.shield(self._ready)
        except asyncio.CancelledError:
            self.end("disconnected")
            self.task.cancel()
            raise
        except Exception:
            await asyncio.wait([self.task])
            raise

    async def call(self, call: ToolCall, caller: trace.Span) -> ToolResult:
        """Run a tool call; cancelling this stops it.

        Raises `SessionFinished` where the episode ends before it does.
        """
        if not self.is_open:
            raise self.over()
        inside = self._inside.copy()
        running = asyncio.create_task(self._perform(call, caller), context=inside)
        self._calls.add(running)
        running.add_done_callback(self._note_end)
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            running.cancel()
            await asyncio.wait([running])
            raise
        ends = EnvironmentFailure | EvalFinished
        if running.cancelled() or isinstance(running.exception(), ends):
            await asyncio.wait([self.task])
            raise self.over()
        return running.result()

    async def submit(self, answer: str | None) -> None:
        """Hand in the answer and wait until it is graded, which goes on if cancelled."""
        if self.is_open and not self._over.done():
            self.ending, self.answer = "finished", answer
            self._over.set_result(answer)
        # Where it has come to its end otherwise, that is waited for, too.
        await asyncio.wait([self.task])

    def end(self, reason: str) -> None:
        """End the episode without an answer."""
        if self.ending is None:
            self.ending = reason
        if not self._over.done():
            said = f"the episode {_HOW[reason]}"
            self._over.set_exception(EvalAbandoned(said))
            self._over.exception()  # looked at, should it be over already

    # The episode's own task --------------------------------------------------

    async def _live(self, caller: trace.Span) -> None:
        failure: BaseException | None = None
        contain()
        try:
            async with self.context:
                root = self._opened_root(caller)
                self._inside = contextvars.copy_context()
                try:
                    await get_runtime().pipeline.secure(root)
                    self._used = time.monotonic()
                    self._ready.set_result(None)
                    answer = await self._over
                    if answer is not None:
                        await self.context.submit(answer)
                except BaseException:
                    limited = self.context.stopped_by is not None
                    self.ending = self.ending or ("limit" if limited else "failed")
                    raise
                finally:
                    root.set_attribute(semconv.SESSION_END_REASON, self.ending)
                    await self._stop_calls()
        except BaseException as error:
            failure = error
            if not isinstance(error, Exception | asyncio.CancelledError):
                raise
        finally:
            self.ending = self.ending or "failed"
            if not self._ready.done():
                self._ready.set_exception(_visible(failure) or self.over())
                self._ready.exception()  # looked at, should nobody wait for it

    async def _perform(self, call: ToolCall, caller: trace.Span) -> ToolResult:
        otel_context.attach(otel_context.set_value(REQUEST, caller))
        try:
            return await self.context._run_tool(call)
        except EnvironmentFailure as failure:
            if not self._over.done():
                self.ending = self.ending or "failed"
                self._over.set_exception(failure)
            raise

    def _note_end(self, call: asyncio.Task[ToolResult]) -> None:
        self._calls.discard(call)
        self._used = time.monotonic()

    async def _stop_calls(self) -> None:
        calls = self.calls - {asyncio.current_task()}
        for call in calls:
            call.cancel()
        if calls:
            await asyncio.wait(calls)

    def _opened_root(self, caller: trace.Span) -> Any:
        """Return the root span of the episode, which is open now."""
        episode = current_episode()
        assert episode is not None
        # A client in this process calls us outside of the episode: no call is lost.
        episode.takes_lost_calls = False
        episode.root.set_attribute(semconv.SESSION_ID, short(self.id))
        back = link_to(episode.root, "episode")  # the root has one to its caller
        caller.add_link(back.context, back.attributes)
        return episode.root


def _visible(failure: BaseException | None) -> Exception | None:
    """Return *failure* where others can be told of it: cancellation is our own."""
    return failure if isinstance(failure, Exception) else None
