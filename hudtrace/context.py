"""The context of one eval: what the body of `async with hud.eval(task)` sees."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry import context as otel_context

from hudtrace.answers import answer_of
from hudtrace.errors import EvalFinished, NoCurrentEval
from hudtrace.eval_view import EvalView
from hudtrace.limits import LimitGuard
from hudtrace.loops import in_background, run_in_background
from hudtrace.open_eval import OpenEval
from hudtrace.record import Identity
from hudtrace.result import EvalResult, Limits
from hudtrace.runtime import get_runtime
from hudtrace.sync_eval import SyncEvalContext
from hudtrace.toolbox import run_together
from hudtrace.tracing.episode import Turn, current_episode

if TYPE_CHECKING:
    from types import TracebackType

    from hudtrace.task import Task
    from hudtrace.tools import Tool

OnError = Literal["raise", "record"]


class EvalContext(EvalView):
    """One run of one task: `async with hud.eval(task) as ctx`.

    Entering opens the trace and runs the scenario up to its prompt; leaving
    grades the answer and fills `result`. Use it once, in one asyncio task. In sync
    code, `with hud.eval(task) as ctx` gives the same as a `SyncEvalContext`.
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
        self._finishing = asyncio.Lock()
        self._opened = None
        self._sync: SyncEvalContext | None = None
        self._token: Any = None
        self._cancelled = False

    # The body's view ---------------------------------------------------------

    @property
    def tools(self) -> Mapping[str, BoundTool]:
        """The tools by name, as Python: a call returns a value or raises."""
        tools = self._running.toolbox.tools
        return {name: BoundTool(self, tool) for name, tool in tools.items()}

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
        opened = self._require_open("call_tool")
        from hudtrace import formats

        form, parsed = formats.recognize(call, arguments, kwargs)
        return form.reply(parsed, await opened.call(parsed))

    async def call_tools(self, calls: Iterable[Any]) -> list[Any]:
        """Run several tool calls at the same time; results keep the order."""
        from hudtrace import formats

        return await run_together(map(self.call_tool, formats.each_call(calls)))

    async def submit(self, answer: Any) -> None:
        """Hand in the answer; the last one counts. Raises `EvalFinished` at the end.

        Takes what an agent framework's run returns, too, and finds the answer in it.
        """
        self._submit(answer)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Open a turn by hand, for loops that make several model calls in one."""
        with self._turn() as turn:
            yield turn

    async def finish(self) -> EvalResult:
        """Grade now and return the result; leaving the block then does nothing.

        Calling it again returns the same result. Raises what the grader raised,
        unless errors are recorded.
        """
        return await self._running.home.run(self._finish)

    # The block ---------------------------------------------------------------

    async def __aenter__(self) -> EvalContext:
        """Open the trace and run the scenario up to its prompt.

        Raises what the set-up raised, with outcome `environment_error`; the
        body then does not run, and `result` says what happened.
        """
        self._refuse_reuse()
        opened = await self._open()
        inside = opened.record.episode.start_agent(otel_context.get_current())
        self._token = otel_context.attach(inside)
        opened.guard = LimitGuard(
            self._limits, opened.record.episode, asyncio.current_task()
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        """Grade, end every span and fill `result`; see `hud.eval` for errors."""
        self._detach()
        guard = self._running.guard
        if guard is not None:
            guard.release()
        return await self._running.home.run(functools.partial(self._end, error))

    def __enter__(self) -> SyncEvalContext:
        """Do as `async with` does, for sync code: the context's calls return values.

        Set-up, async tools and grading run on a background loop of ours, so this
        works where an event loop is running, too.
        """
        self._refuse_reuse()
        get_runtime()  # what it sets up at first is none of the loop's work
        self._sync = SyncEvalContext(self)
        try:
            opened = run_in_background(self._open_for_thread)
            inside = opened.record.episode.start_agent(otel_context.get_current())
            self._token = otel_context.attach(inside)
        except BaseException as error:
            self._detach()
            if self._opened is not None and not self.has_result:
                self._end_sync(error)  # an interrupt that came in between
            raise
        return self._sync

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        """Do as `async with` does at its end."""
        self._detach()
        return self._end_sync(error)

    def _refuse_reuse(self) -> None:
        if self._opened is not None or self._sync is not None:
            raise EvalFinished(
                f"eval {self._identity.name} was entered before; make a new one with "
                f"hud.eval(task)"
            )

    async def _open(self) -> OpenEval:
        """Run the set-up on the running loop, which is the eval's home from then on."""
        environment, scenario = self.task.resolve()
        arguments = scenario.arguments(self.task.args)
        self._opened = opened = OpenEval(
            self._identity,
            self,
            scenario,
            environment,
            grade_on_error=self._grade_on_error,
        )
        if self._sync is not None:
            self._sync._opened = opened
        await opened.record.runtime.pipeline.room()
        await opened.set_up(scenario.open(arguments))
        return opened

    async def _open_for_thread(self) -> OpenEval:
        opened = await self._open()
        opened.guard = LimitGuard(self._limits, opened.record.episode, None)
        if self._cancelled:
            opened.guard.cancel()
        return opened

    def _cancel_sync(self) -> None:
        """Have a sync body, in another thread, stop at its next call."""
        self._cancelled = True
        if self._opened is not None and self._opened.guard is not None:
            self._opened.guard.cancel()

    def _detach(self) -> None:
        """Make the body's place the current one no more."""
        token, self._token = self._token, None
        if token is not None:
            with contextlib.suppress(ValueError):
                token.var.reset(token)

    def _submit(self, answer: Any) -> None:
        record = self._require_open("submit").record
        self.answer = answer_of(answer, record.prompt)
        record.submits += 1
        record.episode.end_turns()

    async def _finish(self) -> EvalResult:
        async with self._finishing:
            opened = self._running
            if opened.record.result is None:
                error = await opened.end(self.answer, None)
                if error is not None and self._on_error == "raise":
                    raise error
            return self.result

    def _end_sync(self, error: BaseException | None) -> bool:
        return self._running.home.run_sync(functools.partial(self._end, error))

    async def _end(self, error: BaseException | None) -> bool:
        """Grade and close; return whether *error* is kept and not passed on."""
        opened = self._running
        if opened.record.result is not None:
            return False
        if error is not None and opened.guard and opened.guard.has_caused(error):
            if isinstance(error, Exception):
                opened.record.episode.root.record_exception(error)
            error = None
        ending_error = await opened.end(self.answer, error)
        if error is None:
            if ending_error is not None and self._on_error == "raise":
                raise ending_error
            return True
        if ending_error is not None and ending_error is not error:
            error.add_note(f"while grading after this: {ending_error!r}")
        return self._on_error == "record" and isinstance(error, Exception)


class RecordingEvalContext(EvalContext):
    """What `hud.eval(task, on_error="record")` is to a type checker.

    Its block keeps errors to itself, so that code behind it goes on.
    """

    if TYPE_CHECKING:

        async def __aexit__(self, *exc_info: Any) -> bool: ...
        def __exit__(self, *exc_info: Any) -> bool: ...


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
    owner = episode.owner
    if isinstance(owner, EvalContext) and owner._sync is not None:
        return owner if in_background() else owner._sync
    return owner
