"""How scenarios are served: what a server may be told, and what it holds to."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from hudtrace.chat.clients import ModelClient
from hudtrace.chat.conversation import MAX_STEPS, ModelSettings
from hudtrace.chat.scenario_chat import ApiName
from hudtrace.result import Limits
from hudtrace.settings import read_key

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class AgentOptions(TypedDict, total=False):
    """Further options of `env.serve_as_agent` and `env.agent_app`.

    `api` chooses where the client speaks several. `models` are further models that
    clients may ask for. `system_prompt`, `request`, `max_steps` and `limits` are
    those of `hud.run_scenario_chat_interactive`; what a client sends goes before
    them; `limits`, `agent`, `job` and `max_sessions` hold for MCP clients that are the
    agent themselves, too. `agent` and `job` are recorded on the episodes. `turn_timeout` is in
    seconds. `allowed_hosts` are names by which the server may be called, `["*"]`
    for any; without them, those of this machine.
    """

    api: ApiName
    models: Sequence[str]
    system_prompt: str | None
    request: Mapping[str, Any]
    max_steps: int
    limits: Limits | None
    agent: str | None
    job: str | None
    turn_timeout: float
    max_sessions: int
    max_body_bytes: int
    allowed_hosts: Sequence[str] | None


@dataclass(frozen=True)
class ServerOptions:
    """All options of one server; `AgentOptions` says what they mean.

    Raises TypeError or ValueError naming the one that cannot be used.
    """

    client: Any = field(default=None, repr=False)
    model: str | None = None
    api_key: str | None = field(default=None, repr=False)
    session_ttl: float = 1800.0
    api: ApiName = "auto"
    models: Sequence[str] = ()
    system_prompt: str | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    max_steps: int = MAX_STEPS
    limits: Limits | None = None
    agent: str | None = None
    job: str | None = None
    turn_timeout: float = 600.0
    max_sessions: int = 1000
    max_body_bytes: int = 4 * 1024 * 1024
    allowed_hosts: Sequence[str] | None = None
    dialect: Any = field(init=False, repr=False)  # of the API behind

    def __post_init__(self) -> None:
        """Check everything, so that a server that starts can be used."""
        if (self.client is None) != (self.model is None):
            raise TypeError(
                "client=... and model=... go together; without both, the environment is "
                "served to MCP clients whose own model is the agent"
            )
        dialect = None
        if self.model is not None:
            settings = ModelSettings(
                ModelClient(self.client, self.api),
                self.model,
                self.system_prompt,
                self.request,
                self.max_steps,
            )
            dialect = settings.client.dialect
        object.__setattr__(self, "dialect", dialect)
        if isinstance(self.models, str):
            raise TypeError(f"models={self.models!r}: it is a list of names")
        if isinstance(self.allowed_hosts, str):
            raise TypeError(f"allowed_hosts={self.allowed_hosts!r}: it is a list")
        if self.limits is not None and not isinstance(self.limits, Limits):
            raise TypeError(f"limits={self.limits!r:.80}: it is a hud.Limits")
        if self.api_key is not None:
            object.__setattr__(self, "api_key", read_key(self.api_key, "api_key"))
        for name in ("session_ttl", "turn_timeout", "max_sessions", "max_body_bytes"):
            value = getattr(self, name)
            if isinstance(value, bool) or not value > 0:
                raise ValueError(f"{name}={value!r}: it is a number above 0")

    @property
    def served_models(self) -> list[str]:
        """The models that clients may ask for, the usual one first."""
        own = [] if self.model is None else [self.model]
        return list(dict.fromkeys([*own, *self.models]))

    @property
    def hosts(self) -> frozenset[str] | None:
        """The names by which the server may be called; None for any.

        With a key any name will do: a page that has tricked a browser into calling
        it does not know the key.
        """
        names = self.allowed_hosts
        if names is None:
            names = ["*"] if self.api_key else LOOPBACK_NAMES
        if "*" in names:
            return None
        return frozenset(name.lower() for name in names)


def is_loopback(host: str) -> bool:
    """Say whether a server bound to *host* is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
