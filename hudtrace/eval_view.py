"""What the body of an eval sees of it, in async and in sync code alike."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context

from hudtrace.converters import Converters
from hudtrace.errors import EvalFinished, EvalNotFinished
from hudtrace.frameworks.agent_tool import AgentTool
from hudtrace.grading import SubScore, refuse_number
from hudtrace.messages import Message
from hudtrace.record import Identity
from hudtrace.result import EvalResult
from hudtrace.toolbox import ToolRecord
from hudtrace.tracing.episode import Turn
from hudtrace.tracing.model_call import refuse_past_limit

if TYPE_CHECKING:
    from hudtrace.open_eval import OpenEval
    from hudtrace.tools import Tool, ToolCall, ToolResult


class EvalView(Converters):
    """What can be read of an eval, and what its tools are in other forms."""

    _identity: Identity
    _opened: OpenEval | None

    @property
    def prompt(self) -> Any:
        """The scenario's prompt: a str, or content blocks if it yielded those."""
        return self._running.record.prompt

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
                f"its block, or call ctx.finish() first"
            )
        return result

    def log(self, **numbers: float) -> None:
        """Note numbers of your own on the episode, for example `loss=0.3`."""
        self._require_open("log", grading=True).record.log(numbers)

    def score(self, score: SubScore) -> None:
        """Add a sub-score to the grade; `hud.score` is the usual way."""
        refuse_number(score)
        self._require_open("score", grading=True).record.scores.append(score)

    @property
    def _running(self) -> OpenEval:
        if self._opened is None:
            raise EvalNotFinished(
                f"eval {self._identity.name} is not open yet: use it as "
                f"'async with hud.eval(task) as ctx', in sync code without 'async'"
            )
        return self._opened

    def _require_open(self, what: str, *, grading: bool = False) -> OpenEval:
        opened = self._running
        over = opened.ending and not grading
        if opened.record.result is not None or over:
            raise EvalFinished(
                f"{what} came after the end of eval {self._identity.name} "
                f"(trace {self.trace_id}); move it inside the eval's block"
            )
        return opened

    @contextlib.contextmanager
    def _turn(self) -> Iterator[Turn]:
        episode = self._require_open("turn").record.episode
        refuse_past_limit(episode, "turns")
        turn = episode.open_turn(otel_context.get_current())
        token = otel_context.attach(turn.context)
        try:
            yield turn
        finally:
            otel_context.detach(token)
            episode.end_turn(turn)

    @property
    def _tool_list(self) -> list[Tool]:
        return list(self._running.toolbox.tools.values())

    def _agent_tools(self) -> list[AgentTool]:
        return [
            AgentTool(tool, self._run_tool, self._run_tool_sync)
            for tool in self._tool_list
        ]

    async def _run_tool(self, call: ToolCall) -> ToolResult:
        return await self._require_open("call_tool").call(call)

    def _run_tool_sync(self, call: ToolCall) -> ToolResult:
        return self._require_open("call_tool").call_sync(call)
