"""Errors as clients see them: a status, and a body in OpenAI's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hudtrace.errors import (
    EnvironmentFailure,
    HudtraceError,
    InvalidArguments,
    SessionFinished,
    TooManySessions,
    UnknownScenario,
    UnknownSession,
)
from hudtrace.record import outcome_of
from hudtrace.result import Outcome
from hudtrace.tracing.credentials import mask
from hudtrace.tracing.spans import message_of, type_name

Json = dict[str, Any]
_LONGEST = 2000  # characters of a message

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    500: "server_error",
    502: "provider_error",
    503: "server_error",
    504: "timeout_error",
}


class Refusal(Exception):
    """A request that is answered with an error.

    `hud` says which session it is about, where one was there; `again` whether
    clients shall try again by themselves.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        hud: Mapping[str, Any] | None = None,
        again: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.hud = hud
        self.again = again

    @property
    def body(self) -> Json:
        """The JSON of the answer: `{"error": {message, type, code, param}}`."""
        error = {
            "message": self.message,
            "type": _TYPES.get(self.status, "invalid_request_error"),
            "code": self.code,
            "param": self.param,
        }
        return {"error": error, **({"hud": dict(self.hud)} if self.hud else {})}

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer; OpenAI's clients look at the first."""
        headers = {"x-should-retry": "true" if self.again else "false"}
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        if self.status in (429, 503):
            headers["retry-after"] = "1"
        return headers


class TurnTimeout(Exception):
    """A message took longer than the server allows."""


def refusal_of(
    error: BaseException,
    hud: Mapping[str, Any] | None = None,
    *,
    outcome: Outcome | None = None,
) -> Refusal:
    """Return what a client is told of *error*, which came up in a session.

    *outcome* is that of the session, where the error has kept it from its prompt. What
    code of the scenario or of the environment says is not told: it could give the
    answer away, or where files are. The trace has it.
    """
    if isinstance(error, Refusal):
        return error
    said = shown(error)
    if isinstance(error, UnknownScenario):
        return Refusal(404, "scenario_not_found", said, param="scenario", hud=hud)
    if isinstance(error, InvalidArguments):
        return Refusal(
            400, "invalid_scenario_args", said, param="scenario_args", hud=hud
        )
    if isinstance(error, UnknownSession):
        return Refusal(404, "session_not_found", said, hud=hud)
    if isinstance(error, SessionFinished):
        if error.reason == "server_shutdown":
            return Refusal(503, "server_shutdown", said, hud=hud, again=True)
        return Refusal(404, f"session_{error.reason}", said, hud=hud)
    if isinstance(error, TooManySessions):
        return Refusal(429, "too_many_sessions", said, hud=hud, again=True)
    if isinstance(error, TurnTimeout):
        return Refusal(504, "turn_timeout", said, hud=hud)
    if isinstance(error, EnvironmentFailure):
        return Refusal(500, "environment_error", _untold(error, hud), hud=hud)
    code = outcome or outcome_of(error)
    named = f"{type_name(error)}: {said}"
    if code == "provider_error":
        return Refusal(502, code, named, hud=hud)
    ours = outcome is None and isinstance(error, HudtraceError)
    return Refusal(500, code, named if ours else _untold(error, hud), hud=hud)


def shown(error: BaseException) -> str:
    """Return the message of *error* without credentials, and not too long."""
    return mask(message_of(error), "[redacted]")[:_LONGEST]


def _untold(error: BaseException, hud: Mapping[str, Any] | None) -> str:
    said = f"the scenario could not be run ({type_name(error)})"
    where = (hud or {}).get("trace_url")
    return f"{said}; see its trace: {where}" if where else said
