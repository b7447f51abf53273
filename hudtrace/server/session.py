"""One session: a scenario chat in a task of its own, which clients send to."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context

from hudtrace import semconv
from hudtrace.chat.events import ChatEvent, ChatReply, Done
from hudtrace.errors import EnvironmentFailure, EvalAbandoned, SessionFinished
from hudtrace.exits import contain
from hudtrace.messages import Usage
from hudtrace.runtime import get_runtime
from hudtrace.server.errors import TurnTimeout
from hudtrace.server.messages import HOW_IT_ENDED, Sent, short
from hudtrace.tracing.episode import REQUEST, current_episode

if TYPE_CHECKING:
    from hudtrace.chat.scenario_chat import ScenarioChat
    from hudtrace.result import EvalResult


@dataclass(frozen=True)
class _Finish:
    answer: Any


class Session:
    """A chat that lives in its own task, so that requests may come and go.

    Messages are answered in the order in which they come. One that its sender
    gives up is stopped and counts as not sent; a first one that fails ends the
    session, and so does a failure of the environment. `ending` says how it ends.
    """

    def __init__(
        self, chat: ScenarioChat, scenario: str, *, ttl: float, turn_timeout: float
    ) -> None:
        self.id = secrets.token_hex(16)
        self.chat = chat
        self.scenario = scenario
        self.system_prompt: str | None = None
        self.ending: str | None = None
        self._ttl = ttl
        self._turn_timeout = turn_timeout
        self._used = time.monotonic()
        self._work: asyncio.Queue[Sent | _Finish | None] = asyncio.Queue()
        self._waiting: list[Sent] = []
        self._turn: asyncio.Task[ChatReply] | None = None
        self._stopped = False
        self._answered = False
        self._answer_given: Any = None
        self._spent = Usage()
        self._called = 0  # tool calls before the message that is answered
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # What can be seen --------------------------------------------------------

    @property
    def trace_id(self) -> str:
        """The id of the episode's trace."""
        return self.chat.trace_id

    @property
    def trace_url(self) -> str:
        """Where the trace can be opened."""
        return self.chat.trace_url

    @property
    def is_open(self) -> bool:
        """Whether it has come to its prompt and not to its end."""
        return self._ready.done() and self.ending is None

    def explained(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """Return *meta* for an error: it says whether the session has ended, and how."""
        return {**meta, "session_ended": self.ending}

    @property
    def result(self) -> EvalResult | None:
        """The result, when the session has ended."""
        return self.chat.result if self.chat.context.has_result else None

    @property
    def busy(self) -> bool:
        """Whether somebody waits for an answer."""
        return bool(self._waiting)

    @property
    def idle_seconds(self) -> float:
        """How long nothing has been sent or answered."""
        return 0.0 if self.busy else time.monotonic() - self._used

    @property
    def expired(self) -> bool:
        """Whether it is open, and idle for longer than it may be."""
        return self.is_open and self.idle_seconds > self._ttl

    # What clients do ---------------------------------------------------------

    async def send(self, sent: Sent) -> ChatReply:
        """Send a message and return the answer; cancelling this stops it."""
        self._add(sent)
        try:
            return await sent.reply
        finally:
            sent.reply.cancel()

    async def stream(self, sent: Sent) -> AsyncGenerator[ChatEvent, None]:
        """Send a message and yield what comes back; closing this stops it."""
        events = sent.events = asyncio.Queue()
        self._add(sent)
        try:
            while (event := await events.get()) is not None:
                yield event
            yield Done(await sent.reply)
        finally:
            sent.reply.cancel()

    async def finish(self, answer: Any = None) -> None:
        """Have the session graded after what was sent before, and wait for it."""
        self._work.put_nowait(_Finish(answer))
        await asyncio.wait([self.task])

    def end(self, reason: str, *, now: bool = False) -> None:
        """End the session without a client: after what goes on, or *now*."""
        if self.ending is None:
            self.ending = reason
        self._work.put_nowait(None)
        if now:
            self._stopped = True
            if self._turn is not None:
                self._turn.cancel()

    # The session's own task --------------------------------------------------

    def start(self, ended: Callable[[Session], None]) -> None:
        """Open the chat in a task of its own; *ended* is called at its end."""
        self.task = asyncio.create_task(self._live())
        self.task.add_done_callback(lambda _: ended(self))

    async def opened(self) -> None:
        """Wait for the prompt; raises what the set-up raised.

        Cancelling this ends the session.
        """
        try:
            await asyncio.shield(self._ready)
        except asyncio.CancelledError:
            self.ending = self.ending or "disconnected"
            self.task.cancel()
            raise
        except Exception:
            await asyncio.wait([self.task])
            raise

    async def _live(self) -> None:
        failure: BaseException | None = None
        contain()
        try:
            async with self.chat:
                root = self._opened_root()
                try:
                    await get_runtime().pipeline.secure(root)
                    self._used = time.monotonic()
                    self._ready.set_result(None)
                    await self._serve()
                except BaseException as error:
                    failure = error
                    limited = self.chat.context.stopped_by is not None
                    self.ending = self.ending or ("limit" if limited else "failed")
                    raise
                finally:
                    root.set_attribute(semconv.SESSION_END_REASON, self.ending)
                if self._answer_given is not None:
                    await self.chat.finish(self._answer_given)
        except BaseException as error:
            failure = failure or error
            if not isinstance(error, Exception | asyncio.CancelledError):
                raise
        finally:
            self.ending = self.ending or "failed"
            self._settle(failure)

    async def _serve(self) -> None:
        """Answer what is sent until somebody ends the session."""
        while True:
            work = await self._work.get()
            if isinstance(work, Sent) and not self._stopped:
                await self._answer(work)
            elif isinstance(work, _Finish):
                self.ending, self._answer_given = "finished", work.answer
                return
            else:
                raise self._abandoned()

    async def _answer(self, sent: Sent) -> None:
        if sent.reply.done():
            self._after_leaving(sent)
            return
        self._called = len(self.chat.context.tool_calls)
        self._turn = turn = asyncio.create_task(self._say(sent))
        sent.reply.add_done_callback(lambda _: turn.cancel())
        try:
            await asyncio.wait([turn])
        except asyncio.CancelledError:  # by a limit, or for good
            turn.cancel()
            await asyncio.wait([turn])
            raise
        finally:
            self._turn = None
        if self._stopped:
            raise self._abandoned()
        if turn.cancelled():
            self._after_leaving(sent)
        elif (error := turn.exception()) is not None:
            self._after_failure(sent, error)
        else:
            self._answered = True
            self._spent += turn.result().usage
            self._done(sent, turn.result())

    async def _say(self, sent: Sent) -> ChatReply:
        inside = otel_context.set_value(REQUEST, sent.caller)
        token = otel_context.attach(inside)
        changes: dict[str, Any] = {
            "model": sent.model,
            "request": sent.request,
            "max_steps": sent.max_steps,
        }
        limit = asyncio.timeout(self._turn_timeout)
        try:
            async with limit:
                if sent.events is None:
                    return await self.chat.send(sent.text, **changes)
                stream = self.chat.send_stream(sent.text, **changes)
                async with contextlib.aclosing(stream) as events:
                    async for event in events:
                        if isinstance(event, Done):
                            return event.reply
                        sent.events.put_nowait(event)
                raise AssertionError("a stream ends with Done")
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TurnTimeout(
                f"no answer within {self._turn_timeout:g} seconds; the message counts "
                f"as not sent"
            ) from error
        finally:
            otel_context.detach(token)

    def _after_leaving(self, sent: Sent) -> None:
        self._used = time.monotonic()
        if not self._answered and sent.events is None:
            # Nobody knows the session's id.
            self.ending = "disconnected"
            raise self._abandoned()
        self._done(sent, None)

    def _after_failure(self, sent: Sent, error: BaseException) -> None:
        if not self._answered or isinstance(error, EnvironmentFailure):
            raise error
        self._done(sent, error)

    def _add(self, sent: Sent) -> None:
        if self.task.done():
            raise self._finished()
        self._waiting.append(sent)
        self._work.put_nowait(sent)

    def _done(self, sent: Sent, outcome: ChatReply | BaseException | None) -> None:
        self._used = time.monotonic()
        if sent in self._waiting:
            self._waiting.remove(sent)
        if not sent.reply.done():
            if isinstance(outcome, ChatReply):
                sent.reply.set_result(outcome)
            elif outcome is not None:
                sent.reply.set_exception(outcome)
        if sent.events is not None:
            sent.events.put_nowait(None)

    def _settle(self, failure: BaseException | None) -> None:
        """Tell those who still wait, when the trace is closed."""
        if not self._ready.done():
            told = failure if isinstance(failure, Exception) else self._finished()
            self._ready.set_exception(told)
            self._ready.exception()  # looked at, should nobody wait for it
        first = self._waiting[0] if self._waiting else None
        for sent in list(self._waiting):
            outcome: ChatReply | BaseException = self._finished()
            if sent is first and self.ending == "limit":
                outcome = self._last_words()
            elif sent is first and self.ending == "failed" and failure is not None:
                outcome = failure
            self._done(sent, outcome)

    def _last_words(self) -> ChatReply | BaseException:
        """Return what there is of an answer that a limit has stopped."""
        result = self.result
        if result is None:
            return self._finished()
        used = Usage(
            result.usage.input_tokens - self._spent.input_tokens,
            result.usage.output_tokens - self._spent.output_tokens,
            result.usage.cached_tokens - self._spent.cached_tokens,
        )
        answer = "" if result.answer is None else str(result.answer)
        called = self.chat.context.tool_calls[self._called :]
        return ChatReply(answer, called, "stop", used, result.stopped_by)

    def _abandoned(self) -> EvalAbandoned:
        return EvalAbandoned(f"the session {HOW_IT_ENDED[str(self.ending)]}")

    def _finished(self) -> SessionFinished:
        reason = self.ending or "failed"
        return SessionFinished(
            f"session {short(self.id)} {HOW_IT_ENDED[reason]}", reason
        )

    def _opened_root(self) -> Any:
        """Return the root span of the episode, which is open now."""
        episode = current_episode()
        assert episode is not None
        # A client in this process calls us outside of the episode: no call is lost.
        episode.takes_lost_calls = False
        episode.root.set_attribute(semconv.SESSION_ID, short(self.id))
        return episode.root
