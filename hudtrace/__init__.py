"""hudtrace: evals of AI agents in which everything is an OpenTelemetry span.

Nothing happens at import: each name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hudtrace import errors as errors
    from hudtrace.carriers import attach as attach
    from hudtrace.carriers import propagate as propagate
    from hudtrace.chat import run_chat as run_chat
    from hudtrace.chat import run_scenario_chat as run_scenario_chat
    from hudtrace.chat import (
        run_scenario_chat_interactive as run_scenario_chat_interactive,
    )
    from hudtrace.context import EvalContext as EvalContext
    from hudtrace.context import current_eval as current_eval
    from hudtrace.environment import Environment as Environment
    from hudtrace.errors import EnvironmentFailure as EnvironmentFailure
    from hudtrace.errors import ToolError as ToolError
    from hudtrace.evaluation import eval as eval
    from hudtrace.evaluation import score as score
    from hudtrace.evaluation import traced_eval as traced_eval
    from hudtrace.grading import Answer as Answer
    from hudtrace.grading import EvaluationResult as EvaluationResult
    from hudtrace.grading import Grade as Grade
    from hudtrace.grading import SubScore as SubScore
    from hudtrace.instrumentation import instrument as instrument
    from hudtrace.instrumentation import uninstrument as uninstrument
    from hudtrace.jobs import Job as Job
    from hudtrace.result import EvalResult as EvalResult
    from hudtrace.result import Limits as Limits
    from hudtrace.runtime import configure as configure
    from hudtrace.runtime import flush as flush
    from hudtrace.scenario import Scenario as Scenario
    from hudtrace.sync_eval import SyncEvalContext as SyncEvalContext
    from hudtrace.task import Task as Task
    from hudtrace.tools import Image as Image

_HOMES = {
    "Answer": "grading",
    "Environment": "environment",
    "EnvironmentFailure": "errors",
    "EvalContext": "context",
    "EvalResult": "result",
    "EvaluationResult": "grading",
    "Grade": "grading",
    "Image": "tools",
    "Job": "jobs",
    "Limits": "result",
    "Scenario": "scenario",
    "SubScore": "grading",
    "SyncEvalContext": "sync_eval",
    "Task": "task",
    "ToolError": "errors",
    "attach": "carriers",
    "configure": "runtime",
    "current_eval": "context",
    "eval": "evaluation",
    "flush": "runtime",
    "instrument": "instrumentation",
    "propagate": "carriers",
    "run_chat": "chat",
    "run_scenario_chat": "chat",
    "run_scenario_chat_interactive": "chat",
    "score": "evaluation",
    "traced_eval": "evaluation",
    "uninstrument": "instrumentation",
}

# `eval` is left out, so that a star import does not shadow the builtin.
__all__ = [
    "Answer",
    "Environment",
    "EnvironmentFailure",
    "EvalContext",
    "EvalResult",
    "EvaluationResult",
    "Grade",
    "Image",
    "Job",
    "Limits",
    "Scenario",
    "SubScore",
    "SyncEvalContext",
    "Task",
    "ToolError",
    "attach",
    "configure",
    "current_eval",
    "errors",
    "flush",
    "instrument",
    "propagate",
    "run_chat",
    "run_scenario_chat",
    "run_scenario_chat_interactive",
    "score",
    "traced_eval",
    "uninstrument",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(f"hudtrace.{_HOMES[name]}"), name)
    elif name in ("errors", "testing"):
        value = import_module(f"hudtrace.{name}")
    elif name == "__version__":
        from importlib.metadata import version

        value = version("hudtrace")
    else:
        raise AttributeError(f"module 'hudtrace' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, "eval", "testing", "__version__"})
