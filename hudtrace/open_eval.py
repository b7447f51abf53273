"""The machinery of an eval that has been entered: set-up, tools, grading, ending."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry import context as otel_context

from hudtrace import semconv
from hudtrace.errors import EnvironmentFailure, EvalAbandoned
from hudtrace.grading import Grade, read_reward
from hudtrace.limits import LimitGuard
from hudtrace.loops import Home, Start
from hudtrace.notices import notify_once
from hudtrace.record import Ending, Identity, Record, outcome_of
from hudtrace.toolbox import Toolbox
from hudtrace.tracing.episode import link_to
from hudtrace.tracing.spans import Span

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from hudtrace.environment import Environment
    from hudtrace.scenario import Scenario
    from hudtrace.scenario_run import ScenarioRun
    from hudtrace.tools import ToolCall, ToolResult

T = TypeVar("T")


class OpenEval:
    """One eval from set-up to ending, on the loop that it was made on."""

    def __init__(
        self,
        identity: Identity,
        owner: object,
        scenario: Scenario[Any],
        environment: Environment,
        *,
        grade_on_error: bool,
    ) -> None:
        self.record = Record(identity, owner)
        self.toolbox = Toolbox({}, self.record.episode)
        self.home = Home()
        self.guard: LimitGuard | None = None
        self.reward_span: Span | None = None
        self.ending = False
        self._scenario = scenario
        self._environment = environment
        self._run: ScenarioRun | None = None
        self._grade_on_error = grade_on_error
        self._linked: set[Span] = set()

    @property
    def stopped_by(self) -> str | None:
        """The limit that stopped the body, None if none did."""
        return None if self.guard is None else self.guard.reached

    async def call(self, call: ToolCall) -> ToolResult:
        """Run a tool call at home, from whatever loop."""
        if self.home.is_here:
            return await self.run_call(call)
        return await self.home.run(functools.partial(self.run_call, call))

    def call_sync(self, call: ToolCall) -> ToolResult:
        """Run a tool call for sync code; a limit that is reached cancels it."""
        return self.run_sync(functools.partial(self.run_call, call))

    def run_sync(self, start: Start[T]) -> T:
        """Run tool calls for sync code; a limit that is reached cancels them."""
        if self.guard is not None:
            start = functools.partial(self.guard.watch, start)
        return self.home.run_sync(start)

    async def run_call(self, call: ToolCall) -> ToolResult:
        """Run a tool call on this loop."""
        await self.record.runtime.pipeline.room()
        return await self.toolbox.run(call)

    async def set_up(self, run: ScenarioRun) -> None:
        """Run the scenario to its prompt; on failure, close the episode and raise."""
        self._run = run
        episode = self.record.episode
        span = episode.start(semconv.SPAN_SETUP, semconv.PHASE_SETUP)
        try:
            inside = episode.context(semconv.PHASE_SETUP, span)
            await self._find_tools(inside)
            self.record.prompt = await run.setup(inside)
            if run.elsewhere is not None:
                await self._find_tools(inside)  # they are the episode's own
        except BaseException as error:
            span.fail(error)
            span.end()
            ending = Ending("environment_error", error=error)
            if not isinstance(error, Exception):
                ending.outcome = "cancelled"
            await self._close(ending)
            raise
        span.end()

    async def _find_tools(self, inside: Context) -> None:
        """Take the environment's tools, when the servers that have them are there."""
        environment = self._environment
        assert self._run is not None
        elsewhere = self._run.elsewhere
        if environment.servers:
            token = otel_context.attach(inside)
            try:
                await environment.connect()
            finally:
                otel_context.detach(token)
            known = environment.scenarios.get(self._scenario.name)
            if elsewhere is not None and known is not None:
                self._scenario = known  # it may have been listed anew
            digests = environment.digest, self._scenario.grader_digest
            identity, root = self.record.identity, self.record.episode.root
            identity.env_digest, identity.grader_digest = digests
            root.set_attribute(semconv.ENV_DIGEST, digests[0])
            root.set_attribute(semconv.GRADER_DIGEST, digests[1])
        self.toolbox.tools = (
            self._scenario.tools(environment.tools)
            if elsewhere is None
            else elsewhere.tools
        )

    async def end(
        self, answer: Any, error: BaseException | None
    ) -> BaseException | None:
        """Grade if that is due, let everything go, and close the record.

        Returns what the grader raised (or the environment's failure), None if
        all went well; re-raises cancellation that arrives meanwhile.
        """
        self.ending = True
        if self.guard is not None:
            self.guard.release()
        cause = self._cause_of(error)
        ending = Ending("no_answer" if answer is None else "scored", answer=answer)
        ending.stopped_by = self.stopped_by
        self.record.episode.end_agent(cause)
        raised = error or cause
        if cause is not None:
            ending.outcome, ending.error = outcome_of(cause), cause
        try:
            if cause is None or self._may_grade(cause, answer):
                ending.grade = await self._grade(answer)
                if cause is None:
                    self._take_word(ending)
        except Exception as failed:
            raised = failed
            if cause is None:
                ending.outcome = _failed_grading(failed)
                ending.error = failed
                if isinstance(failed, EnvironmentFailure):
                    self._take_word(ending)
        except BaseException as cancelled:
            ending.outcome, ending.error = "cancelled", cancelled
            raise
        finally:
            await self._close(ending)
        return raised

    def _take_word(self, ending: Ending) -> None:
        """Take the outcome that another process tells, if that runs the scenario."""
        elsewhere = None if self._run is None else self._run.elsewhere
        if elsewhere is not None:
            ending.outcome = elsewhere.outcome or ending.outcome
            ending.stopped_by = ending.stopped_by or elsewhere.stopped_by

    def link_reads(self) -> None:
        """Link the reward span to the tool spans that the grader has read."""
        assert self.reward_span is not None
        for tool_call in self.toolbox.records:
            if tool_call.span not in self._linked:
                self._linked.add(tool_call.span)
                link = link_to(tool_call.span, "read")
                self.reward_span.add_link(link.context, link.attributes)

    def _cause_of(self, error: BaseException | None) -> BaseException | None:
        """Return the environment's failure, also where a framework wraps or hides it."""
        failure = self.toolbox.failure
        hidden = error is None or isinstance(error, Exception)
        return failure if failure is not None and hidden else error

    def _may_grade(self, error: BaseException, answer: Any) -> bool:
        if isinstance(error, EvalAbandoned):
            return answer is not None
        failed = isinstance(error, EnvironmentFailure)
        return self._grade_on_error and isinstance(error, Exception) and not failed

    async def _grade(self, answer: Any) -> Grade:
        assert self._run is not None
        episode, scenario = self.record.episode, self._scenario
        digest = {semconv.GRADER_DIGEST: scenario.grader_digest}
        evaluator = {
            semconv.EVALUATOR_KIND: "code",
            semconv.EVALUATOR_ID: f"{self.record.identity.name}",
            semconv.EVALUATOR_VERSION: scenario.grader_digest,
        }
        self.reward_span = span = self.record.open_reward(
            semconv.SPAN_REWARD, {**evaluator, **digest}
        )
        try:
            inside = episode.context(semconv.PHASE_GRADE, span)
            raw = await self._run.grade(scenario.answer(answer), inside)
            if self._run.clean_up_error is not None:
                self._note_clean_up(span, self._run.clean_up_error)
            source = f"scenario {scenario.name!r} yielded"
            grade = read_reward(raw, scenario.reward_range, source=source)
            if self.record.scores:
                grade = grade.with_subscores(self.record.scores)
            self.record.write_grade(span, grade, self._passing)
            return grade
        except BaseException as error:
            span.fail(error)
            raise
        finally:
            span.end()

    def _note_clean_up(self, span: Span, error: Exception) -> None:
        """Record what a scenario raised after its reward, which counts all the same."""
        span.record_exception(error)
        name = self._scenario.name
        notify_once(
            f"clean-up-{self.record.identity.env}-{name}",
            f"scenario {name!r} raised {error!r:.200} after its reward, which counts "
            f"all the same; the error is on the reward's span: {self.record.trace_url}",
        )

    @property
    def _passing(self) -> float:
        limits = self._scenario.reward_range
        return 1.0 if limits is None else float(limits[1])

    async def _close(self, ending: Ending) -> None:
        """Let everything go and close the record, also if cancelled meanwhile."""
        try:
            await self._let_go()
        except BaseException as cancelled:
            ending.outcome, ending.error = "cancelled", cancelled
            raise
        finally:
            self.record.close(ending, self._passing)

    async def _let_go(self) -> None:
        """Close the generator and the threads, also when we are being cancelled."""
        self.toolbox.close()
        if self._run is None or self._run.closed:
            return
        closing = asyncio.ensure_future(self._run.close())
        cancelled: BaseException | None = None
        while not closing.done():
            try:
                await asyncio.wait([closing])
            except asyncio.CancelledError as error:
                cancelled = error
        failure = None if closing.cancelled() else closing.exception()
        if failure is not None:
            self.record.episode.root.record_exception(failure)
        if cancelled is not None:
            raise cancelled


def _failed_grading(error: Exception) -> Any:
    failed = isinstance(error, EnvironmentFailure)
    return "environment_error" if failed else "grader_error"
