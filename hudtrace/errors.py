"""Every exception that hudtrace raises on purpose.

    HudtraceError
    ├── ConfigurationError (ValueError)
    │   ├── UnknownBackend (LookupError)
    │   └── MissingExtra (ImportError)
    ├── TaskError
    │   ├── UnknownEnvironment (LookupError)
    │   ├── UnknownScenario (LookupError)
    │   └── InvalidArguments (ValueError)
    ├── ScenarioProtocolError
    ├── ToolError
    │   ├── UnknownTool (LookupError)
    │   └── UnrecognizedToolCall (ValueError)
    ├── EnvironmentFailure
    ├── IncompleteAnswer
    ├── NoCurrentEval (LookupError)
    ├── EvalFinished
    ├── EvalNotFinished
    ├── EvalAbandoned
    └── SessionError
        ├── UnknownSession (LookupError)
        ├── SessionFinished
        └── TooManySessions

Catch `HudtraceError` for all of them. What user code raises (a scenario, a
tool, an agent) is recorded and passed on as it is, never wrapped in these.
"""

from __future__ import annotations

import contextlib


class HudtraceError(Exception):
    """Base of every error that hudtrace raises on purpose."""


class ConfigurationError(HudtraceError, ValueError):
    """A setting has a value that cannot be used."""


class UnknownBackend(ConfigurationError, LookupError):
    """No installed plug-in has the exporter name that was asked for."""


class MissingExtra(ConfigurationError, ImportError):
    """An optional library is needed; the message has the pip line."""


class TaskError(HudtraceError):
    """A task cannot be made or run as it was written."""


class UnknownEnvironment(TaskError, LookupError):
    """An environment named by reference is not defined where we looked."""


class UnknownScenario(TaskError, LookupError):
    """The environment has no scenario of that name."""


class InvalidArguments(TaskError, ValueError):
    """Scenario arguments are missing, unknown or of the wrong type."""


class ScenarioProtocolError(HudtraceError):
    """A scenario did not yield a prompt and then one valid reward."""


class ToolError(HudtraceError):
    """A tool failed; raise it in a tool to show its message to the model."""


class UnknownTool(ToolError, LookupError):
    """No tool of that name can be called in this eval."""


class UnrecognizedToolCall(ToolError, ValueError):
    """A value given to `call_tool` is in no known tool-call format."""


class IncompleteAnswer(HudtraceError):
    """A model's server gave no answer, or one without its end."""


class EnvironmentFailure(HudtraceError):
    """The environment itself broke; raise it anywhere to end the episode.

    The outcome is `environment_error`, which counts as infrastructure and
    never as a reward of zero.
    """


class NoCurrentEval(HudtraceError, LookupError):
    """The calling code does not run inside an eval."""


class EvalFinished(HudtraceError):
    """The eval has ended and takes no more tool calls or answers."""


class EvalNotFinished(HudtraceError):
    """The eval is still running and has no result yet."""


class EvalAbandoned(HudtraceError):
    """Nobody goes on with the eval; raise it in the body to close it as such.

    The outcome is `abandoned`. An answer that was handed in before is graded.
    """


class SessionError(HudtraceError):
    """A session of a scenario server cannot do what was asked."""


class UnknownSession(SessionError, LookupError):
    """The server has no session of that id."""


class SessionFinished(SessionError):
    """The session has ended; `reason` is one word that says how."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class TooManySessions(SessionError):
    """The server has as many open sessions as it may have."""


def blame_provider(error: BaseException) -> None:
    """Note on *error* that it came out of a model call, so that its eval can say so."""
    with contextlib.suppress(Exception):  # some exceptions take no attributes
        error._hudtrace_provider = True  # type: ignore[attr-defined]


def is_providers(error: BaseException) -> bool:
    """Say whether *error* came out of a model call."""
    return getattr(error, "_hudtrace_provider", False) is True


__all__ = [
    "ConfigurationError",
    "EnvironmentFailure",
    "EvalAbandoned",
    "EvalFinished",
    "EvalNotFinished",
    "HudtraceError",
    "IncompleteAnswer",
    "InvalidArguments",
    "MissingExtra",
    "NoCurrentEval",
    "ScenarioProtocolError",
    "SessionError",
    "SessionFinished",
    "TaskError",
    "TooManySessions",
    "ToolError",
    "UnknownBackend",
    "UnknownEnvironment",
    "UnknownScenario",
    "UnknownSession",
    "UnknownTool",
    "UnrecognizedToolCall",
]
