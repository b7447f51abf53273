"""AutoGen in its generations, each with the tools and tool calls that it has.

- `functions`: the package `autogen` (pyautogen 0.2, ag2 before 1.0). Functions with
  annotations, for `autogen.register_function`.
- `agentchat`: `autogen_agentchat` (autogen 0.4 and later, pyautogen 0.10).
- `ag2`: the package `ag2` (1.0 and later).
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Literal

from hudtrace.dialects.fields import read_arguments
from hudtrace.errors import ConfigurationError, MissingExtra
from hudtrace.frameworks.agent_tool import required
from hudtrace.frameworks.results import told
from hudtrace.tools import ToolCall, ToolResult

if TYPE_CHECKING:
    from hudtrace.frameworks.agent_tool import AgentTool

name = "autogen"
title = "AutoGen FunctionCall"

Kind = Literal["functions", "agentchat", "ag2"]
_PACKAGES: dict[Kind, str] = {
    "functions": "autogen",
    "agentchat": "autogen_agentchat",
    "ag2": "ag2",
}
_DISTRIBUTIONS: dict[Kind, str] = {
    "functions": "pyautogen<0.3",
    "agentchat": "hudtrace[autogen]",
    "ag2": "ag2>=1",
}


def export(
    tools: Iterable[AgentTool], kind: Kind | None = None, *, sync: bool = False
) -> list[Any]:
    """Return *tools* for the AutoGen that is imported, else the one installed.

    *kind* chooses where there are several. Functions are coroutine functions, for
    `a_initiate_chat`; with *sync* they are plain ones, for `initiate_chat`. Raises
    `MissingExtra` where there is no AutoGen, `ConfigurationError` where it cannot
    be told which one is meant.
    """
    kind = kind or _kind()
    required(_PACKAGES[kind], _DISTRIBUTIONS[kind])
    if kind == "functions":
        functions = [function_of(tool, sync=sync) for tool in tools]
        kept = _kept_class()
        return functions if kept is None else [kept(each) for each in functions]
    module = "autogen_agentchat" if kind == "agentchat" else "ag2"
    made: list[Any] = import_module(f"hudtrace.frameworks.{module}").export(tools)
    return made


def function_of(tool: AgentTool, *, sync: bool = False) -> Callable[..., Any]:
    """Make a function with the tool's name, docstring and annotated parameters."""
    from hudtrace.frameworks.arguments import type_saying
    from hudtrace.frameworks.schemas import inlined

    async def call(**arguments: Any) -> str:
        return told(await tool.run(arguments))

    def call_now(**arguments: Any) -> str:
        return told(tool.run_sync(arguments))

    function: Callable[..., Any] = call_now if sync else call
    schema = inlined(tool.schema)
    required = schema.get("required", ())
    parameters = [
        inspect.Parameter(
            key,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if key in required else part.get("default"),
            annotation=Annotated[type_saying(key, part), part.get("description", key)],
        )
        for key, part in schema.get("properties", {}).items()
    ]
    signature = inspect.Signature(parameters, return_annotation=str)
    annotations = {each.name: each.annotation for each in parameters}
    function.__name__ = function.__qualname__ = tool.name
    function.__doc__ = tool.description
    function.__signature__ = signature  # type: ignore[attr-defined]
    function.__annotations__ = {**annotations, "return": str}
    return function


@functools.cache
def _kept_class() -> Any:
    """Return a class of ag2 tools that get the arguments as they were sent.

    ag2 would add the defaults of those that were not. None for pyautogen, which
    does not and has no such class.
    """
    if find_spec("autogen.tools") is None:
        return None
    base = import_module("autogen.tools").Tool

    class Tool(base):  # type: ignore[misc,valid-type]
        """A function that ag2 calls without its dependency injection."""

        def __init__(self, function: Callable[..., Any]) -> None:
            super().__init__(func_or_tool=function)
            self._plain = function
            self.__name__ = function.__name__
            self.__doc__ = function.__doc__

        @property
        def func(self) -> Callable[..., Any]:
            """The function itself."""
            return self._plain

        def __call__(self, *args: Any, **arguments: Any) -> Any:
            """Call the function."""
            return self._plain(*args, **arguments)

    return Tool


def keep_context() -> None:
    """Have the running loop's executor run functions in their callers' context.

    pyautogen and ag2 before 1.0 ask the model in that executor, without the
    context of the eval. One open eval is found all the same; where several run at
    once, call this first, in the loop that they run in.
    """
    asyncio.get_running_loop().set_default_executor(ContextExecutor())


class ContextExecutor(ThreadPoolExecutor):
    """A thread pool in which each function has a copy of its caller's context."""

    def submit(
        self, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Run *function* in a thread of the pool."""
        context = contextvars.copy_context()
        return super().submit(context.run, function, *args, **kwargs)


def parse(native: object) -> ToolCall | None:
    """Read an `autogen_core.FunctionCall`; None if *native* is something else."""
    kind = type(native)
    if kind.__name__ != "FunctionCall" or not _is_of(kind, "autogen_core"):
        return None
    call: Any = native
    arguments, problem = read_arguments(call.arguments)
    return ToolCall(call.name, arguments, call.id, problem, native)


def reply(call: ToolCall, result: ToolResult) -> Any:
    """Return *result* as the `FunctionExecutionResult` that answers *call*."""
    from autogen_core.models import FunctionExecutionResult

    return FunctionExecutionResult(
        content=result.text,
        name=call.name,
        call_id=call.id or "",
        is_error=result.is_error,
    )


def _kind() -> Kind:
    """Find the generation that is meant: the one imported, else the one installed."""
    imported = [kind for kind, package in _PACKAGES.items() if package in sys.modules]
    if len(imported) == 1:
        return imported[0]
    found = imported or [kind for kind, of in _PACKAGES.items() if find_spec(of)]
    if not found:
        raise MissingExtra(
            "as_autogen_tools() needs AutoGen: pip install 'hudtrace[autogen]', or "
            "'pyautogen<0.3' or 'ag2' if that is the one you use"
        )
    if len(found) > 1:
        there = "imported" if imported else "installed"
        names = ", ".join(f"{_PACKAGES[kind]} (kind={kind!r})" for kind in found)
        raise ConfigurationError(
            f"several AutoGens are {there}: {names}; say which one the tools are for, "
            f"as in as_autogen_tools(kind={found[0]!r})"
        )
    return found[0]


def _is_of(kind: type, package: str) -> bool:
    return kind.__module__.split(".")[0] == package
