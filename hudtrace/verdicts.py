"""Verdicts that come after an episode has ended: re-scored, repaired, by a human.

A late verdict is a small trace of its own, linked to the episode: a late span
in the old trace would stretch its timeline for every viewer.
"""

from __future__ import annotations

from typing import Any, Literal

from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext, TraceFlags

from hudtrace import semconv
from hudtrace.errors import EvalNotFinished
from hudtrace.grading import Grade
from hudtrace.runtime import get_runtime
from hudtrace.store import queries
from hudtrace.tracing.spans import STAMP, Stamp

_STAMPS = (
    semconv.JOB_ID,
    semconv.TASK_ID,
    semconv.ENV_NAME,
    semconv.SCENARIO,
    semconv.MODEL,
    semconv.VARIANT_ID,
)


def record_verdict(
    trace_id: str,
    grade: Grade | float,
    *,
    evaluator: str,
    kind: Literal["code", "model", "human"],
    version: str | None = None,
) -> str:
    """Record another reward for the episode *trace_id* (hex); return its span id.

    It supersedes the verdict that counts until now; the effective reward of an
    episode is the newest verdict that nothing supersedes. `evaluator` names
    who or what judged. Raises `EvalNotFinished` if the store has no such
    episode that has ended.
    """
    grade = grade if isinstance(grade, Grade) else Grade(float(grade))
    runtime = get_runtime()
    root, current = _episode(runtime, trace_id)
    attributes = {
        semconv.EVALUATION_NAME: semconv.SPAN_REWARD,
        semconv.EVALUATION_SCORE: float(grade.reward),
        semconv.EVALUATION_LABEL: "pass" if grade.reward >= 1.0 else "fail",
        semconv.EVALUATOR_KIND: kind,
        semconv.EVALUATOR_ID: evaluator,
        semconv.EPISODE_TRACE_ID: trace_id,
        **_over(current, grade.reward),
    }
    optional = {
        semconv.EVALUATOR_VERSION: version,
        semconv.EVALUATION_EXPLANATION: grade.explanation,
        semconv.GRADER_DIGEST: root.attributes.get(semconv.GRADER_DIGEST),
    }
    attributes.update({k: v for k, v in optional.items() if v is not None})
    stamps = {k: root.attributes[k] for k in _STAMPS if k in root.attributes}
    ids = SpanContext(
        int(trace_id, 16), int(root.span_id, 16), True, TraceFlags(TraceFlags.SAMPLED)
    )
    span = runtime.tracer.start(
        semconv.SPAN_REWARD,
        Context({STAMP: Stamp(stamps)}),
        attributes,
        links=[Link(ids, {semconv.LINK_KIND: "episode"})],
    )
    span.end()
    return format(span.context.span_id, "016x")


def _episode(
    runtime: Any, trace_id: str
) -> tuple[queries.StoredSpan, queries.Verdict | None]:
    with runtime.pipeline.reading() as db:
        spans = queries.spans(db, trace_id)
        verdicts = queries.verdicts(db, trace_id)
    for span in spans:
        if span.parent_id is None and span.end is not None:
            main = [v for v in verdicts if v.name == semconv.SPAN_REWARD]
            return span, next((v for v in main if v.effective), None)
    raise EvalNotFinished(
        f"the store has no ended episode {trace_id}; a verdict can be added once the "
        f"eval is over"
    )


def _over(current: queries.Verdict | None, reward: float) -> dict[str, Any]:
    if current is None:
        return {}
    over: dict[str, Any] = {semconv.REWARD_SUPERSEDES: current.span_id}
    if current.value is not None:
        over[semconv.REWARD_PREVIOUS] = current.value
        over[semconv.REWARD_DELTA] = float(reward) - current.value
    return over
