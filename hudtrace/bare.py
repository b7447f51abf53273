"""Evals without a scenario: any function whose calls are graded."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MethodType, TracebackType
from typing import Any, Literal

from opentelemetry import context as otel_context

from hudtrace import semconv
from hudtrace.errors import EvalNotFinished, ScenarioProtocolError
from hudtrace.grading import Grade, SubScore, read_reward, refuse_number
from hudtrace.messages import Message
from hudtrace.record import Ending, Identity, Record, outcome_of
from hudtrace.result import EvalResult

_PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True, slots=True)
class Case:
    """The arguments that tell one call of a function from another."""

    arguments: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The arguments as canonical JSON."""
        return json.dumps(
            self.arguments, sort_keys=True, default=str, ensure_ascii=False
        )

    def task_id(self, name: str) -> str:
        """Return a stable id for *name* called with these arguments."""
        if not self.arguments:
            return name
        digest = hashlib.blake2b(self.text.encode(), digest_size=6).hexdigest()
        return f"{name}-{digest}"


def case_of(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    names: Sequence[str],
) -> Case:
    """Pick the arguments to record: those named, else those that are plain data."""
    signature = inspect.signature(function)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return Case({})  # the call itself raises the better error
    bound.apply_defaults()
    if names:
        unknown = [name for name in names if name not in bound.arguments]
        if unknown:
            raise TypeError(
                f"case={names!r}: {function.__qualname__} has no argument "
                f"{unknown[0]!r} (it has: {', '.join(signature.parameters)})"
            )
        return Case({name: bound.arguments[name] for name in names})
    return Case(
        {name: value for name, value in bound.arguments.items() if _is_plain(value)}
    )


class BareEval:
    """One call of a traced function: a trace of its own, in any kind of code.

    Use `with run:` to keep the function's exception in the result, or
    `with run.transparent():` to pass it on.
    """

    def __init__(
        self,
        identity: Identity,
        case: Case,
        *,
        reward: Literal["return"] | None,
        passes: bool,
    ) -> None:
        self.record = Record(identity, self)
        self.record.prompt = case.text if case.arguments else None
        self._reward = reward
        self._passes = passes
        self._value: Any = None
        self._token: Any = None

    @property
    def result(self) -> EvalResult:
        """The result, once the call is over."""
        if self.record.result is None:
            raise EvalNotFinished(f"{self.record.identity.name} is still running")
        return self.record.result

    @property
    def state(self) -> dict[str, Any]:
        """A dict of this eval's own."""
        return self.record.state

    @property
    def trace_id(self) -> str:
        """The trace's id, 32 hexadecimal digits."""
        return self.record.episode.trace_id

    @property
    def trace_url(self) -> str:
        """Where the trace can be opened."""
        return self.record.trace_url

    @property
    def messages(self) -> list[Message]:
        """The conversation of the last model call so far."""
        return self.record.episode.messages

    def log(self, **numbers: float) -> None:
        """Note numbers of your own on the eval."""
        self.record.log(numbers)

    def score(self, score: SubScore) -> None:
        """Add a score; `hud.score` is the usual way."""
        refuse_number(score)
        self.record.scores.append(score)

    def returned(self, value: Any) -> Any:
        """Note what the function returned, and return it."""
        self._value = value
        return value

    def __enter__(self) -> BareEval:
        """Make this eval the current one."""
        inside = self.record.episode.start_agent(otel_context.get_current())
        self._token = otel_context.attach(inside)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Grade and close; exceptions of the function are kept in the result."""
        with contextlib.suppress(ValueError):
            self._token.var.reset(self._token)
        self._close(error)
        return isinstance(error, Exception)

    @contextlib.contextmanager
    def transparent(self) -> Iterator[None]:
        """Run the function so that its caller sees just what it does."""
        self.__enter__()
        try:
            yield
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        self.__exit__(None, None, None)

    def _close(self, error: BaseException | None) -> None:
        record = self.record
        record.episode.end_agent(None if isinstance(error, AssertionError) else error)
        span = record.open_reward(semconv.SPAN_REWARD, {semconv.EVALUATOR_KIND: "code"})
        ending = self._ending(error)
        if ending.grade is not None:
            record.write_grade(span, ending.grade, 1.0)
        elif ending.error is not None and ending.outcome == "grader_error":
            span.fail(ending.error)
        span.end()
        record.close(ending)

    def _ending(self, error: BaseException | None) -> Ending:
        answer = _answer(self._value)
        if isinstance(error, AssertionError):
            scores = tuple(self.record.scores)
            failed = Grade(0.0, scores, explanation=str(error) or None)
            return Ending("scored", failed, answer)
        if error is not None:
            return Ending(outcome_of(error), answer=answer, error=error)
        try:
            grade = self._grade()
        except ScenarioProtocolError as wrong:
            return Ending("grader_error", answer=answer, error=wrong)
        return Ending("no_answer" if grade is None else "scored", grade, answer)

    def _grade(self) -> Grade | None:
        """Return the grade that the call has earned, None if nobody gave one."""
        scores = tuple(self.record.scores)
        if isinstance(self._value, Grade) or self._reward == "return":
            source = f"{self.record.identity.name} returned"
            return read_reward(self._value, source=source).with_subscores(scores)
        if scores:
            weight = sum(score.weight for score in scores) or 1.0
            mean = sum(score.value * score.weight for score in scores) / weight
            explanation = scores[0].explanation if len(scores) == 1 else None
            return Grade(mean, () if _is_plain_score(scores) else scores, explanation)
        return Grade(1.0) if self._passes else None


def is_method(function: Callable[..., Any]) -> bool:
    """Say whether *function* is defined in a class and takes `self` or `cls`."""
    around = getattr(function, "__qualname__", "").rpartition(".")[0]
    if not around or around.endswith("<locals>"):
        return False
    try:
        first = next(iter(inspect.signature(function).parameters), None)
    except (TypeError, ValueError):
        return False
    return first in ("self", "cls")


class TracedMethod:
    """A traced function in a class: `A().m(1)`, and `A().m.eval(1)` as well.

    *call* has its other form in `call.eval`; both take the object first.
    """

    def __init__(self, call: Any) -> None:
        functools.update_wrapper(self, call)
        self._call = call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, its object first."""
        return self._call(*args, **kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Return the function as a method of *instance*, without one the function."""
        call = self._call
        if instance is None:
            return call
        bound: Any
        if inspect.iscoroutinefunction(call):

            async def bound(*args: Any, **kwargs: Any) -> Any:
                return await call(instance, *args, **kwargs)

        else:

            def bound(*args: Any, **kwargs: Any) -> Any:
                return call(instance, *args, **kwargs)

        functools.update_wrapper(bound, call)
        bound.__wrapped__ = MethodType(call.__wrapped__, instance)
        bound.__self__ = instance
        bound.eval = functools.partial(call.eval, instance)
        return bound


def _is_plain_score(scores: Sequence[SubScore]) -> bool:
    return len(scores) == 1 and scores[0].name == "score"


def _answer(value: Any) -> Any:
    return None if isinstance(value, Grade) else value


def _is_plain(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(k, str) and _is_plain(v) for k, v in value.items())
    return isinstance(value, _PLAIN)
