"""The episodes of MCP clients: one at a time for each, bounded, ended in time."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hudtrace.errors import SessionFinished, TooManySessions
from hudtrace.evaluation import eval
from hudtrace.server.client_episode import ClientEpisode
from hudtrace.server.errors import Refusal, refusal_of
from hudtrace.server.sessions import CLOSING, gone
from hudtrace.server.shapes import encode
from hudtrace.tracing.spans import type_name

if TYPE_CHECKING:
    from opentelemetry import trace

    from hudtrace.grading import Grade
    from hudtrace.result import EvalResult
    from hudtrace.server.options import ServerOptions
    from hudtrace.task import Task
    from hudtrace.tools import ToolCall, ToolResult

Json = dict[str, Any]
_REMEMBERED = 10_000  # ended episodes, for those who ask again
_SWEEP = 60.0  # seconds between two looks for expired episodes, at most
_DELIVERY = 2.0  # seconds that a report waits for the store and the exporters


@dataclass(frozen=True, slots=True)
class Report:
    """What came of an episode: `told` to the agent, and the `grade` for its client.

    The reasons of a grade could tell the answer to an agent that plays again.
    """

    told: Json
    grade: Json | None


@dataclass(frozen=True, slots=True)
class _Ended:
    """What is left of an episode; `report` where it was graded."""

    said: str
    reason: str
    answer: str | None
    report: asyncio.Task[Report] | None

    def error(self) -> SessionFinished:
        """Return the error for what comes after the end."""
        return SessionFinished(self.said, self.reason)


class AgentSessions:
    """The latest episode of each MCP session, by the session's id.

    All on one event loop; `close` ends them all.
    """

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._open: dict[str, ClientEpisode] = {}
        self._ended: OrderedDict[str, _Ended] = OrderedDict()
        self._sweeper: asyncio.Task[None] | None = None
        self._stopping = False

    def open_episode(self, id: str) -> ClientEpisode | None:
        """Return the episode that is open in a session, if there is one."""
        self._end_expired()
        episode = self._open.get(id)
        return episode if episode is not None and episode.is_open else None

    async def start(self, id: str, task: Task, caller: trace.Span) -> ClientEpisode:
        """Open an episode, at its prompt.

        Raises `Refusal` where the session has one open and where the set-up fails, and
        `TooManySessions`.
        """
        if self._stopping:
            raise SessionFinished("the server is shutting down", "server_shutdown")
        self._end_expired()
        ending = self._open.get(id)
        if ending is not None and not ending.is_open and ending.ending is not None:
            await asyncio.wait([ending.task])
        if id in self._open:
            raise Refusal(
                409,
                "episode_open",
                f"an episode of {self._open[id].scenario!r} is open in this session, "
                f"which has one at a time; hand in its answer first: scenario_submit",
            )
        if len(self._open) >= self._options.max_sessions:
            raise TooManySessions(
                f"{len(self._open)} episodes are open, and the server takes no more; "
                f"try again later"
            )
        options = self._options
        context = eval(
            task,
            agent=options.agent,
            limits=options.limits,
            job=options.job,
            on_error="record",
        )
        episode = ClientEpisode(context, task.scenario)
        self._open[id] = episode
        self._ended.pop(id, None)
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep())
        episode.start(caller)
        episode.task.add_done_callback(lambda _: self._note_end(id, episode))
        try:
            await episode.opened()
        except Exception as error:
            known = episode.meta if episode.context.has_result else None
            raise refused(error, known) from error
        return episode

    async def call(self, id: str, call: ToolCall, caller: trace.Span) -> ToolResult:
        """Run a tool call in a session's episode.

        Raises `Refusal` without one, `SessionFinished` where it ends meanwhile.
        """
        episode = self.open_episode(id)
        if episode is None:
            raise self._none_open(id)
        return await episode.call(call, caller)

    async def submit(self, id: str, answer: str | None) -> Report:
        """Grade a session's episode and return the report: the same to who asks again.

        Raises `Refusal` without one, and for another answer to one that is graded.
        """
        self._end_expired()
        episode = self._open.get(id)
        if episode is not None:
            if not episode.is_open and episode.ending is None:
                raise Refusal(
                    409,
                    "episode_starting",
                    "the episode has not come to its prompt yet; submit what it asks for "
                    "when it has",
                )
            await episode.submit(answer)
        ended = self._ended.get(id)
        if ended is None:
            raise self._none_open(id)
        if ended.report is None:
            raise ended.error()
        if ended.reason == "finished" and ended.answer != answer:
            raise Refusal(
                409,
                "already_submitted",
                "another answer has been handed in, and an episode is graded once; "
                "start another with scenario_start",
            )
        return await asyncio.shield(ended.report)

    def end(self, id: str, reason: str) -> None:
        """End a session, whose client has left."""
        self._ended.pop(id, None)
        episode = self._open.get(id)
        if episode is not None:
            episode.end(reason)

    async def drain(self, grace: float) -> None:
        """Take nothing new, let calls come to their end for *grace* seconds, close."""
        self._stopping = True
        calls = [call for each in self._open.values() for call in each.calls]
        if calls:
            await asyncio.wait(calls, timeout=grace)
        await self.close()

    async def close(
        self, reason: str = "server_shutdown", *, patience: float = CLOSING
    ) -> None:
        """End every episode; what was handed in is graded.

        What takes longer than *patience* seconds is cancelled.
        """
        self._stopping = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        open_ones = list(self._open.values())
        for episode in open_ones:
            episode.end(reason)
        await gone([episode.task for episode in open_ones], patience)
        reports = [e.report for e in self._ended.values() if e.report is not None]
        await gone(reports, patience)

    def _none_open(self, id: str) -> Exception:
        ended = self._ended.get(id)
        if ended is not None:
            return ended.error()
        return Refusal(
            409,
            "no_episode",
            "no episode is open in this session: start one with scenario_start, or by "
            "a prompt",
        )

    def _note_end(self, id: str, episode: ClientEpisode) -> None:
        del self._open[id]
        if episode.ending == "disconnected":
            return  # nobody can ask for it again
        result, report = episode.result, None
        if result is not None and episode.ending in ("finished", "limit"):
            report = asyncio.create_task(_report(result))
        why = episode.over()
        self._ended[id] = _Ended(str(why), why.reason, episode.answer, report)
        while len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(_SWEEP, self._options.session_ttl / 2))
            self._end_expired()

    def _end_expired(self) -> None:
        for episode in list(self._open.values()):
            if episode.idle_seconds > self._options.session_ttl:
                episode.end("expired")


def refused(error: Exception, hud: Mapping[str, Any] | None = None) -> Refusal:
    """Return what an agent is told of *error*: nothing that code of a scenario says."""
    return refusal_of(error, hud, outcome="environment_error")


async def _report(result: EvalResult) -> Report:
    """Return what is said of an episode, when the trace is where it belongs.

    An agent is told neither what the grader says, nor how it failed.
    """
    await result.delivered(_DELIVERY)
    error, grade = result.error, result.grade
    told = {
        "reward": result.reward,
        "outcome": result.outcome,
        "stopped_by": result.stopped_by,
        "error": None if error is None else type_name(error),
        "trace_id": result.trace_id,
        "trace_url": result.trace_url,
    }
    return Report(told, None if grade is None else _reasons(grade))


def _reasons(grade: Grade) -> Json:
    """Return what a grade has beside the reward, as plain data."""
    reasons: Json = json.loads(
        encode(
            {
                "subscores": [dataclasses.asdict(score) for score in grade.subscores],
                "explanation": grade.explanation,
                "info": dict(grade.info),
            }
        )
    )
    return reasons
