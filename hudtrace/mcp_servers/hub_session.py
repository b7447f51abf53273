"""One episode of a scenario that a hub's environment runs, in an MCP session."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanContext, TraceFlags

from hudtrace import semconv
from hudtrace.errors import (
    EnvironmentFailure,
    HudtraceError,
    InvalidArguments,
    UnknownScenario,
)
from hudtrace.grading import Grade, SubScore
from hudtrace.mcp_servers.connection import (
    Connection,
    ConnectionLost,
    Request,
    carrier,
    unseen,
)
from hudtrace.mcp_servers.remote_tool import RemoteTool, result_of
from hudtrace.mcp_servers.side_loop import side_loop
from hudtrace.messages import encodable
from hudtrace.scenario_run import Elsewhere
from hudtrace.tools import ToolResult
from hudtrace.tracing.episode import current_episode, link_to

if TYPE_CHECKING:
    from hudtrace.mcp_servers.hub_server import HubServer

Json = dict[str, Any]
LIST, START, SUBMIT = "scenario_list", "scenario_start", "scenario_submit"
_LIMIT = "session_limit"  # what is said of calls behind a limit of the server's
_GRADED = ("scored", "no_answer")
_UNGRADED = ("grader_error", "environment_error")
_ERRORS: dict[str, type[HudtraceError]] = {
    "scenario_not_found": UnknownScenario,
    "invalid_scenario_args": InvalidArguments,
}


class HubSession:
    """A run of *scenario* on *server*: `play` is its generator.

    `elsewhere` has the tools of the episode, which are called in its session, and
    what the server says at the end. The session is deleted when the generator ends,
    whatever the reason, so that the episode there is over, too.
    """

    def __init__(self, server: HubServer, scenario: str) -> None:
        self.elsewhere = Elsewhere()
        self._server = server
        self._scenario = scenario
        self._connection = Connection(server.name, server.endpoint)
        self._trace: Json = {}
        self._report: Json | None = None
        self._reasons: Any = None  # of the grade: its sub-scores, its explanation
        self._reporting = asyncio.Lock()

    async def play(self, arguments: Json) -> AsyncIterator[Any]:
        """Start the scenario, yield its prompt, hand in the answer, yield the reward.

        Raises `EnvironmentFailure` for whatever goes wrong there, `UnknownScenario` or
        `InvalidArguments` where it has another scenario of that name by now, or none.
        """
        try:
            await self._open()
            prompt = await self._start(arguments)
            answer = yield prompt
            yield await self._submit(answer)
        finally:
            connection, graded = self._connection, self._report is not None
            await side_loop.run(connection.close if graded else connection.abandon)

    # Its three steps ---------------------------------------------------------

    async def _open(self) -> None:
        connection, server = self._connection, self._server
        with server.connecting() as span:
            start = functools.partial(
                connection.open, carrier(), server.connect_timeout
            )
            await side_loop.run(start)
            if span is not None and connection.protocol:
                span.set_attribute(semconv.MCP_PROTOCOL, connection.protocol)
            if span is not None and connection.signs.session_id:
                span.set_attribute(semconv.MCP_SESSION, connection.signs.session_id)

    async def _start(self, arguments: Json) -> Any:
        given = {"scenario": self._scenario, "scenario_args": arguments}
        answer = await self._ask(START, given)
        if answer.get("isError"):
            raise self._refusal(answer, "could not be started")
        told = answer.get("structuredContent") or {}
        self._trace = {k: told[k] for k in ("trace_id", "trace_url") if told.get(k)}
        self._link(told)
        self._server.note_digest(told.get("digest"))
        definitions = await self._on_side(
            functools.partial(self._connection.list_tools, carrier()),
            "its tools were listed",
        )
        self.elsewhere.tools = {
            each.name: RemoteTool(each, each.name, self._call)
            for each in definitions
            if each.name not in (LIST, START, SUBMIT)
        }
        blocks = answer.get("content") or []
        texts = [block.get("text") for block in blocks if block["type"] == "text"]
        return texts[0] if len(texts) == len(blocks) == 1 else blocks

    async def _call(self, name: str, arguments: Json) -> ToolResult:
        request = Request({**carrier(), semconv.MCP_TRACED: semconv.OP_EXECUTE_TOOL})
        with self._server.calling(self._connection, request):
            answer = await self._asked(name, arguments, request)
        code = _refused(plain_of(answer))
        if code is None:
            return result_of(answer)
        if code == _LIMIT:
            await self._stop()
        raise self._refusal(plain_of(answer), f"could not run {name!r}")

    async def _submit(self, answer: str | None) -> Grade:
        report, elsewhere = await self._reported(answer), self.elsewhere
        outcome, reward = report.get("outcome"), report.get("reward")
        elsewhere.stopped_by = report.get("stopped_by")
        if (
            outcome not in _GRADED
            or isinstance(reward, bool)
            or not isinstance(reward, int | float)
        ):
            elsewhere.outcome = outcome if outcome in _UNGRADED else None
            why = report.get("error") or "no reason was given"
            raise EnvironmentFailure(
                f"{self._place} could not grade the answer: {outcome} ({why}); see its "
                f"trace: {self._trace.get('trace_url')}"
            )
        grade = self._grade(reward)
        elsewhere.outcome = outcome
        return grade

    def _grade(self, reward: float) -> Grade:
        """Return the grade as the server has it, with its reasons where it tells them."""
        told = self._reasons if isinstance(self._reasons, Mapping) else {}
        explanation, info = told.get("explanation"), told.get("info")
        try:
            subscores = [_subscore(each) for each in told.get("subscores") or ()]
        except (KeyError, TypeError, ValueError) as error:
            raise EnvironmentFailure(
                f"{self._place} has sub-scores that cannot be read: {error!r:.300}"
            ) from error
        return Grade(
            reward,
            tuple(subscores),
            explanation if isinstance(explanation, str) else None,
            {**(info if isinstance(info, Mapping) else {}), "hub": self._trace},
        )

    # Requests ----------------------------------------------------------------

    async def _reported(self, answer: str | None) -> Json:
        """Return the report on the episode, which is graded once."""
        async with self._reporting:
            if self._report is None:
                said = answer if answer is None else encodable(answer)
                reply = await self._ask(SUBMIT, {"answer": said})
                if reply.get("isError"):
                    raise self._refusal(reply, "could not take the answer")
                self._report = reply.get("structuredContent") or {}
                self._reasons = hud_of(reply).get("grade")
            return self._report

    async def _stop(self) -> None:
        """Stop the body: a limit there has been reached, and all is graded."""
        limit = str((await self._reported(None)).get("stopped_by") or "hub")
        episode = current_episode()
        if episode is not None:
            episode.stop(limit)
        raise asyncio.CancelledError(f"limit reached: {limit}")

    async def _ask(self, name: str, arguments: Json) -> Json:
        request = Request(carrier())
        return plain_of(await self._asked(name, arguments, request))

    async def _asked(self, name: str, arguments: Json, request: Request) -> Any:
        call = self._connection.call_patiently
        send = functools.partial(call, name, arguments, request)
        return await self._on_side(send, f"{name!r} was called")

    async def _on_side(self, start: Any, during: str) -> Any:
        """Make a request on the side loop; whatever fails is the environment's."""
        try:
            with unseen():
                return await side_loop.run(start)
        except ConnectionLost as lost:
            signs = self._connection.signs.text
            said = f"{self._place} was lost when {during}: {lost}{signs}"
            raise EnvironmentFailure(said) from lost
        except EnvironmentFailure:
            raise
        except Exception as error:
            said = f"{self._place} failed when {during}: {error!r}"
            raise EnvironmentFailure(said) from error

    def _refusal(self, answer: Json, what: str) -> HudtraceError:
        error = (answer.get("structuredContent") or {}).get("error") or {}
        code = str(_refused(answer) or error.get("code"))
        said = str(error.get("message") or answer.get("content"))
        if code in _ERRORS:
            return _ERRORS[code](f"{self._place}: {said}")
        where = self._trace.get("trace_url")
        seen = f"; see its trace: {where}" if where and str(where) not in said else ""
        return EnvironmentFailure(f"{self._place} {what}: {said}{seen}")

    # What is recorded --------------------------------------------------------

    def _link(self, told: Mapping[str, Any]) -> None:
        """Link our episode to the one there, whose root has a link to our request."""
        episode = current_episode()
        try:
            ids = SpanContext(
                int(told["trace_id"], 16),
                int(told["span_id"], 16),
                is_remote=True,
                trace_flags=TraceFlags(TraceFlags.SAMPLED),
            )
        except (KeyError, TypeError, ValueError):
            return
        if episode is not None and ids.is_valid:
            link = link_to(ids, "remote_episode")
            episode.root.add_link(link.context, link.attributes)

    @property
    def _place(self) -> str:
        server = self._server
        return f"hub environment {server.name!r} ({server.endpoint.label})"


def plain_of(answer: Any) -> Json:
    """Return a `CallToolResult` as plain data, under the names that it is sent with."""
    plain: Json = answer.model_dump(by_alias=True, exclude_none=True, mode="json")
    return plain


def hud_of(answer: Json) -> Mapping[str, Any]:
    """Return what goes with a result for clients such as ours, and not for models."""
    hud = (answer.get("_meta") or {}).get("hud")
    return hud if isinstance(hud, Mapping) else {}


def _refused(answer: Json) -> str | None:
    """Return the code where the server has refused a call, and no tool has run."""
    code = hud_of(answer).get("refused")
    return code if isinstance(code, str) and answer.get("isError") else None


def _subscore(told: Mapping[str, Any]) -> SubScore:
    explanation = told.get("explanation")
    return SubScore(
        str(told["name"]),
        told["value"],
        told.get("weight", 1.0),
        explanation if isinstance(explanation, str) else None,
    )
