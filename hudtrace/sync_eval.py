"""The context of one eval in sync code: what the body of `with hud.eval(task)` sees."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from hudtrace.eval_view import EvalView
from hudtrace.result import EvalResult
from hudtrace.toolbox import run_together
from hudtrace.tracing.episode import Turn

if TYPE_CHECKING:
    from hudtrace import formats
    from hudtrace.context import EvalContext
    from hudtrace.open_eval import OpenEval
    from hudtrace.tools import Tool, ToolCall


class SyncEvalContext(EvalView):
    """One run of one task in sync code: `with hud.eval(task) as ctx`.

    It has the names of `EvalContext`; what is awaited there returns its value here,
    in any thread. What reaches a limit is stopped by `asyncio.CancelledError`, at
    its next call of a model, a tool or this context: nobody can interrupt a thread.
    """

    def __init__(self, context: EvalContext) -> None:
        self.task = context.task
        self._context = context
        self._identity = context._identity
        self._opened = None

    @property
    def answer(self) -> Any:
        """What was submitted last."""
        return self._context.answer

    @property
    def tools(self) -> Mapping[str, SyncBoundTool]:
        """The tools by name, as Python: a call returns a value or raises."""
        tools = self._running.toolbox.tools
        return {name: SyncBoundTool(self, tool) for name, tool in tools.items()}

    def call_tool(self, call: Any, arguments: Any = None, /, **kwargs: Any) -> Any:
        """Run a tool call; in which form it comes, in that form it goes back.

        Takes and raises what `EvalContext.call_tool` does.
        """
        from hudtrace import formats

        return self._call_all([formats.recognize(call, arguments, kwargs)])[0]

    def call_tools(self, calls: Iterable[Any]) -> list[Any]:
        """Run several tool calls at the same time; results keep the order."""
        from hudtrace import formats

        return self._call_all(
            [formats.recognize(call) for call in formats.each_call(calls)]
        )

    def submit(self, answer: Any) -> None:
        """Hand in the answer; the last one counts. Raises `EvalFinished` at the end."""
        self._go_on("submit")
        self._context._submit(answer)

    def turn(self) -> AbstractContextManager[Turn]:
        """Open a turn by hand: `with ctx.turn():` around several model calls."""
        self._go_on("turn")
        return self._turn()

    def finish(self) -> EvalResult:
        """Grade now and return the result; leaving the block then does nothing.

        Calling it again returns the same result. Raises what the grader raised,
        unless errors are recorded.
        """
        return self._running.home.run_sync(self._context._finish)

    def _call_all(self, calls: list[tuple[formats.Format, ToolCall]]) -> list[Any]:
        opened = self._go_on("call_tool")
        works = functools.partial(_all, opened, [parsed for _, parsed in calls])
        results = opened.run_sync(works)
        return [
            form.reply(parsed, result)
            for (form, parsed), result in zip(calls, results, strict=True)
        ]

    def _go_on(self, what: str) -> OpenEval:
        """Return the eval, unless the body is to stop."""
        opened = self._require_open(what)
        if opened.guard is not None:
            opened.guard.check()
        return opened


class SyncBoundTool:
    """One tool of one eval as a Python callable: `ctx.tools["name"](x=1)`."""

    def __init__(self, context: SyncEvalContext, tool: Tool) -> None:
        self.name = tool.name
        self.description = tool.description
        self.input_schema = tool.input_schema
        self._context = context

    def __call__(self, **arguments: Any) -> Any:
        """Run the tool: its value, or the exception it raised."""
        opened = self._context._go_on(f"tool {self.name}")
        start = functools.partial(opened.toolbox.value, self.name, arguments)
        return opened.run_sync(start)


async def _all(opened: OpenEval, calls: list[ToolCall]) -> list[Any]:
    if len(calls) == 1:
        return [await opened.run_call(calls[0])]
    return await run_together(opened.run_call(call) for call in calls)
