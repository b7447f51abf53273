"""Scenarios: how an environment asks a question and grades the answer."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, ParamSpec

from hudtrace.grading import Answer
from hudtrace.scenario_run import ScenarioRun
from hudtrace.schema import parameters_of, summary_of
from hudtrace.tools import digest_of, source_of

if TYPE_CHECKING:
    from pydantic import BaseModel

    from hudtrace.environment import Environment
    from hudtrace.task import Task
    from hudtrace.tools import Tool

P = ParamSpec("P")


class Exclusive:
    """What tools are that only the scenarios beside them offer, and no others."""


class Scenario(Generic[P]):
    """A generator function that yields a prompt, takes an answer, yields a reward.

    Calling it makes a `Task`, with the arguments that the function has.
    `parameters` is their JSON Schema.
    """

    def __init__(
        self,
        environment: Environment,
        function: Callable[P, Any],
        name: str,
        *,
        description: str | None = None,
        returns: type[Any] | None = None,
        exclude_tools: Iterable[str] = (),
        allowed_tools: Iterable[str] | None = None,
        reward_range: tuple[float, float] | None = None,
    ) -> None:
        is_async = inspect.isasyncgenfunction(function)
        if not is_async and not inspect.isgeneratorfunction(function):
            raise TypeError(
                f"scenario {name!r} must be a generator function: 'answer = yield "
                f"prompt', then 'yield reward'"
            )
        if reward_range is not None and not reward_range[0] < reward_range[1]:
            raise ValueError(
                f"scenario {name!r}: reward_range={reward_range!r}; it is (low, high) "
                f"with low below high"
            )
        self.name = name
        self.function = function
        self.description = summary_of(function) if description is None else description
        self.returns = returns
        self.exclude_tools = frozenset(exclude_tools)
        self.allowed_tools = None if allowed_tools is None else frozenset(allowed_tools)
        self.reward_range = reward_range
        self._environment = environment
        self._is_async = is_async
        self._parameters = parameters_of(function)
        functools.update_wrapper(self, function, updated=())

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON Schema of the arguments."""
        return self._parameters.schema

    @functools.cached_property
    def grader_digest(self) -> str:
        """A hash of the scenario's source: it changes when the grader does."""
        return digest_of(source_of(self.function))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Task:
        """Make a task of this scenario; raises `InvalidArguments`."""
        signature = inspect.signature(self.function)
        positional = list(signature.parameters)[: len(args)]
        if len(positional) < len(args):
            raise TypeError(
                f"scenario {self.name!r} takes {len(signature.parameters)} arguments, "
                f"but got {len(args)}"
            )
        arguments = {**dict(zip(positional, args, strict=True)), **kwargs}
        return self._environment.task(self.name, arguments)

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Check and convert *given*; raises `InvalidArguments` naming each fault."""
        return self._parameters.validate(given, f"scenario '{self.name}'")

    def tools(self, tools: Mapping[str, Tool]) -> dict[str, Tool]:
        """Return those of *tools* that this scenario lets the agent use."""
        return {
            name: tool
            for name, tool in tools.items()
            if not isinstance(tool, Exclusive)
            and name not in self.exclude_tools
            and (self.allowed_tools is None or name in self.allowed_tools)
        }

    def open(self, arguments: Mapping[str, Any]) -> ScenarioRun:
        """Return a run of the scenario with validated *arguments*."""
        start = functools.partial(self.function, **arguments)
        return ScenarioRun(self.name, start, is_async=self._is_async)

    def answer(self, submitted: Any) -> Any:
        """Return what the scenario receives for a *submitted* answer.

        Its text, None if there is none; an `Answer` if it `returns` a model.
        """
        if self.returns is None:
            return answer_text(submitted)
        return _parsed(submitted, self.returns)

    def __repr__(self) -> str:
        return f"Scenario({self._environment.name}:{self.name})"


def answer_text(submitted: Any) -> str | None:
    """Return an answer as text: a str as it is, plain data and models as JSON."""
    if submitted is None or isinstance(submitted, str):
        return submitted
    dump = getattr(submitted, "model_dump_json", None)
    if callable(dump):
        return str(dump())
    if isinstance(submitted, dict | list | tuple | bool | int | float):
        return json.dumps(submitted, ensure_ascii=False, default=str)
    return str(submitted)


def _parsed(submitted: Any, model: type[BaseModel]) -> Answer:
    from pydantic import TypeAdapter, ValidationError

    text = answer_text(submitted)
    if text is None:
        return Answer(None, None, "no answer was submitted")
    adapter: TypeAdapter[Any] = TypeAdapter(model)
    try:
        if isinstance(submitted, str):
            return Answer(_from_text(adapter, submitted), text)
        return Answer(adapter.validate_python(submitted), text)
    except ValidationError as error:
        return Answer(None, text, str(error))


def _from_text(adapter: Any, text: str) -> Any:
    """Parse JSON, also inside a Markdown fence; a plain str model takes the text."""
    from pydantic import ValidationError

    body = text.strip()
    if body.startswith("```"):
        body = body.split("\n", 1)[-1].rsplit("```", 1)[0]
    try:
        return adapter.validate_json(body)
    except ValidationError:
        try:
            return adapter.validate_python(text)
        except ValidationError:
            pass
        raise
