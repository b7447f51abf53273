"""`hudtrace view`: every trace in the browser, while it comes in and afterwards."""

from __future__ import annotations

import argparse
import secrets
import sys
import threading
import webbrowser
from pathlib import Path
from typing import Any

from hudtrace import settings
from hudtrace.cli.arguments import port
from hudtrace.cli.text import visible
from hudtrace.errors import ConfigurationError
from hudtrace.viewer import require, serve
from hudtrace.viewer.options import OTLP_PORT, PORT, ViewOptions

_FINE = "listening"  # the state of a receiver that there is nothing to say of


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Serve the viewer: the traces of a store, live, for the browser; the OTLP "
        "receiver, for spans from anywhere; and the query API of Jaeger, for Grafana "
        "and Jaeger's own UI. With HUDTRACE_TOKEN set, or --token, callers need it."
    )
    parser.add_argument("--store", help="path of the store; it need not be there yet")
    parser.add_argument("--host", default="127.0.0.1", help="address (127.0.0.1)")
    parser.add_argument(
        "--port", type=port, default=PORT, help=f"port ({PORT}; 0: any)"
    )
    parser.add_argument(
        "--otlp-http",
        type=_port_or_off,
        default=OTLP_PORT,
        metavar="PORT|off",
        help=f"also receive OTLP over HTTP there ({OTLP_PORT}, if it is free)",
    )
    parser.add_argument(
        "--otlp-grpc",
        type=_port_or_off,
        default=None,
        metavar="PORT|off",
        help="also receive OTLP over gRPC there, for example 4317 (off)",
    )
    parser.add_argument(
        "--read-only", action="store_true", help="receive no spans, only read the store"
    )
    parser.add_argument(
        "--open",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="open the browser",
    )
    parser.add_argument(
        "--token",
        metavar="auto|T",
        help="ask callers for this token; auto: for a new one",
    )
    parser.add_argument(
        "--trusted-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name by which the viewer may be called",
    )
    parser.add_argument(
        "--unsafe-no-auth",
        action="store_true",
        help="serve other machines without a token",
    )
    parser.add_argument(
        "--allow-frame",
        action="store_true",
        help="let other pages show the viewer in a frame",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted; return the exit code."""
    require()
    chosen = ViewOptions(
        store=_store(options.store),
        host=options.host,
        port=options.port,
        otlp_http=options.otlp_http,
        otlp_grpc=options.otlp_grpc,
        read_only=options.read_only,
        token=_token(options.token),
        trusted_hosts=tuple(options.trusted_host),
        unsafe_no_auth=options.unsafe_no_auth,
        allow_frame=options.allow_frame,
    )
    serve(chosen, lambda viewer: _tell(viewer, and_open=options.open))
    return 0


def _tell(viewer: Any, *, and_open: bool) -> None:
    """Print the address on stdout, and all else that is worth knowing on stderr."""
    options = viewer.options
    page = f"{viewer.url}/"
    if options.token is not None:
        page += f"?token={options.token}"
    print(page, flush=True)
    there = "" if options.store.exists() else " (not there yet)"
    said = [f"store  {options.store}{there}"]
    for receiver in viewer.receivers:
        where, state = receiver["url"] or "not beside", receiver["state"]
        said.append(f"OTLP   {where}" + (f": {state}" if state != _FINE else ""))
    if not options.is_local and options.token is None:
        said.append(f"anyone who reaches {options.host} can read all of it")
    print(visible("\n".join([*said, "Ctrl-C stops it"])), file=sys.stderr, flush=True)
    if and_open:
        threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()


def _store(given: str | None) -> Path:
    chosen = Path(given).expanduser().absolute() if given else settings.load().store
    if chosen is None:
        raise ConfigurationError(
            "the store is off (HUDTRACE_STORE=off), so there is nothing to show; give "
            "one with --store"
        )
    if chosen.is_dir():
        raise ConfigurationError(f"the store {chosen} is a directory, not a file")
    return chosen


def _token(given: str | None) -> str | None:
    if given == "auto":
        return secrets.token_urlsafe(24)
    return settings.load().token if given is None else given


def _port_or_off(text: str) -> int | None:
    return None if text == "off" else port(text)


# What argparse calls it where a text is neither.
_port_or_off.__name__ = "port"
