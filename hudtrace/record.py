"""What every eval has, with or without a scenario: its episode and its ending."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from hudtrace import semconv
from hudtrace.errors import EnvironmentFailure, EvalAbandoned, is_providers
from hudtrace.grading import Grade, SubScore
from hudtrace.messages import Prompt, to_json
from hudtrace.result import (
    REWARD_EDGES,
    EvalResult,
    Outcome,
    bucket,
    failure_class,
    usage_rollup,
)
from hudtrace.runtime import get_runtime
from hudtrace.tracing.episode import Episode, link_to
from hudtrace.tracing.spans import Span, current_span

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from hudtrace.task import Task

_PROVIDERS = ("openai", "anthropic", "google.genai", "google.api_core")


@dataclass(slots=True)
class Identity:
    """What ran: everything about an eval that is known before it begins.

    `variant` is a word, or a mapping whose `id` (or whose items) make the
    word. `agent` may carry a version: `"planner@1.2"`.
    """

    name: str
    task: Task | None = None
    task_id: str | None = None
    agent: str = "agent"
    model: str | None = None
    variant: str | Mapping[str, Any] | None = None
    job: str | None = None
    job_start: SpanContext | None = None  # what the episode links to
    attempt: int = 1
    env: str | None = None
    scenario: str | None = None
    env_digest: str | None = None
    grader_digest: str | None = None
    args: str | None = None  # JSON
    metadata: Mapping[str, Any] = field(default_factory=dict)
    function: str | None = None

    @property
    def agent_name(self) -> str:
        """The agent's name, without its version."""
        return self.agent.partition("@")[0]

    @property
    def variant_id(self) -> str | None:
        """The variant as one word, None if there is none."""
        if self.variant is None or isinstance(self.variant, str):
            return self.variant
        if "id" in self.variant:
            return str(self.variant["id"])
        return ",".join(f"{k}={v}" for k, v in sorted(self.variant.items()))

    def stamps(self) -> dict[str, Any]:
        """Return the attributes that every span of the episode carries."""
        return _present(
            {
                semconv.JOB_ID: self.job,
                semconv.TASK_ID: self.task_id,
                semconv.ENV_NAME: self.env,
                semconv.SCENARIO: self.scenario,
                semconv.MODEL: self.model,
                semconv.VARIANT_ID: self.variant_id,
            }
        )

    def attributes(self) -> dict[str, Any]:
        """Return the attributes that say on the root what ran."""
        variant = self.variant if isinstance(self.variant, Mapping) else {}
        return _present(
            {
                semconv.ENV_DIGEST: self.env_digest,
                semconv.GRADER_DIGEST: self.grader_digest,
                semconv.HUD_AGENT_NAME: self.agent_name,
                semconv.AGENT_VERSION: self.agent.partition("@")[2] or None,
                semconv.GROUP_ID: self.task_id,
                semconv.ATTEMPT: self.attempt,
                semconv.SEED: self.metadata.get("seed"),
                semconv.TEST_CASE: self.task_id or self.name,
                semconv.CODE_FUNCTION: self.function,
                semconv.ARGS: self.args,
                semconv.TASK_REFERENCE: self.task.reference if self.task else None,
                **{
                    semconv.VARIANT_PREFIX + key: str(value)
                    for key, value in variant.items()
                    if key != "id"
                },
                **{
                    semconv.METADATA_PREFIX + key: value
                    for key, value in self.metadata.items()
                },
            }
        )


@dataclass(slots=True)
class Ending:
    """How an eval ended; `error` is what the body, the set-up or the grader raised."""

    outcome: Outcome
    grade: Grade | None = None
    answer: Any = None
    error: BaseException | None = None
    stopped_by: str | None = None


class Record:
    """The recorded side of one eval: opens the trace, closes it into a result.

    `state` is the episode's own dict, for tools and graders. `scores` are the
    sub-scores given by `hud.score`.
    """

    def __init__(self, identity: Identity, owner: object) -> None:
        self.runtime = get_runtime()
        self.identity = identity
        self.state: dict[str, Any] = {}
        self.scores: list[SubScore] = []
        self.submits = 0
        self.prompt: Any = None
        self.result: EvalResult | None = None
        self.started_at = datetime.now(UTC)
        self._logged: dict[str, float] = {}
        self.episode = Episode(
            self.runtime.tracer,
            f"{semconv.SPAN_EVAL} {identity.name}",
            stamps=identity.stamps(),
            identity=identity.attributes(),
            agent=identity.agent_name,
            links=[*_job_links(identity), *_caller_links()],
        )
        self.episode.owner = owner

    @property
    def trace_url(self) -> str:
        """Where the trace can be opened."""
        return self.runtime.trace_url(self.episode.trace_id, self.episode.span_id)

    def log(self, numbers: Mapping[str, float]) -> None:
        """Note numbers of the user's own on the episode's root."""
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(
                    f"log({name}={value!r}): only numbers can be logged; "
                    f"put other values into metadata or state"
                )
            self._logged[semconv.METRIC_PREFIX + name] = float(value)

    def open_reward(self, name: str, attributes: Mapping[str, Any]) -> Span:
        """Start the reward span that grading runs in."""
        span = self.episode.start(
            semconv.SPAN_REWARD,
            semconv.PHASE_GRADE,
            {semconv.EVALUATION_NAME: name, **attributes},
        )
        answered = self.episode.last_call
        if self.submits and answered is not None:
            span.add_link(answered.context, {semconv.LINK_KIND: "read"})
        return span

    def write_grade(self, span: Span, grade: Grade, passing: float) -> None:
        """Write *grade* on its reward span, with a child for each sub-score."""
        span.set_attributes(_score(grade.reward, grade.explanation, passing))
        if grade.info:
            span.set_attribute(
                semconv.GRADE_INFO,
                to_json(grade.info),
            )
        below = self.episode.context(semconv.PHASE_GRADE, span)
        for score in grade.subscores:
            child = self.episode.tracer.start(
                f"{semconv.SPAN_REWARD} {score.name}",
                below,
                {
                    **_evaluator(span),
                    semconv.EVALUATION_NAME: score.name,
                    semconv.SUBSCORE_WEIGHT: float(score.weight),
                    **_score(score.value, score.explanation, passing),
                },
            )
            child.end()

    def close(self, ending: Ending, passing: float = 1.0) -> EvalResult:
        """Write the roll-ups, end the trace, and return the result; once."""
        if self.result is not None:
            return self.result
        episode, identity = self.episode, self.identity
        episode.end_agent(ending.error if ending.outcome in _BODY_ERRORS else None)
        if ending.error is not None:
            episode.root.fail(ending.error)
        episode.close(
            {
                **self._rollup(ending, passing),
                semconv.EVAL_SPAN_COUNT: self.runtime.span_count(episode.trace_id),
            }
        )
        tally = episode.tally
        self.result = EvalResult(
            reward=ending.grade.reward if ending.grade else None,
            outcome=ending.outcome,
            trace_id=episode.trace_id,
            span_id=episode.span_id,
            trace_url=self.trace_url,
            task=identity.task,
            name=identity.name,
            grade=ending.grade,
            answer=ending.answer,
            stopped_by=ending.stopped_by,
            error=ending.error,
            job_id=identity.job,
            model=episode.model,
            agent=identity.agent_name,
            variant=identity.variant_id,
            env_digest=identity.env_digest,
            attempt=identity.attempt,
            usage=tally.usage,
            judge_usage=tally.judge_usage,
            turns=episode.turn_count,
            tool_calls=tally.tool_calls,
            tool_errors=tally.tool_errors,
            started_at=self.started_at,
            duration=episode.seconds,
            _messages=functools.partial(getattr, episode, "messages"),
            _delivery=functools.partial(self.runtime.report, episode.trace_id),
            _flush=self.runtime.flush,
        )
        return self.result

    def _rollup(self, ending: Ending, passing: float) -> dict[str, Any]:
        tally = self.episode.tally
        reward = ending.grade.reward if ending.grade else None
        failure = failure_class(ending.outcome)
        answer = None if ending.answer is None else str(ending.answer)
        return _present(
            {
                semconv.REWARD: reward,
                semconv.REWARD_BUCKET: bucket(reward, REWARD_EDGES),
                semconv.OUTCOME: ending.outcome,
                semconv.FAILURE_CLASS: failure,
                semconv.FAILURE_INFRA: 1.0 if failure == "infra" else 0.0,
                semconv.STOPPED_BY: ending.stopped_by,
                semconv.TEST_STATUS: _verdict(reward, failure, passing),
                semconv.TURNS: self.episode.turn_count,
                semconv.TOOL_CALLS: tally.tool_calls,
                semconv.TOOL_ERRORS: tally.tool_errors,
                semconv.TOOL_EXCEPTIONS: tally.tool_exceptions,
                semconv.TOOL_FAILED: tally.tool_errors > 0,
                semconv.SUBMIT_COUNT: self.submits,
                semconv.EVAL_ENDED: True,
                semconv.ANSWER: answer,
                semconv.INPUT_VALUE: _prompt_text(self.prompt),
                semconv.OUTPUT_VALUE: to_json(
                    {"reward": reward, "outcome": ending.outcome, "answer": answer}
                ),
                **usage_rollup(tally.usage, tally.judge_usage),
                **self._logged,
            }
        )


_BODY_ERRORS = frozenset(
    {
        "agent_error",
        "provider_error",
        "cancelled",
        "abandoned",
    }
)


def outcome_of(error: BaseException) -> Outcome:
    """Classify what the body of an eval raised."""
    if isinstance(error, EnvironmentFailure):
        return "environment_error"
    if isinstance(error, EvalAbandoned):
        return "abandoned"
    if not isinstance(error, Exception):
        return "cancelled"
    if is_providers(error):
        return "provider_error"
    for kind in type(error).__mro__:
        module = kind.__module__
        if any(module == p or module.startswith(f"{p}.") for p in _PROVIDERS):
            return "provider_error"
    return "agent_error"


def _job_links(identity: Identity) -> Sequence[trace.Link]:
    start = identity.job_start
    return () if start is None else [link_to(start, "job")]


def _caller_links() -> Sequence[trace.Link]:
    current = current_span(otel_context.get_current())
    if isinstance(current, trace.Span) and current.get_span_context().is_valid:
        return [link_to(current.get_span_context(), "caller")]
    return ()


def _score(value: float, explanation: str | None, passing: float) -> dict[str, Any]:
    return _present(
        {
            semconv.EVALUATION_SCORE: float(value),
            semconv.EVALUATION_LABEL: "pass" if value >= passing else "fail",
            semconv.EVALUATION_EXPLANATION: explanation,
        }
    )


def _evaluator(span: Span) -> dict[str, Any]:
    keys = (
        semconv.EVALUATOR_KIND,
        semconv.EVALUATOR_ID,
        semconv.EVALUATOR_VERSION,
        semconv.GRADER_DIGEST,
    )
    return {key: span.attributes[key] for key in keys if key in span.attributes}


def _verdict(reward: float | None, failure: str, passing: float) -> str | None:
    if failure in ("infra", "cancelled"):
        return None
    return "pass" if reward is not None and reward >= passing else "fail"


def _prompt_text(prompt: Any) -> str | None:
    if prompt is None or isinstance(prompt, str):
        return prompt
    return to_json(prompt.parts if isinstance(prompt, Prompt) else prompt)


def _present(attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in attributes.items()
        if value is not None and not (isinstance(value, float) and math.isnan(value))
    }
