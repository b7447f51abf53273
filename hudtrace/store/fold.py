"""The `episodes` row of a trace: a pure fold over its spans and its verdicts.

The order of the spans does not matter, nor that one comes twice: the row of a
trace that was received from elsewhere is as good as that of a local one. Every
span gives what it is stamped with; the root, whose roll-ups win, gives the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hudtrace import semconv

EpisodeRow = dict[str, Any]

_STAMPED = {
    "env": semconv.ENV_NAME,
    "scenario": semconv.SCENARIO,
    "task_id": semconv.TASK_ID,
    "job_id": semconv.JOB_ID,
    "model": semconv.MODEL,
    "variant": semconv.VARIANT_ID,
}
_ROLLED_UP = {
    "args": semconv.ARGS,
    "group_id": semconv.GROUP_ID,
    "agent": semconv.HUD_AGENT_NAME,
    "attempt": semconv.ATTEMPT,
    "env_digest": semconv.ENV_DIGEST,
    "outcome": semconv.OUTCOME,
    "failure": semconv.FAILURE_CLASS,
    "stopped_by": semconv.STOPPED_BY,
    "first_reward": semconv.REWARD,
    "input_tokens": semconv.HUD_USAGE_INPUT,
    "output_tokens": semconv.HUD_USAGE_OUTPUT,
    "cost": semconv.COST_TOTAL,
    "turns": semconv.TURNS,
    "tool_calls": semconv.TOOL_CALLS,
    "tool_errors": semconv.TOOL_ERRORS,
    "span_count": semconv.EVAL_SPAN_COUNT,
}
COLUMNS = (
    "trace_id",
    "root_id",
    "name",
    "start",
    "end",
    *_STAMPED,
    *_ROLLED_UP,
)


def episode_of(
    trace_id: bytes,
    span_id: bytes,
    parent_id: bytes | None,
    name: str,
    start: int,
    end: int | None,
    attributes: Mapping[str, Any],
) -> EpisodeRow | None:
    """Return what one span tells of its episode, None if it belongs to none.

    `end` is None for a span that is still open.
    """
    is_root = attributes.get(semconv.OPERATION) == semconv.OP_EVALUATE
    if semconv.EPISODE_TRACE_ID in attributes:
        return None  # a late verdict is a trace of its own, but no episode
    if not is_root and semconv.PHASE not in attributes:
        return None
    row: EpisodeRow = dict.fromkeys(COLUMNS)
    row["trace_id"], row["start"] = trace_id, start
    for column, key in _STAMPED.items():
        row[column] = attributes.get(key)
    if is_root and parent_id is None:
        row["root_id"] = span_id
        row["name"] = name.removeprefix(f"{semconv.SPAN_EVAL} ")
        row["end"] = end
        for column, key in _ROLLED_UP.items():
            row[column] = attributes.get(key)
    return row


def merge(one: EpisodeRow, other: EpisodeRow) -> EpisodeRow:
    """Join two rows of the same trace; commutative, associative, idempotent.

    An ended root knows more than an open one, and that more than other spans:
    the row of the higher rank is taken whole, rows of one rank are joined.
    """
    if rank(one) != rank(other):
        return max(one, other, key=rank)
    merged = {}
    for column in COLUMNS:
        a, b = one[column], other[column]
        if a is None or b is None:
            merged[column] = b if a is None else a
        else:
            merged[column] = a if a == b or a < b else b
    return merged


def rank(row: EpisodeRow) -> int:
    """Return how much a row knows: 2 for an ended root, 1 for an open one, else 0."""
    return (row["root_id"] is not None) + (row["end"] is not None)


_RANK = "({0}.root_id IS NOT NULL) + ({0}.end IS NOT NULL)"
_NEW, _OLD = _RANK.format("excluded"), _RANK.format("episodes")

#: The same join in SQL, for a row that is already there.
UPSERT = " ON CONFLICT (trace_id) DO UPDATE SET " + ", ".join(
    f"{c} = CASE WHEN {_NEW} > {_OLD} THEN excluded.{c} WHEN {_NEW} < {_OLD} THEN {c} "
    f"ELSE min(coalesce({c}, excluded.{c}), coalesce(excluded.{c}, {c})) END"
    for c in COLUMNS[1:]
)

_EFFECTIVE = """(
    SELECT value FROM verdicts AS v
    WHERE v.trace_id = episodes.trace_id AND v.name = 'reward' AND v.value IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM verdicts AS newer WHERE newer.supersedes = v.span_id)
    ORDER BY v.at DESC, v.span_id DESC LIMIT 1
)"""


def settle_rewards(count: int) -> str:
    """Return the SQL that sets the effective reward of *count* episodes."""
    marks = ",".join("?" * count)
    return (
        f"UPDATE episodes SET reward = coalesce({_EFFECTIVE}, first_reward) "
        f"WHERE trace_id IN ({marks})"
    )


def verdict_of(
    trace_id: bytes, span_id: bytes, end: int, attributes: Mapping[str, Any]
) -> tuple[Any, ...] | None:
    """Return the `verdicts` row of a reward span, None for other spans."""
    name = attributes.get(semconv.EVALUATION_NAME)
    if name is None or semconv.EVALUATION_SCORE not in attributes:
        return None
    judged = attributes.get(semconv.EPISODE_TRACE_ID)
    older = attributes.get(semconv.REWARD_SUPERSEDES)
    return (
        span_id,
        bytes.fromhex(judged) if judged else trace_id,
        name,
        attributes[semconv.EVALUATION_SCORE],
        attributes.get(semconv.EVALUATION_LABEL),
        attributes.get(semconv.EVALUATOR_KIND),
        attributes.get(semconv.EVALUATOR_ID),
        attributes.get(semconv.EVALUATOR_VERSION),
        bytes.fromhex(older) if older else None,
        end,
        1 if judged else 0,
    )
