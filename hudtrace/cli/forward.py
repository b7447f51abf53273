"""`hudtrace forward`: send what waits in the store, or older traces, to a backend."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from hudtrace import settings
from hudtrace.backends import Backend
from hudtrace.cli import text
from hudtrace.cli.reading import chosen_store, opened
from hudtrace.delivery.exports import sends_content
from hudtrace.delivery.forwarder import Forwarder, destination_of
from hudtrace.errors import ConfigurationError
from hudtrace.progress import Progress
from hudtrace.runtime import chosen_backends
from hudtrace.store import outbox
from hudtrace.store.store import Store, connect

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])$")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Send the spans that an outage or a crash has left in the store, to "
        "the configured exporters or those of --to. With --since, spans are sent that "
        "were never meant for the backend too."
    )
    parser.add_argument(
        "--to",
        action="append",
        default=[],
        metavar="NAME",
        help="an exporter, e.g. otlp",
    )
    parser.add_argument("--since", help="also spans since then: 2h, 7d, 2026-11-24")
    parser.add_argument(
        "--again", action="store_true", help="also what the backend has refused"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=30.0,
        help="give up after so many seconds without progress (30)",
    )
    parser.add_argument(
        "--list", action="store_true", help="only list what waits, and where for"
    )
    parser.add_argument("--store", help="path of the store")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.set_defaults(run=_chosen)


def _chosen(options: argparse.Namespace) -> int:
    if options.list:
        return show_list(options.store, as_json=options.json)
    return run(
        options.store,
        to=options.to,
        since=options.since,
        again=options.again,
        timeout=options.timeout,
    )


def run(
    store: str | None,
    *,
    to: Sequence[str],
    since: str | None,
    again: bool,
    timeout: float,
) -> int:
    """Send; return 0 if nothing is left, else 1."""
    path = chosen_store(store)
    Store(path).close()  # brought to this version
    # What is sent is on the command line, or configured as for any run.
    backends = chosen_backends(settings.load(exporters=tuple(to) or None))
    if not backends:
        raise ConfigurationError(
            "no exporter is configured, so there is nowhere to send to; name one "
            "with --to, HUDTRACE_EXPORTERS or OTEL_EXPORTER_OTLP_ENDPOINT"
        )
    if since is not None and not to:
        raise ConfigurationError("--since needs --to: say which backend gets them")
    with contextlib.closing(connect(path)) as db:
        for backend in backends:
            if since is not None:
                start = int(_moment(since) * 1e9)
                outbox.queue_since(db, destination_of(backend), start, _WRITER)
            if again:
                outbox.queue_again(db, backend.key)
        return max(_send(path, db, backend, timeout) for backend in backends)


_WRITER = f"forward-{os.getpid()}"


def _send(path: Path, db: outbox.Connection, backend: Backend, timeout: float) -> int:
    """Send everything that waits for one backend; 1 if something is left."""
    before = outbox.count_waiting(db, backend.key)
    aside = outbox.count_set_aside(db, backend.key)
    forwarder = Forwarder(
        backend,
        lambda destination: outbox.Outbox(
            functools.partial(connect, path), destination
        ),
        _WRITER,
        content=sends_content(backend, settings.load().content),
    )
    left, moved = before, time.monotonic()
    bar = Progress(before, f"spans to {backend.label}") if before else None
    while left and time.monotonic() - moved < timeout:
        forwarder.flush(lambda: outbox.count_waiting(db, backend.key), 0.2)
        now = outbox.count_waiting(db, backend.key)
        if bar is not None and now < left:
            bar.advance(left - now)
        if now < left:
            left, moved = now, time.monotonic()
    if bar is not None:
        bar.close()
    forwarder.close_soon(time.monotonic() + 1.0)
    forwarder.join(time.monotonic() + 2.0)
    refused = outbox.count_set_aside(db, backend.key) - aside
    line = f"{backend.label}: {before - left - refused} spans sent"
    if refused:
        line += f", {refused} set aside ('{text.command('forward --list')}' says why)"
    if left:
        line += f", {left} waiting ({forwarder.failing or 'another process sends'})"
    print(text.visible(line))
    return 1 if left or refused else 0


def show_list(store: str | None, *, as_json: bool) -> int:
    """Print what waits, by destination; return the exit code."""
    with opened(store) as db:
        found = outbox.backlog(db)
    if as_json:
        for each in found:
            plain = dataclasses.asdict(each)
            name, label = each.destination.name, each.destination.label
            print(json.dumps({**plain, "destination": {"name": name, "label": label}}))
        return 0
    if not found:
        print("nothing has been queued for an exporter yet", file=sys.stderr)
        return 0
    rows = [
        (w.destination.label, str(w.waiting), str(w.set_aside), "; ".join(w.reasons))
        for w in found
    ]
    print(text.table(("destination", "waiting", "set aside", "why"), rows, "lrrl"))
    return 0


def _moment(wanted: str) -> float:
    """Read `2h`, `30m`, `7d` ago, or an ISO date or time; unix seconds."""
    ago = _AGO.match(wanted.strip())
    if ago is not None:
        return time.time() - float(ago.group(1)) * _SECONDS[ago.group(2)]
    try:
        return datetime.fromisoformat(wanted).timestamp()
    except ValueError:
        raise ConfigurationError(
            f"--since {wanted!r} is no time; write 2h, 30m or 7d for so long ago, or "
            f"a date such as 2026-11-24 or 2026-11-24T18:30"
        ) from None
