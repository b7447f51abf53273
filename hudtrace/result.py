"""What an eval is allowed to use, and what it comes to."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from hudtrace import semconv
from hudtrace.grading import Grade
from hudtrace.messages import Message, Usage

if TYPE_CHECKING:
    from hudtrace.delivery.ledger import DeliveryReport
    from hudtrace.task import Task

Outcome = Literal[
    "scored",
    "no_answer",
    "agent_error",
    "provider_error",
    "environment_error",
    "grader_error",
    "cancelled",
    "abandoned",
]
FailureClass = Literal["none", "agent", "infra", "cancelled"]

_FAILURES: Mapping[str, FailureClass] = {
    "scored": "none",
    "no_answer": "none",
    "agent_error": "agent",
    "provider_error": "infra",
    "environment_error": "infra",
    "grader_error": "infra",
    "cancelled": "cancelled",
    "abandoned": "cancelled",
}


def failure_class(outcome: str) -> FailureClass:
    """Say whose failure *outcome* is: nobody's, the agent's, or the machinery's."""
    return _FAILURES[outcome]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one eval may use; None means no limit.

    `time` is in seconds and holds at any `await` of the body. `turns`,
    `tool_calls`, `tokens` (input and output together, the agent's) and `cost`
    (US dollars) are looked at before each model call and each tool call; the
    call that would go past them is not made. `cost` counts only calls whose
    price is known. Reaching a limit stops the body; the episode is graded.
    """

    time: float | None = None
    turns: int | None = None
    tool_calls: int | None = None
    tokens: int | None = None
    cost: float | None = None

    def __post_init__(self) -> None:
        """Refuse limits that are not positive numbers."""
        for limit in dataclasses.fields(self):
            value = getattr(self, limit.name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (is_number and value > 0):
                raise ValueError(
                    f"Limits({limit.name}={value!r}): a limit is a number above 0, "
                    f"or None for no limit"
                )


@dataclass
class EvalResult:
    """What came out of one eval.

    `reward` is None where nothing was graded; a failure of the machinery is
    never a reward of 0. `answer` is what was submitted last. `duration` is in
    seconds. `usage` is the agent's, `judge_usage` that of set-up and grading.
    `delivery` is live: it goes on counting while spans are written.
    """

    reward: float | None
    outcome: Outcome
    trace_id: str
    span_id: str
    trace_url: str
    task: Task | None
    name: str
    grade: Grade | None = None
    answer: Any = None
    stopped_by: str | None = None
    error: BaseException | None = None
    job_id: str | None = None
    model: str | None = None
    agent: str = "agent"
    variant: str | None = None
    env_digest: str | None = None
    attempt: int = 1
    usage: Usage = field(default_factory=Usage)
    judge_usage: Usage = field(default_factory=Usage)
    turns: int = 0
    tool_calls: int = 0
    tool_errors: int = 0
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    duration: float = 0.0
    _messages: Callable[[], list[Message]] = field(default=list, repr=False)
    _delivery: Callable[[], DeliveryReport] | None = field(default=None, repr=False)
    _flush: Callable[[float], Any] | None = field(default=None, repr=False)

    @property
    def messages(self) -> list[Message]:
        """The conversation of the agent's last model call, its reply included."""
        messages = self._messages()
        self._messages = lambda: messages
        return messages

    @property
    def delivery(self) -> DeliveryReport | None:
        """What has become of the trace's spans so far; None in another process."""
        return None if self._delivery is None else self._delivery()

    @property
    def failure(self) -> FailureClass:
        """Whose failure it was: none, agent, infra or cancelled."""
        return failure_class(self.outcome)

    async def delivered(self, timeout: float = 30.0) -> bool:
        """Wait up to *timeout* seconds; True if every span is stored and exported."""
        if self._flush is None:
            return False
        import asyncio

        await asyncio.to_thread(self._flush, timeout)
        report = self.delivery
        return report is not None and report.complete

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data for JSON."""
        plain = {
            f.name: getattr(self, f.name)
            for f in dataclasses.fields(self)
            if not f.name.startswith("_")
        }
        return {
            **plain,
            "task": None if self.task is None else self.task.to_dict(),
            "grade": None if self.grade is None else dataclasses.asdict(self.grade),
            "answer": _json_safe(self.answer),
            "error": None if self.error is None else repr(self.error),
            "usage": dataclasses.asdict(self.usage),
            "judge_usage": dataclasses.asdict(self.judge_usage),
            "started_at": self.started_at.isoformat(),
            "messages": self.messages,
        }

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the values; what belongs to this process stays here."""
        messages = self.messages
        state = {**self.__dict__, "_delivery": None, "_flush": None}
        state["_messages"] = _Kept(messages)
        return state

    def _repr_html_(self) -> str:
        """Show the result in a notebook: what came of it, and its conversation."""
        from hudtrace.notebook import result_html

        return result_html(self)

    def _repr_markdown_(self) -> str:
        """Show the result as Markdown."""
        from hudtrace.notebook import result_markdown

        return result_markdown(self)


@dataclass(frozen=True)
class _Kept:
    """A value behind a call, in a form that can be pickled."""

    value: list[Message]

    def __call__(self) -> list[Message]:
        return self.value


def _json_safe(value: Any) -> Any:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return str(value)
    return value


def bucket(value: float | None, edges: tuple[float, ...]) -> str:
    """Name the range that *value* lies in: `none`, an edge, `a-b`, `<a` or `>z`."""
    if value is None:
        return "none"
    if value in edges:
        return f"{value:g}"
    if value < edges[0]:
        return f"<{edges[0]:g}"
    for low, high in itertools.pairwise(edges):
        if value < high:
            return f"{low:g}-{high:g}"
    return f">{edges[-1]:g}"


REWARD_EDGES = (0.0, 0.25, 0.5, 0.75, 1.0)
COST_EDGES = (0.0, 0.001, 0.01, 0.1, 0.5, 1.0, 5.0)


def usage_rollup(usage: Usage, judge: Usage) -> dict[str, Any]:
    """Return the root's usage attributes; a cost that is not known is absent."""
    rollup: dict[str, Any] = {
        semconv.HUD_USAGE_INPUT: usage.input_tokens,
        semconv.HUD_USAGE_OUTPUT: usage.output_tokens,
        semconv.HUD_USAGE_CACHED: usage.cached_tokens,
        semconv.HUD_USAGE_CACHE_WRITE: usage.cache_write_tokens,
        semconv.HUD_USAGE_REASONING: usage.reasoning_tokens,
        semconv.JUDGE_USAGE_INPUT: judge.input_tokens,
        semconv.JUDGE_USAGE_OUTPUT: judge.output_tokens,
        semconv.JUDGE_USAGE_CACHED: judge.cached_tokens,
        semconv.JUDGE_USAGE_CACHE_WRITE: judge.cache_write_tokens,
        semconv.JUDGE_USAGE_REASONING: judge.reasoning_tokens,
    }
    if usage.cost is not None:
        rollup[semconv.COST_TOTAL] = float(usage.cost)
        rollup[semconv.COST_BUCKET] = bucket(usage.cost, COST_EDGES)
    if judge.cost is not None:
        rollup[semconv.COST_JUDGE] = float(judge.cost)
    return rollup
