"""`hudtrace url` and `hudtrace open`: where a trace, or a job, is to be seen."""

from __future__ import annotations

import argparse
import json
import socket
import sqlite3
import sys
import webbrowser
from pathlib import Path
from urllib.parse import quote, urlsplit

from hudtrace import settings
from hudtrace.cli import text
from hudtrace.cli.reading import find, find_job, find_span, opened
from hudtrace.errors import ConfigurationError
from hudtrace.runtime import viewer_trace_url
from hudtrace.store import queries

_JAEGER = "http://127.0.0.1:16686/trace/{trace_id}?uiFind={span_id}"
_GRAFANA = "http://127.0.0.1:3000"
_HOUR_MS = 3_600_000


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the two commands take."""
    parser.add_argument(
        "trace",
        metavar="TRACE|JOB",
        help="trace id, or its first digits; 'last' for the newest; or a job's id",
    )
    parser.add_argument("--span", metavar="ID", help="a span of the trace")
    parser.add_argument("--store", help="path of the store")
    if parser.prog.endswith(" open"):
        parser.add_argument(
            "--in",
            dest="viewer",
            choices=("view", "jaeger", "grafana"),
            default="view",
            help="which page: hudtrace's own (view), or another's on this machine",
        )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the address, and open it if the command says so; return the exit code."""
    viewer = getattr(options, "viewer", "view")
    with opened(options.store) as db:
        url = _address(db, options.trace, options.span, viewer, options.store)
    print(text.one_line(url))
    if options.command == "url":
        return 0
    if not answers(url):
        start = {"view": "view", "jaeger": "up"}.get(viewer)
        told = f"; start it: {text.command(start)}" if start else ""
        print(f"nothing listens there{told}", file=sys.stderr)
        return 1
    if not webbrowser.open(url):
        print("there is no browser here: open it yourself", file=sys.stderr)
        return 1
    return 0


def where_to_look(trace_id: str) -> str:
    """Return where the trace can be opened, and how, if nothing answers there."""
    chosen = settings.load()
    template = chosen.trace_url or viewer_trace_url(chosen.store)
    url = template.replace("{trace_id}", trace_id).replace("{span_id}", "")
    if chosen.trace_url is None and not answers(url):
        return (
            f"trace  {url}\n       (nothing listens there yet: {text.command('view')})"
        )
    return f"trace  {url}"


def answers(url: str) -> bool:
    """Say whether something listens where *url* leads."""
    address = urlsplit(url)
    try:
        standard = 443 if address.scheme == "https" else 80
        host, port = address.hostname or "127.0.0.1", address.port or standard
        with socket.create_connection((host, port), timeout=0.5):
            return True
    except (OSError, ValueError):
        return False


def _address(
    db: sqlite3.Connection,
    wanted: str,
    span: str | None,
    viewer: str,
    store: str | None,
) -> str:
    known = wanted != "last" and not queries.find_traces(db, wanted, 1)
    job = find_job(db, wanted) if known and wanted else None
    if job is not None:
        if viewer != "view" or span is not None:
            raise ConfigurationError(f"{job} is a job: only 'view' has a page of it")
        address = urlsplit(_template(store))
        return f"{address.scheme}://{address.netloc}/job/{quote(job, safe='')}"
    trace_id = find(db, wanted)
    span_id = None if span is None else find_span(db, trace_id, span).span_id
    if viewer == "grafana":
        return _grafana(db, trace_id)
    if viewer == "jaeger":
        return _filled(
            _JAEGER if span_id else _JAEGER.partition("?")[0], trace_id, span_id
        )
    template = _template(store)
    if span_id and "{span_id}" not in template:
        joined = "&" if "?" in template else "?"
        template = f"{template}{joined}span={{span_id}}"
    return _filled(template, trace_id, span_id)


def _template(store: str | None) -> str:
    chosen = settings.load()
    path = Path(store).expanduser().absolute() if store else chosen.store
    return chosen.trace_url or viewer_trace_url(path)


def _filled(template: str, trace_id: str, span_id: str | None) -> str:
    return template.replace("{trace_id}", trace_id).replace("{span_id}", span_id or "")


def _grafana(db: sqlite3.Connection, trace_id: str) -> str:
    """Return Explore with the trace, in a range around it: the default hides old ones."""
    spans = queries.spans(db, trace_id)
    first = min(span.start for span in spans) // 1_000_000
    last = max(span.end or span.start for span in spans) // 1_000_000
    pane = {
        "datasource": "hudtrace",
        "queries": [{"refId": "A", "query": trace_id}],
        "range": {"from": str(first - _HOUR_MS), "to": str(last + _HOUR_MS)},
    }
    panes = quote(json.dumps({"a": pane}, separators=(",", ":")), safe="")
    return f"{_GRAFANA}/explore?schemaVersion=1&orgId=1&panes={panes}"
