"""The sessions of one server: found by id, bounded in number, ended in time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from hudtrace.errors import SessionFinished, TooManySessions, UnknownSession
from hudtrace.server.messages import HOW_IT_ENDED, short
from hudtrace.server.session import Session
from hudtrace.server.shapes import report_of

if TYPE_CHECKING:
    from hudtrace.chat.scenario_chat import ScenarioChat
    from hudtrace.result import EvalResult
    from hudtrace.server.options import ServerOptions

Json = dict[str, Any]
_REMEMBERED = 10_000  # ended sessions, for those who ask again
_SWEEP = 60.0  # seconds between two looks for expired sessions, at most
CLOSING = 10.0  # seconds that stopping and grading may take when all are closed
_DELIVERY = 2.0  # seconds that a report waits for the store and the exporters


@dataclass(frozen=True, slots=True)
class _Ended:
    """What is left of a session; `report` where it was graded."""

    reason: str
    report: asyncio.Task[Json] | None


class Sessions:
    """The open sessions, and what is left of those that have ended.

    All on one event loop; `close` ends them all.
    """

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._open: dict[str, Session] = {}
        self._ended: OrderedDict[str, _Ended] = OrderedDict()
        self._sweeper: asyncio.Task[None] | None = None
        self._stopping = False

    def listed(self) -> list[Session]:
        """Return the sessions that clients can use, oldest first."""
        return [
            session
            for session in self._open.values()
            if session.is_open and not session.expired
        ]

    async def start(self, chat: ScenarioChat, scenario: str) -> Session:
        """Open a session for *chat*, at its prompt.

        Raises `TooManySessions`, and what the scenario's set-up raises.
        """
        if self._stopping:
            raise SessionFinished("the server is shutting down", "server_shutdown")
        self._end_expired()
        if len(self._open) >= self._options.max_sessions:
            raise TooManySessions(
                f"{len(self._open)} sessions are open, and the server takes no more; "
                f"finish one: POST /v1/sessions/{{id}}/finish"
            )
        session = Session(
            chat,
            scenario,
            ttl=self._options.session_ttl,
            turn_timeout=self._options.turn_timeout,
        )
        self._open[session.id] = session
        session.start(self._note_end)
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep())
        await session.opened()
        return session

    def find(self, id: str) -> Session:
        """Return the open session *id*.

        Raises `UnknownSession`, or `SessionFinished` saying how it ended.
        """
        session = self._open.get(id)
        if session is None:
            self._refuse(id)
        if session.expired:
            session.end("expired")
        if session.ending is not None:
            raise _finished(id, session.ending)
        return session

    async def finish(self, id: str, answer: Any = None) -> Json:
        """Grade a session and return the report: for all who ask, the same.

        Raises what `find` raises, but not for one that has been graded.
        """
        if id in self._open:
            session = self._open[id]
            if session.expired:
                self.find(id)
            await session.finish(answer)
        ended = self._ended.get(id)
        if ended is None or ended.report is None:
            self._refuse(id)
        return await asyncio.shield(ended.report)

    async def drain(self, grace: float) -> None:
        """Take no new work, let answers come to their end for *grace* seconds, close."""
        self._stopping = True
        for session in self._open.values():
            session.end("server_shutdown")
        if self._open:
            await asyncio.wait([s.task for s in self._open.values()], timeout=grace)
        await self.close()

    async def close(self, patience: float = CLOSING) -> None:
        """End every session: what is going on is stopped, what was said is graded.

        What takes longer than *patience* seconds is cancelled.
        """
        self._stopping = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for session in list(self._open.values()):
            session.end("server_shutdown", now=True)
        await gone([session.task for session in self._open.values()], patience)
        reports = [e.report for e in self._ended.values() if e.report is not None]
        await gone(reports, patience)

    def _note_end(self, session: Session) -> None:
        del self._open[session.id]
        reason, result, report = session.ending or "failed", session.result, None
        if result is not None and reason in ("finished", "limit"):
            report = asyncio.create_task(_report(session.id, result))
        self._ended[session.id] = _Ended(reason, report)
        while len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)

    def _refuse(self, id: str) -> NoReturn:
        ended = self._ended.get(id)
        if ended is None:
            raise UnknownSession(
                f"no session {short(id)!r} here; begin one with 'scenario' and "
                f"'scenario_args', and send the id that comes back"
            )
        raise _finished(id, ended.reason)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(_SWEEP, self._options.session_ttl / 2))
            self._end_expired()

    def _end_expired(self) -> None:
        for session in list(self._open.values()):
            if session.expired:
                session.end("expired")


async def _report(id: str, result: EvalResult) -> Json:
    """Return what finish answers, when the trace is where it belongs."""
    await result.delivered(_DELIVERY)
    return report_of(id, result)


async def gone(tasks: list[asyncio.Task[Any]], patience: float) -> None:
    """Wait for *tasks*, and cancel what takes longer than *patience* seconds."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=patience)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=patience)


def _finished(id: str, reason: str) -> SessionFinished:
    how = HOW_IT_ENDED[reason]
    return SessionFinished(f"session {short(id)} {how}; begin a new one", reason)
