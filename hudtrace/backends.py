"""Where traces can be sent and looked at: what a backend is, and how it is found.

A plug-in is a subclass of `Backend`, named by an entry point of the group
`hudtrace.exporters`; `configure(exporters=["name"])` then knows it.
"""

from __future__ import annotations

import hashlib
import ipaddress
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

from hudtrace.errors import ConfigurationError, UnknownBackend
from hudtrace.settings import Content, OtlpTarget, otlp_target
from hudtrace.terminal import one_line as one_line

GROUP = "hudtrace.exporters"


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is sent at once: an OTLP `ExportTraceServiceRequest`, and its spans."""

    request: bytes
    spans: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a parcel that arrived: how many of its spans were refused."""

    rejected: int = 0
    reason: str = ""


class Undelivered(Exception):
    """A parcel has not arrived; the subclass says what to do about it."""


class TryLater(Undelivered):
    """The backend is away or busy; `after` is the seconds that it asked for."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Misconfigured(TryLater):
    """It does not let us in: wrong credentials or address. Nothing is given up."""


class TooLarge(Undelivered):
    """The parcel has more bytes than the backend takes; a part of it may do."""


class Refused(Undelivered):
    """The backend does not want this parcel, nor will it later; perhaps a part."""


class Sender(Protocol):
    """An open line to a backend, used by one thread."""

    def send(self, parcel: Parcel, timeout: float | None = None) -> Receipt:
        """Deliver *parcel* within *timeout* seconds, or raise an `Undelivered`."""

    def close(self) -> None:
        """Close the line."""


class Leaf(Protocol):
    """What `Backend.adapt` may look at: one span, as it is in the store."""

    @property
    def name(self) -> str:
        """The span's name."""

    @property
    def operation(self) -> str | None:
        """`gen_ai.operation.name`: evaluate, chat, execute_tool and so on."""

    @property
    def is_root(self) -> bool:
        """Whether it has no parent."""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Its attributes, decoded when they are asked for; no messages."""


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What is sent of a span instead of what is stored."""

    name: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Backend(ABC):
    """One place that spans are sent to.

    `name` is that of the entry point. `endpoint` is shown to people and must
    hold no secret. A `transient` one ends with the process, as a terminal does: what
    waits for it then is forgotten. `content` is what may go there: None for full content on this
    machine and metadata elsewhere.
    """

    name: ClassVar[str]
    transient: ClassVar[bool] = False
    endpoint: str = ""
    content: Content | None = None

    @abstractmethod
    def open(self) -> Sender:
        """Open a line; called in the thread that sends, again after a failure."""

    @property
    def identity(self) -> str:
        """What tells this destination from others; is hashed, so may hold secrets."""
        return self.endpoint

    @property
    def local(self) -> bool:
        """Whether what is sent stays on this machine."""
        return is_loopback(self.endpoint)

    @property
    def label(self) -> str:
        """The backend for people: its name, and where it is."""
        return f"{self.name} at {self.endpoint}" if self.endpoint else self.name

    @property
    def key(self) -> bytes:
        """16 bytes that stand for the destination in the store."""
        text = f"{self.name}\0{self.identity}"
        return hashlib.blake2b(text.encode(), digest_size=16).digest()

    def trace_url(self) -> str | None:
        """Return where a trace can be opened, with `{trace_id}` and `{span_id}`."""
        return None

    def adapt(self, span: Leaf) -> Adaptation | None:
        """Return another name or more attributes for a span, None for neither."""
        return None


def open_otlp(target: OtlpTarget, headers: Mapping[str, str] | None = None) -> Sender:
    """Open a line with OpenTelemetry's exporter classes, and so its variables."""
    from hudtrace.delivery.lines import GrpcLine, HttpLine

    line = GrpcLine if target.protocol == "grpc" else HttpLine
    return line(target.explicit, headers)


def is_loopback(endpoint: str) -> bool:
    """Say whether an endpoint is on this machine."""
    address = endpoint if "://" in endpoint else f"//{endpoint}"
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def find_backends(chosen: Iterable[str | Backend]) -> list[Backend]:
    """Return the backends that are named; those that are made already stay.

    Raises `UnknownBackend` for a name that no plug-in has, `ConfigurationError`
    for one that fails to load or is chosen twice for one destination.
    """
    found = [each if isinstance(each, Backend) else _load(each) for each in chosen]
    keys = [backend.key for backend in found]
    for position, backend in enumerate(found):
        if backend.key in keys[:position]:
            raise ConfigurationError(
                f"the exporter {backend.label} is configured twice; name it once"
            )
    return found


def backend_names() -> list[str]:
    """Return the names of all backends that are installed."""
    from importlib.metadata import entry_points

    return sorted({point.name for point in entry_points(group=GROUP)})


def _load(name: Any) -> Backend:
    if not isinstance(name, str):
        raise ConfigurationError(
            f"an exporter is a name or a hudtrace Backend, not {name!r:.80}"
        )
    from importlib.metadata import entry_points

    points = list(entry_points(group=GROUP, name=name))
    if not points:
        raise UnknownBackend(
            f"no exporter {name!r}; there are: {', '.join(backend_names()) or 'none'} "
            f"(a plug-in adds its own by an entry point of the group {GROUP!r})"
        )
    try:
        made = points[0].load()()
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"the exporter {name!r} ({points[0].value}) cannot be set up: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(made, Backend):
        raise ConfigurationError(
            f"the exporter {name!r} ({points[0].value}) is {made!r:.80}; a plug-in "
            f"names a subclass of hudtrace.backends.Backend"
        )
    return made


__all__ = [
    "Adaptation",
    "Backend",
    "Content",
    "Leaf",
    "Misconfigured",
    "OtlpTarget",
    "Parcel",
    "Receipt",
    "Refused",
    "Sender",
    "TooLarge",
    "TryLater",
    "Undelivered",
    "backend_names",
    "find_backends",
    "is_loopback",
    "open_otlp",
    "otlp_target",
]
