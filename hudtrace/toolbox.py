"""The tools of one eval: calls, their spans, and mistakes answered in-band."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.trace import StatusCode

from hudtrace import semconv
from hudtrace.errors import EnvironmentFailure, InvalidArguments, UnknownTool
from hudtrace.exits import contained
from hudtrace.locks import SharedLock
from hudtrace.messages import to_json
from hudtrace.notices import notify_once
from hudtrace.threads import EpisodeThread
from hudtrace.tools import (
    Tool,
    ToolCall,
    ToolResult,
    exception_text,
    unknown_tool_text,
)
from hudtrace.tracing.episode import REQUEST, TURN, Episode, link_request
from hudtrace.tracing.model_call import refuse_past_limit
from hudtrace.tracing.spans import ABANDON, Abandon, Span, with_span
from hudtrace.tracing.twins import beside_twins

#: What asyncio says of a future, and of a lock, that belongs to another loop.
_OTHER_LOOP = re.compile(r"different (event )?loop")
_SPAN_NAME = semconv.OP_EXECUTE_TOOL
_MISTAKES: dict[type[Exception], str] = {
    UnknownTool: "unknown_tool",
    InvalidArguments: "invalid_arguments",
}


@dataclass(frozen=True, slots=True)
class ToolRecord:
    """One tool call that was made: what was asked, what came back, its span.

    `id` is the one that the model gave the call, if any.
    """

    name: str
    arguments: Mapping[str, Any] | None
    result: ToolResult
    span: Span
    id: str | None = None


async def run_together(works: Iterable[Awaitable[Any]]) -> list[Any]:
    """Run *works* at the same time; where one fails, the others are cancelled.

    Returns their results in order, or raises the first error unwrapped.
    """
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


class _Underway:
    """The calls that run now; one can wait for the end of those on its event loop.

    It does not wait for those of another loop, which it may itself be blocking.
    """

    def __init__(self) -> None:
        self._counts: dict[asyncio.AbstractEventLoop, int] = {}
        self._waiting: dict[asyncio.AbstractEventLoop, list[asyncio.Event]] = {}

    def begin(self) -> asyncio.AbstractEventLoop:
        """Count a call; `end` is to be told the loop that this returns."""
        loop = asyncio.get_running_loop()
        self._counts[loop] = self._counts.get(loop, 0) + 1
        return loop

    def end(self, loop: asyncio.AbstractEventLoop) -> None:
        self._counts[loop] -= 1
        if not self._counts[loop]:
            del self._counts[loop]
            for over in self._waiting.pop(loop, ()):
                over.set()

    async def over(self) -> None:
        """Wait until none is under way."""
        loop = asyncio.get_running_loop()
        if loop in self._counts:
            over = asyncio.Event()
            self._waiting.setdefault(loop, []).append(over)
            await over.wait()


class Toolbox:
    """Runs tool calls for one episode.

    Each call is one `execute_tool` span below the turn that asked for it.
    `records` holds the finished calls in the order in which they ended. A call
    that a limit forbids stops the body when those under way have ended. Make it on
    the eval's loop.
    """

    def __init__(self, tools: Mapping[str, Tool], episode: Episode) -> None:
        self.tools = tools
        self.records: list[ToolRecord] = []
        self.failure: EnvironmentFailure | None = None
        self._episode = episode
        self._thread = EpisodeThread()
        self._locks: dict[str, SharedLock] = {}
        self._underway = _Underway()
        self._loop = asyncio.get_running_loop()

    async def run(self, call: ToolCall) -> ToolResult:
        """Run *call*; a mistake of the model or a failing tool is a result too.

        Raises only `EnvironmentFailure`, cancellation, and what ends the
        process.
        """
        if call.name in self.tools:
            call = self.tools[call.name].read_text(call)
        await self._await_others()
        with self._span(call) as (span, abandon):
            try:
                result = ToolResult.of(await self._perform(call, abandon))
                if result.is_error:
                    self._reported(span, result)
            except EnvironmentFailure as error:
                self.failure = error
                self._failed(span, error)
                raise
            except Exception as error:
                self._failed(span, error)
                text = str(error) if type(error) in _MISTAKES else exception_text(error)
                result = ToolResult.error(text)
            result = self._capped(call.name, result)
            self._note(span, call, result)
            return result

    async def value(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Run the tool *name* as plain Python: return its value or raise its error."""
        call = ToolCall(name, dict(arguments))
        await self._await_others()
        with self._span(call) as (span, abandon):
            try:
                value = await self._perform(call, abandon)
                if isinstance(value, ToolResult):
                    value = value.plain()
            except Exception as error:
                if isinstance(error, EnvironmentFailure):
                    self.failure = error
                self._failed(span, error)
                self._note(span, call, ToolResult.error(exception_text(error)))
                raise
            self._note(span, call, self._capped(name, ToolResult.of(value)))
            return value

    def close(self) -> None:
        """Let go of the episode's own thread, if a tool used it."""
        self._thread.close()

    async def _perform(self, call: ToolCall, abandon: Abandon) -> Any:
        tool = self.tools.get(call.name)
        if tool is None:
            raise UnknownTool(unknown_tool_text(call.name, self.tools))
        if call.problem is not None:
            raise InvalidArguments(call.problem)
        arguments = tool.validate(call.arguments or {})
        try:
            with contained():
                if tool.parallel:
                    return await tool.run(arguments, thread=self._thread)
                async with self._locks.setdefault(tool.name, SharedLock()):
                    return await tool.run(arguments, thread=self._thread)
        except (TimeoutError, asyncio.CancelledError):
            # Whatever a thread of the tool does from now on is too late.
            abandon.given_up = True
            raise

    async def _await_others(self) -> None:
        """Let the calls under way end before this one is refused at a limit.

        A call that a tool makes does not wait: the tool may wait for it.
        """
        nested = otel_context.get_current().get(ABANDON) is not None
        if not nested and self._episode.limit("tool_calls") is not None:
            await self._underway.over()

    @contextmanager
    def _span(self, call: ToolCall) -> Iterator[tuple[Span, Abandon]]:
        episode = self._episode
        refuse_past_limit(episode, "tool_calls")
        episode.tally.tool_calls += 1
        here, twin = beside_twins(otel_context.get_current(), call.name)
        turn = episode.turn_for_tool(call.id, call.name, call.arguments)
        parent = episode.tool_context(turn, here)
        span = episode.tracer.start(
            f"{_SPAN_NAME} {call.name}", parent, self._attributes(call)
        )
        span.twin = twin
        if turn is None:  # the request did not come by way of a turn
            link_request(here.get(REQUEST), span)
        abandon = Abandon()
        inside = with_span(parent, span, **{TURN: turn, ABANDON: abandon})
        token = otel_context.attach(inside)
        loop = self._underway.begin()
        try:
            yield span, abandon
        except asyncio.CancelledError:
            span.set_attribute(semconv.ERROR_TYPE, "cancelled")
            span.set_status(StatusCode.ERROR, "cancelled")
            raise
        finally:
            otel_context.detach(token)
            span.end()
            self._underway.end(loop)

    def _attributes(self, call: ToolCall) -> dict[str, Any]:
        attributes: dict[str, Any] = {
            semconv.OPERATION: semconv.OP_EXECUTE_TOOL,
            semconv.TOOL_NAME: call.name,
            semconv.TOOL_TYPE: "function",
            semconv.TOOL_ERROR: 0.0,
        }
        if call.id is not None:
            attributes[semconv.TOOL_CALL_ID] = call.id
        tool = self.tools.get(call.name)
        if tool is not None and tool.description:
            attributes[semconv.TOOL_DESCRIPTION] = tool.description
        attributes[semconv.TOOL_CALL_ARGUMENTS] = _arguments_json(call)
        return attributes

    def _failed(self, span: Span, error: Exception) -> None:
        tally = self._episode.tally
        tally.tool_errors += 1
        span.set_attribute(semconv.TOOL_ERROR, 1.0)
        mistake = _MISTAKES.get(type(error))
        if mistake is not None:
            span.set_attribute(semconv.ERROR_TYPE, mistake)
            span.set_status(StatusCode.ERROR, str(error))
            return
        tally.tool_exceptions += 1
        if isinstance(error, RuntimeError) and _OTHER_LOOP.search(str(error)):
            self._say_other_loop(span.name)
        timed_out = isinstance(error, TimeoutError)
        span.fail(error, "timeout" if timed_out else None)
        if getattr(error, "abandoned", False):
            span.set_attribute(semconv.TOOL_ABANDONED, True)

    def _say_other_loop(self, name: str) -> None:
        if asyncio.get_running_loop() is not self._loop:
            notify_once(
                "tool-on-another-loop",
                f"{name}: the tool uses something that is bound to the eval's event "
                f"loop, which sync code blocks, so it ran on another one; call the "
                f"agent with 'await agent.ainvoke(...)' or "
                f"'await asyncio.to_thread(agent.invoke, ...)'",
            )

    def _reported(self, span: Span, result: ToolResult) -> None:
        """Note an error that the tool did not raise, but gave as its result."""
        self._episode.tally.tool_errors += 1
        span.set_attribute(semconv.TOOL_ERROR, 1.0)
        span.set_attribute(semconv.ERROR_TYPE, "tool_error")
        span.set_status(StatusCode.ERROR, result.text[:500])

    def _capped(self, name: str, result: ToolResult) -> ToolResult:
        tool = self.tools.get(name)
        return result if tool is None else tool.capped(result)

    def _note(self, span: Span, call: ToolCall, result: ToolResult) -> None:
        span.set_attribute(semconv.TOOL_CALL_RESULT, result.text)
        record = ToolRecord(call.name, call.arguments, result, span, call.id)
        self.records.append(record)


def _arguments_json(call: ToolCall) -> str:
    if call.arguments is None:
        return str(call.native) if call.problem is None else call.problem
    return to_json(call.arguments)
