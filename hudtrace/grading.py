"""Grades and answers: what a scenario may yield, and what it is given."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hudtrace.errors import ScenarioProtocolError


@dataclass(frozen=True, slots=True)
class SubScore:
    """One named part of a grade; `value` and `weight` are finite numbers."""

    name: str
    value: float
    weight: float = 1.0
    explanation: str | None = None

    def __post_init__(self) -> None:
        """Refuse a value or weight that is no finite number."""
        for name in ("value", "weight"):
            number = getattr(self, name)
            if not isinstance(number, int | float) or not math.isfinite(number):
                raise ValueError(
                    f"SubScore({self.name!r}, {name}={number!r}): it must be a finite "
                    f"number"
                )
            object.__setattr__(self, name, float(number))


@dataclass(frozen=True, slots=True)
class Grade:
    """A reward with its reasons: yield it instead of a number.

    `info` is any plain data that explains the grade.
    """

    reward: float
    subscores: Sequence[SubScore] = ()
    explanation: str | None = None
    info: Mapping[str, Any] = field(default_factory=dict)

    def with_subscores(self, more: Sequence[SubScore]) -> Grade:
        """Return this grade with *more* sub-scores behind its own."""
        return dataclasses.replace(self, subscores=(*self.subscores, *more))


EvaluationResult = Grade


def refuse_number(score: object) -> None:
    """Raise TypeError for what is no `SubScore`, with the call that takes it."""
    if not isinstance(score, SubScore):
        raise TypeError(
            f"ctx.score({score!r:.80}) takes a hud.SubScore; for a number there is "
            f"hud.score(value, name='score')"
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a scenario with `returns=Model` receives.

    `value` is the parsed model, None if `text` does not parse or there is no
    answer; `error` then says why.
    """

    value: Any
    text: str | None
    error: str | None = None


def read_reward(
    raw: Any,
    reward_range: tuple[float, float] | None = None,
    *,
    source: str = "the scenario yielded",
) -> Grade:
    """Read what a scenario yielded as its reward; *source* begins an error's text.

    Takes an int, float, bool, `Grade`, or a dict of its fields. Raises
    `ScenarioProtocolError` for anything else, for numbers that are not finite
    or outside *reward_range*: a broken grader is never a reward of 0 or 1.
    """
    grade = _read_grade(raw, source)
    number = _finite(grade.reward, source)
    if reward_range is not None:
        low, high = reward_range
        if not low <= number <= high:
            raise ScenarioProtocolError(
                f"{source} a reward of {number:g}, outside its "
                f"reward_range {low:g} to {high:g}; scale it, or widen reward_range"
            )
    return dataclasses.replace(grade, reward=number)


def _read_grade(raw: Any, source: str) -> Grade:
    if isinstance(raw, Grade):
        return raw
    if isinstance(raw, Mapping):
        return _grade_of(raw, source)
    return Grade(_finite(raw, source))


def _grade_of(fields: Mapping[Any, Any], source: str) -> Grade:
    known = {f.name for f in dataclasses.fields(Grade)}
    unknown = [str(key) for key in fields if key not in known]
    if unknown or "reward" not in fields:
        problem = (
            f"has the unknown key {unknown[0]!r}" if unknown else "has no 'reward'"
        )
        raise ScenarioProtocolError(
            f"{source} a dict that {problem}; a reward dict has the keys "
            f"{', '.join(sorted(known))}"
        )
    scores = fields.get("subscores") or ()
    try:
        read = [s if isinstance(s, SubScore) else SubScore(**s) for s in scores]
        return Grade(**{**fields, "subscores": tuple(read)})
    except (TypeError, ValueError) as error:
        raise ScenarioProtocolError(f"{source} wrong subscores: {error}") from error


def _finite(raw: Any, source: str) -> float:
    try:
        # numpy and decimal numbers are numbers; text that looks like one is not.
        number = None if isinstance(raw, str | bytes) else float(raw)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or not math.isfinite(number):
        raise ScenarioProtocolError(
            f"{source} {raw!r:.80} as its reward; yield a finite number, a "
            f"bool, a Grade, or a dict of its fields"
        )
    return number
