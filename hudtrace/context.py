"""The context of one eval: what the body of `async with hud.eval(task)` sees."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry import context as otel_context

from hudtrace import formats, semconv
from hudtrace.converters import Converters
from hudtrace.errors import (
    EnvironmentFailure,
    EvalFinished,
    EvalNotFinished,
    NoCurrentEval,
)
from hudtrace.frameworks.agent_tool import AgentTool
from hudtrace.grading import Grade, SubScore, read_reward
from hudtrace.limits import LimitGuard
from hudtrace.loops import Home
from hudtrace.messages import Message
from hudtrace.record import Ending, Identity, Record, outcome_of
from hudtrace.result import EvalResult, Limits
from hudtrace.toolbox import Toolbox, ToolRecord, run_together
from hudtrace.tracing.episode import Turn, current_episode, link_to
from hudtrace.tracing.model_call import refuse_past_limit
from hudtrace.tracing.spans import Span

if TYPE_CHECKING:
    from types import TracebackType

    from hudtrace.scenario import Scenario
    from hudtrace.scenario_run import ScenarioRun
    from hudtrace.task import Task
    from hudtrace.tools import Tool, ToolCall, ToolResult

OnError = Literal["raise", "record"]


class EvalContext(Converters):
    """One run of one task: `async with hud.eval(task) as ctx`.

    Entering opens the trace and runs the scenario up to its prompt; leaving
    grades the answer and fills `result`. Use it once, in one asyncio task.
    """

    def __init__(
        self,
        task: Task,
        identity: Identity,
        limits: Limits,
        *,
        on_error: OnError,
        grade_on_error: bool,
    ) -> None:
        self.task = task
        self.answer: Any = None
        self._identity = identity
        self._limits = limits
        self._on_error = on_error
        self._grade_on_error = grade_on_error
        self._finish = asyncio.Lock()
        self._opened: _Opened | None = None
        self._token: Any = None

    # The body's view ---------------------------------------------------------

    @property
    def prompt(self) -> Any:
        """The scenario's prompt: a str, or content blocks if it yielded those."""
        return self._running.record.prompt

    @property
    def tools(self) -> Mapping[str, BoundTool]:
        """The tools by name, as Python: a call returns a value or raises."""
        tools = self._running.toolbox.tools
        return {name: BoundTool(self, tool) for name, tool in tools.items()}

    @property
    def trace_id(self) -> str:
        """The trace's id, 32 hexadecimal digits, valid from the first line on."""
        return self._running.record.episode.trace_id

    @property
    def trace_url(self) -> str:
        """Where the trace can be opened."""
        return self._running.record.trace_url

    @property
    def state(self) -> dict[str, Any]:
        """A dict of this episode's own, also reachable from tools and graders."""
        return self._running.record.state

    @property
    def messages(self) -> list[Message]:
        """The conversation of the last model call so far, its reply included."""
        return self._running.record.episode.messages

    @property
    def tool_calls(self) -> list[ToolRecord]:
        """The tool calls made so far; a grader that reads them links to their spans."""
        opened = self._running
        if opened.reward_span is not None:
            opened.link_reads()
        return list(opened.toolbox.records)

    @property
    def reward(self) -> float | None:
        """The reward; None until the eval is graded."""
        result = self._opened.record.result if self._opened else None
        return None if result is None else result.reward

    @property
    def stopped_by(self) -> str | None:
        """The limit that has stopped the body, None if none did."""
        return None if self._opened is None else self._opened.stopped_by

    @property
    def has_result(self) -> bool:
        """Whether the eval has ended, and `result` can be read."""
        return self._opened is not None and self._opened.record.result is not None

    @property
    def result(self) -> EvalResult:
        """The result; raises `EvalNotFinished` while the eval runs."""
        result = self._opened.record.result if self._opened else None
        if result is None:
            raise EvalNotFinished(
                f"eval {self._identity.name} is still running: read ctx.result after "
                f"the 'async with' block, or await ctx.finish() first"
            )
        return result

    async def call_tool(
        self, call: Any, arguments: Any = None, /, **kwargs: Any
    ) -> Any:
        """Run a tool call; in which form it comes, in that form it goes back.

        Takes a tool call of OpenAI (Chat or Responses), Anthropic or Gemini, as
        object or dict, an MCP request, or a tool's name with its arguments.
        What the model got wrong and what a tool raised comes back in-band.
        Raises `UnrecognizedToolCall` for other
        values, `EvalFinished` after the end, and `EnvironmentFailure`.
        """
        self._require_open("call_tool")
        form, parsed = formats.recognize(call, arguments, kwargs)
        return form.reply(parsed, await self._run_tool(parsed))

    async def call_tools(self, calls: Iterable[Any]) -> list[Any]:
        """Run several tool calls at the same time; results keep the order."""
        return await run_together(self.call_tool(call) for call in calls)

    async def submit(self, answer: Any) -> None:
        """Hand in the answer; the last one counts. Raises `EvalFinished` at the end."""
        record = self._require_open("submit").record
        self.answer = answer
        record.submits += 1
        record.episode.end_turns()

    def log(self, **numbers: float) -> None:
        """Note numbers of your own on the episode, for example `loss=0.3`."""
        self._require_open("log", grading=True).record.log(numbers)

    def score(self, score: SubScore) -> None:
        """Add a sub-score to the grade; `hud.score` is the usual way."""
        self._require_open("score", grading=True).record.scores.append(score)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Open a turn by hand, for loops that make several model calls in one."""
        episode = self._require_open("turn").record.episode
        refuse_past_limit(episode, "turns")
        turn = episode.open_turn(otel_context.get_current())
        token = otel_context.attach(turn.context)
        try:
            yield turn
        finally:
            otel_context.detach(token)
            episode.end_turn(turn)

    async def finish(self) -> EvalResult:
        """Grade now and return the result; leaving the block then does nothing.

        Calling it again returns the same result. Raises what the grader raised,
        unless errors are recorded.
        """
        async with self._finish:
            opened = self._running
            if opened.record.result is None:
                error = await opened.end(self.answer, None)
                if error is not None and self._on_error == "raise":
                    raise error
            return self.result

    # The block ---------------------------------------------------------------

    async def __aenter__(self) -> EvalContext:
        """Open the trace and run the scenario up to its prompt.

        Raises what the set-up raised, with outcome `environment_error`; the
        body then does not run, and `result` says what happened.
        """
        if self._opened is not None:
            raise EvalFinished(
                f"eval {self._identity.name} was entered before; make a new one with "
                f"hud.eval(task)"
            )
        environment, scenario = self.task.resolve()
        arguments = scenario.arguments(self.task.args)
        opened = _Opened(self, scenario, scenario.tools(environment.tools))
        self._opened = opened
        await opened.record.runtime.pipeline.room()
        await opened.set_up(scenario.open(arguments))
        inside = opened.record.episode.start_agent(otel_context.get_current())
        self._token = otel_context.attach(inside)
        opened.guard = LimitGuard(self._limits, opened.record.episode)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Grade, end every span and fill `result`; see `hud.eval` for errors."""
        with contextlib.suppress(ValueError):
            self._token.var.reset(self._token)
        opened = self._running
        if opened.guard is not None:
            opened.guard.release()
        if opened.record.result is not None:
            return False
        if isinstance(error, asyncio.CancelledError) and opened.stopped_by_limit:
            error = None
        ending_error = await opened.end(self.answer, error)
        if error is None:
            if ending_error is not None and self._on_error == "raise":
                raise ending_error
            return True
        if ending_error is not None and ending_error is not error:
            error.add_note(f"while grading after this: {ending_error!r}")
        return self._on_error == "record" and isinstance(error, Exception)

    @property
    def _running(self) -> _Opened:
        if self._opened is None:
            raise EvalNotFinished(
                f"eval {self._identity.name} is not open yet: use it as "
                f"'async with hud.eval(task) as ctx'"
            )
        return self._opened

    def _require_open(self, what: str, *, grading: bool = False) -> _Opened:
        opened = self._running
        over = opened.ending and not grading
        if opened.record.result is not None or over:
            raise EvalFinished(
                f"{what} came after the end of eval {self._identity.name} "
                f"(trace {self.trace_id}); move it inside the 'async with' block"
            )
        return opened

    @property
    def _tool_list(self) -> list[Tool]:
        return list(self._running.toolbox.tools.values())

    def _agent_tools(self) -> list[AgentTool]:
        return [
            AgentTool(tool, self._run_tool, self._run_tool_sync)
            for tool in self._tool_list
        ]

    async def _run_tool(self, call: ToolCall) -> ToolResult:
        opened = self._require_open("call_tool")
        return await opened.home.run(functools.partial(opened.run_tool, call))

    def _run_tool_sync(self, call: ToolCall) -> ToolResult:
        opened = self._require_open("call_tool")
        return opened.home.run_sync(functools.partial(opened.run_tool, call))


class BoundTool:
    """One tool of one eval as a Python callable: `await ctx.tools["name"](x=1)`."""

    def __init__(self, context: EvalContext, tool: Tool) -> None:
        self.name = tool.name
        self.description = tool.description
        self.input_schema = tool.input_schema
        self._context = context

    async def __call__(self, **arguments: Any) -> Any:
        """Run the tool: its value, or the exception it raised."""
        opened = self._context._require_open(f"tool {self.name}")
        start = functools.partial(opened.toolbox.value, self.name, arguments)
        return await opened.home.run(start)


class _Opened:
    """The machinery of an eval that has been entered: set-up, grading, ending."""

    def __init__(
        self, context: EvalContext, scenario: Scenario[Any], tools: Mapping[str, Tool]
    ) -> None:
        self.record = Record(context._identity, context)
        self.toolbox = Toolbox(tools, self.record.episode)
        self.home = Home()
        self.guard: LimitGuard | None = None
        self.reward_span: Span | None = None
        self.ending = False
        self._scenario = scenario
        self._run: ScenarioRun | None = None
        self._grade_on_error = context._grade_on_error
        self._linked: set[Span] = set()

    @property
    def stopped_by(self) -> str | None:
        """The limit that stopped the body, None if none did."""
        return None if self.guard is None else self.guard.reached

    @property
    def stopped_by_limit(self) -> bool:
        """Whether the body was cancelled by a limit and by nobody else."""
        return self.guard is not None and self.guard.only_cause

    async def run_tool(self, call: ToolCall) -> ToolResult:
        """Run a tool call, when there is room for its spans."""
        await self.record.runtime.pipeline.room()
        return await self.toolbox.run(call)

    async def set_up(self, run: ScenarioRun) -> None:
        """Run the scenario to its prompt; on failure, close the episode and raise."""
        self._run = run
        episode = self.record.episode
        span = episode.start(semconv.SPAN_SETUP, semconv.PHASE_SETUP)
        try:
            inside = episode.context(semconv.PHASE_SETUP, span)
            self.record.prompt = await run.setup(inside)
        except BaseException as error:
            span.fail(error)
            span.end()
            ending = Ending("environment_error", error=error)
            if not isinstance(error, Exception):
                ending.outcome = "cancelled"
            await self._close(ending)
            raise
        span.end()

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
        error = error or self.toolbox.failure
        ending = Ending("no_answer" if answer is None else "scored", answer=answer)
        ending.stopped_by = self.stopped_by
        self.record.episode.end_agent(error)
        raised = error
        if error is not None:
            ending.outcome, ending.error = outcome_of(error), error
        try:
            if error is None or self._may_grade(error):
                ending.grade = await self._grade(answer)
        except Exception as failed:
            raised = failed
            if error is None:
                ending.outcome = _failed_grading(failed)
                ending.error = failed
        except BaseException as cancelled:
            ending.outcome, ending.error = "cancelled", cancelled
            raise
        finally:
            await self._close(ending)
        return raised

    def link_reads(self) -> None:
        """Link the reward span to the tool spans that the grader has read."""
        assert self.reward_span is not None
        for tool_call in self.toolbox.records:
            if tool_call.span not in self._linked:
                self._linked.add(tool_call.span)
                link = link_to(tool_call.span, "read")
                self.reward_span.add_link(link.context, link.attributes)

    def _may_grade(self, error: BaseException) -> bool:
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
            grade = read_reward(raw, scenario.reward_range)
            if self.record.scores:
                grade = grade.with_subscores(self.record.scores)
            self.record.write_grade(span, grade, self._passing)
            return grade
        except BaseException as error:
            span.fail(error)
            raise
        finally:
            span.end()

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


def current_eval() -> Any:
    """Return the context of the eval that the calling code runs in.

    Works in the body, in tools on any thread we start, in set-up and grading.
    Raises `NoCurrentEval` elsewhere.
    """
    episode = current_episode()
    if episode is None or episode.owner is None:
        raise NoCurrentEval(
            "this code does not run inside an eval; a thread that you start yourself "
            "needs the eval's place: pass hud.propagate() to it, and work there inside "
            "'with hud.attach(carrier):'"
        )
    return episode.owner
