"""What an episode that has not ended has used so far: the sum over its ended spans.

The root of one that has ended says it all by itself, counted as here.
"""

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple

from hudtrace import semconv
from hudtrace.store.decode import decode_attributes

_CALLS = frozenset(
    {semconv.OP_CHAT, semconv.OP_TEXT_COMPLETION, semconv.OP_GENERATE_CONTENT}
)
_PRICED = _CALLS | {semconv.OP_EMBEDDINGS, semconv.OP_COMPACT}
_COUNTED = _PRICED | {semconv.OP_EXECUTE_TOOL}
_ERROR = 2  # the status of a span
_MOST = 2**53  # of which a sum is still a number of SQLite
_SPANS = (
    "SELECT operation, model, phase, turn, status, body FROM spans WHERE trace_id = ? "
    f"AND phase = ? AND operation IN ({','.join('?' * len(_COUNTED))}) ORDER BY start"
)


class Used(NamedTuple):
    """What the agent has used; None is unknown. Cost in US dollars."""

    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None
    turns: int | None = None
    tool_calls: int | None = None
    tool_errors: int | None = None

    def plus(self, later: Used) -> Used:
        """Return this and what later spans have used; the model is that of the first call."""
        turns = [turns for turns in (self.turns, later.turns) if turns is not None]
        return Used(
            self.model or later.model,
            sum_of(self.input_tokens, later.input_tokens),
            sum_of(self.output_tokens, later.output_tokens),
            sum_of(self.cost, later.cost),
            max(turns, default=None),
            sum_of(self.tool_calls, later.tool_calls),
            sum_of(self.tool_errors, later.tool_errors),
        )


NOTHING = Used()


def so_far(db: sqlite3.Connection, trace_id: str) -> Used:
    """Return what the ended spans of a trace have used."""
    found = NOTHING
    values = (bytes.fromhex(trace_id), semconv.PHASE_AGENT, *sorted(_COUNTED))
    for row in db.execute(_SPANS, values):
        found = found.plus(used_by(*row))
    return found


def used_by(
    operation: str | None,
    model: str | None,
    phase: str | None,
    turn: int | None,
    status: int,
    body: bytes,
) -> Used:
    """Return what one span has used, by its columns in the store.

    One that cannot be read has used nothing, and no number is what none can be.
    """
    from google.protobuf.message import DecodeError

    if phase != semconv.PHASE_AGENT or operation not in _COUNTED:
        return NOTHING
    try:
        said = decode_attributes(body)
    except DecodeError:
        return NOTHING
    if operation == semconv.OP_EXECUTE_TOOL:
        failed = bool(said.get(semconv.TOOL_ERROR)) or status == _ERROR
        return Used(turns=turn or None, tool_calls=1, tool_errors=int(failed))
    return Used(
        model if operation in _CALLS else None,
        _number(said.get(semconv.USAGE_INPUT)),
        _number(said.get(semconv.USAGE_OUTPUT)),
        _number(said.get(semconv.COST_CALL)),
        turn or None,
    )


def _number(value: Any) -> Any:
    number = isinstance(value, int | float) and 0 <= value < _MOST
    return value if number else None


def sum_of(one: Any, other: Any) -> Any:
    """Return the sum of two numbers, of which None is one that nobody knows."""
    if one is None or other is None:
        return other if one is None else one
    return one + other
