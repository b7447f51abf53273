"""How the viewer is served: what it may be told, and who may call it by which name."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hudtrace.errors import ConfigurationError

PORT = 7680
OTLP_PORT = 4318
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class ViewOptions:
    """All options of one viewer.

    `otlp_http` and `otlp_grpc` are ports on which spans are received beside `port`,
    None for none. A `read_only` viewer receives none: it writes nothing but the index.
    With a `token`, callers must have it. `trusted_hosts` are further names by which it
    may be called. `allow_frame` lets other pages show it in a frame.

    Raises `ConfigurationError` for an address that others reach without a token.
    """

    store: Path
    host: str = "127.0.0.1"
    port: int = PORT
    otlp_http: int | None = OTLP_PORT
    otlp_grpc: int | None = None
    read_only: bool = False
    token: str | None = field(default=None, repr=False)
    trusted_hosts: Sequence[str] = ()
    unsafe_no_auth: bool = False
    allow_frame: bool = False

    def __post_init__(self) -> None:
        """Refuse what would let strangers read every prompt."""
        if self.token is not None and not self.token:
            raise ConfigurationError(
                "the token is empty, which would let nobody in; leave it out, or say "
                "--token auto"
            )
        if self.is_local or self.token is not None or self.unsafe_no_auth:
            return
        raise ConfigurationError(
            f"--host {self.host} can be reached from other machines, and anyone there "
            f"could read every prompt and answer: say --token auto, or serve on "
            f"127.0.0.1, or say --unsafe-no-auth"
        )

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the viewer."""
        return is_loopback(self.host)

    @property
    def hosts(self) -> frozenset[str] | None:
        """The names by which the viewer may be called; None for any.

        A page that has tricked a browser into calling it under the page's own name
        has no token, and no cookie of that name: with one, any name will do.
        """
        if self.token is not None:
            return None
        names = [*LOOPBACK_NAMES, _bracketed(self.host), *self.trusted_hosts]
        if not self.is_local:
            names.append(socket.gethostname())
        return frozenset(name.lower() for name in names)


def is_loopback(host: str) -> bool:
    """Say whether a server bound to *host* is reached from this machine only."""
    if host == "localhost":
        return True
    address = address_of(host)
    return address is not None and address.is_loopback


def address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that *host* spells, None if it is a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
