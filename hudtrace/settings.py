"""Where every setting comes from; the only reader of the environment.

Order: arguments of `configure()`, then environment variables, then
`[tool.hudtrace]` of the nearest pyproject.toml, then defaults.
"""

from __future__ import annotations

import functools
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from hudtrace.errors import ConfigurationError

Content = Literal["full", "none"]
Redact = Callable[[str], str]

STORE_FILE = "traces.db"
_SECRET_NAMES = ("_KEY", "_TOKEN", "_SECRET")
_SHORTEST_SECRET = 8
_VARIABLES = {
    "store": "HUDTRACE_STORE",
    "exporters": "HUDTRACE_EXPORTERS",
    "content": "HUDTRACE_CONTENT",
    "trace_url": "HUDTRACE_TRACE_URL",
    "hub_url": "HUDTRACE_HUB_URL",
    "hub_token": "HUDTRACE_HUB_TOKEN",
    "token": "HUDTRACE_TOKEN",
}
_CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_CAPTURE_POLICY: dict[str, Content] = {
    "true": "full",
    "span_only": "full",
    "span_and_event": "full",
    "false": "none",
    "no_content": "none",
    "event_only": "none",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of this process.

    `store` is the path of the local store, None for a store in memory.
    `exporters` are names of backends, or backends. `exit_timeout` bounds, in
    seconds, how long the process waits at its end for exporters.
    `content` is None unless somebody chose: full in the local store and for
    exporters on loopback, metadata alone elsewhere. `environments` maps names
    to `module:attr`. `sources` says where each value came from.
    """

    store: Path | None
    exporters: tuple[Any, ...] = ()
    content: Content | None = None
    trace_url: str | None = None
    hub_url: str | None = None
    hub_token: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    tool_threads: int = 64
    exit_timeout: float = 5.0
    redact: Redact | None = None
    instrument: bool | tuple[str, ...] = True
    environments: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict, repr=False)


def load(**arguments: Any) -> Settings:
    """Read the settings; *arguments* that are not None win over everything.

    Raises `ConfigurationError` for a value that cannot be used, naming the
    setting and where it came from.
    """
    known = {f.name for f in fields(Settings)} - {"environments", "sources"}
    if unknown := sorted(arguments.keys() - known):
        raise ConfigurationError(
            f"no setting {unknown[0]!r} (there are: {', '.join(sorted(known))})"
        )
    values, sources = _collect(arguments)
    store = values.pop("store", None)
    chosen = {
        name: _checked(name, value, sources[name]) for name, value in values.items()
    }
    return Settings(
        store=_store_path(store, sources.get("store")),
        environments=project_table().get("environments", {}),
        sources=sources,
        **chosen,
    )


def _collect(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}

    def take(name: str, value: Any, source: str) -> None:
        if value is not None and value != "":
            values[name], sources[name] = value, source

    for name, value in project_table().items():
        if name in {f.name for f in fields(Settings)} - {"environments", "sources"}:
            take(name, value, "pyproject.toml")
    capture = os.environ.get(_CAPTURE, "").strip().lower()
    take("content", _CAPTURE_POLICY.get(capture), _CAPTURE)
    for name, variable in _VARIABLES.items():
        take(name, os.environ.get(variable), variable)
    for name, value in arguments.items():
        take(name, value, "configure()")
    return values, sources


def _checked(name: str, value: Any, source: str) -> Any:
    if name == "exporters":
        names = value.split(",") if isinstance(value, str) else value
        parts = (part.strip() if isinstance(part, str) else part for part in names)
        return tuple(part for part in parts if part != "")
    if name in ("token", "hub_token"):
        return read_key(value, f"{name} in {source}")
    if name == "exit_timeout":
        return _seconds(value, source)
    if name == "content" and value not in ("full", "none"):
        raise ConfigurationError(
            f"content is {value!r} in {source}; it must be 'full' or 'none'"
        )
    if name == "tool_threads" and (not isinstance(value, int) or value < 1):
        raise ConfigurationError(
            f"tool_threads is {value!r} in {source}; it must be 1 or more"
        )
    if name == "instrument" and not isinstance(value, bool):
        return tuple(value)
    return value


def read_key(value: Any, named: str) -> str:
    """Return a key without the blanks around it, which a file or a shell leaves.

    Raises `ConfigurationError` for one that is empty then, or that no header can have;
    it begins with *named*, and never has the key.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{named} is a {type(value).__name__}, not a text")
    key = value.strip()
    if not key:
        raise ConfigurationError(
            f"{named} is empty; a key has characters other than blanks, and without a "
            f"key it is left out"
        )
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError(
            f"{named} has line breaks or characters that are not ASCII, which clients "
            f"cannot send; use letters, digits and punctuation"
        )
    return key


def _seconds(value: Any, source: str) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigurationError(
            f"exit_timeout is {value!r} in {source}; it must be seconds, 0 or more"
        )
    return seconds


def _store_path(value: Any, source: str | None) -> Path | None:
    if value == "off" or value is False:
        return None
    if value is not None and not isinstance(value, str | os.PathLike):
        raise ConfigurationError(
            f"store is {value!r:.80} in {source}; it must be the path of a file, or "
            f"'off'"
        )
    if value:
        return Path(value).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("hudtrace", appauthor=False)) / STORE_FILE


def project_table() -> dict[str, Any]:
    """Return `[tool.hudtrace]` of the nearest pyproject.toml, empty if none."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            try:
                project = tomllib.loads(file.read_text("utf-8"))
            except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"cannot read {file}: {error}") from error
            table = project.get("tool", {}).get("hudtrace", {})
            return cast(dict[str, Any], table)
    return {}


def export_is_off() -> bool:
    """Say whether the environment turns off export; recording goes on.

    By `OTEL_SDK_DISABLED`, or `OTEL_TRACES_EXPORTER=none`.
    """
    env = os.environ
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return True
    return env.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"


def otlp_endpoint() -> str | None:
    """Return the OTLP endpoint for traces that the environment asks for."""
    if export_is_off():
        return None
    env = os.environ
    return (
        env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        or env.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        or None
    )


def otlp_protocol() -> str:
    """Return `http/protobuf` or `grpc`, as the OpenTelemetry specification says."""
    env = os.environ
    return (
        env.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        or env.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or "http/protobuf"
    )


@dataclass(frozen=True, slots=True)
class OtlpTarget:
    """Where OTLP goes: `explicit` is the address if it is not from the environment.

    `shown` is the address without what may be secret in it; `headers` are those of
    the environment.
    """

    endpoint: str
    explicit: str | None
    protocol: str
    headers: str = field(repr=False)

    @property
    def shown(self) -> str:
        """The address for people: no user information, no query."""
        parts = urlsplit(self.endpoint)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def otlp_target(endpoint: str | None, protocol: str | None) -> OtlpTarget:
    """Settle an OTLP address: what is given, or the environment, or the default.

    Raises `ConfigurationError` for a protocol that OpenTelemetry does not have, and
    for what is no address.
    """
    env = os.environ
    spoken = protocol or otlp_protocol()
    if spoken not in ("http/protobuf", "grpc"):
        raise ConfigurationError(
            f"the OTLP protocol {spoken!r} is not supported; it is 'http/protobuf' or "
            f"'grpc' (OTEL_EXPORTER_OTLP_PROTOCOL, or protocol=)"
        )
    headers = env.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS") or env.get(
        "OTEL_EXPORTER_OTLP_HEADERS", ""
    )
    if endpoint is not None:
        address = endpoint if "://" in endpoint else f"http://{endpoint}"
        if spoken != "grpc" and urlsplit(address).path in ("", "/"):
            address = f"{address.rstrip('/')}/v1/traces"
        _check_address("endpoint=", address, endpoint, spoken)
        return OtlpTarget(address, address, spoken, headers)
    base = env.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if spoken == "grpc":
        found = base or "http://localhost:4317"
    else:
        found = f"{(base or 'http://localhost:4318').rstrip('/')}/v1/traces"
    own = env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    found = own or found
    name = f"OTEL_EXPORTER_OTLP_{'TRACES_' if own else ''}ENDPOINT"
    _check_address(name, found, own or base or found, spoken)
    return OtlpTarget(found, None, spoken, headers)


def _check_address(name: str, address: str, given: str, protocol: str) -> None:
    """Raise for an address that nothing can be sent to; gRPC has more kinds of them."""
    try:
        parts = urlsplit(address)
        if protocol == "grpc":
            usable = ":" in address and (not parts.netloc or parts.port != 0)
        else:
            has_host = bool(parts.hostname) and parts.port != 0
            usable = parts.scheme in ("http", "https") and has_host
    except ValueError:  # of the port
        usable = False
    if not usable:
        shown = given.rpartition("@")[2]
        raise ConfigurationError(
            f"the OTLP endpoint {shown!r} ({name}) is no address; it is one like "
            f"'http://localhost:{4317 if protocol == 'grpc' else 4318}'"
        )


def carrier_variables() -> dict[str, str]:
    """Return the trace context that a parent process has put into the environment."""
    names = ("traceparent", "tracestate", "hudtrace-stamps")
    found = {name: os.environ.get(name.upper().replace("-", "_")) for name in names}
    return {name: value for name, value in found.items() if value}


def service_name() -> str | None:
    """Return the service name that the user set, None if they set none."""
    named = os.environ.get("OTEL_SERVICE_NAME")
    if named:
        return named
    for pair in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        key, _, value = pair.partition("=")
        if key.strip() == "service.name" and value.strip():
            return value.strip()
    return None


def secret_values() -> frozenset[str]:
    """Return the values of environment variables that are named like secrets."""
    values = (os.environ.get(name, "") for name in os.environ if _is_secret(name))
    return frozenset(value for value in values if len(value) >= _SHORTEST_SECRET)


@functools.lru_cache(maxsize=4096)
def _is_secret(variable: str) -> bool:
    name = variable.upper()
    return name.endswith(_SECRET_NAMES) or "PASSWORD" in name


def provider_key(variable: str) -> str | None:
    """Return the API key in *variable*, None if it is unset or empty."""
    return os.environ.get(variable) or None
