"""`hudtrace export`: an episode, or those of a job, in a format that others read."""

from __future__ import annotations

import argparse
import importlib
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from hudtrace.cli.reading import find, opened
from hudtrace.cli.text import visible
from hudtrace.errors import ConfigurationError
from hudtrace.interchange import otlp_json, records, selection, stored
from hudtrace.interchange.jaeger import to_jaeger
from hudtrace.interchange.selection import Selection
from hudtrace.store import queries

Pieces = Iterator[bytes]
_PROTOBUF = (".pb", ".binpb", ".protobuf")
_OF_ONE = ("perfetto", "md", "html")
_OF_EPISODES = ("jsonl", "csv")


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Write an episode, or those of a job, to stdout or a file. otlp: OTLP JSON, a "
        "line for each trace, or protobuf where the file ends in .pb; jaeger: a file "
        "for Jaeger's page; perfetto: a file for ui.perfetto.dev; jsonl, csv: episodes "
        "with what they came to; openai-messages: conversations, to train on; md, html: "
        "one episode to read. What otlp and jaeger files hold, 'import' takes back."
    )
    parser.add_argument(
        "what", metavar="TRACE|JOB", help="trace id or its first digits, job, or 'last'"
    )
    parser.add_argument(
        "--to",
        required=True,
        choices=list(_FORMATS),
        metavar="FORMAT",
        help=", ".join(_FORMATS),
    )
    parser.add_argument(
        "-o", "--output", default="-", metavar="FILE|-", help="where to (stdout)"
    )
    parser.add_argument("--store", help="path of the store")
    parser.set_defaults(run=lambda o: run(o.store, o.what, to=o.to, output=o.output))


def run(store: str | None, what: str, *, to: str, output: str) -> int:
    """Write it; return the exit code."""
    with opened(store) as db:
        chosen = selection.of_job(db, what) or Selection([find(db, what)])
        if to in _OF_ONE and len(chosen.trace_ids) > 1:
            raise ConfigurationError(
                f"{to} is of one episode, and {what} has {len(chosen.trace_ids)}: name "
                f"one of its traces"
            )
        if to in _OF_EPISODES and not queries.episode(db, chosen.trace_ids[0]):
            raise ConfigurationError(
                f"{to} is of episodes of evals, and trace {chosen.trace_ids[0]} is none; "
                f"otlp and jaeger are of any trace"
            )
        make = _FORMATS[to]
        if to == "otlp" and output.endswith(_PROTOBUF):
            make = _protobuf
        pieces = make(db, chosen)
        if to in ("otlp", "jaeger"):
            _say_what_is_open(db, chosen)
        if output == "-":
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        else:
            _save(Path(output), pieces)
    return 0


def _save(path: Path, pieces: Pieces) -> None:
    """Write a file, all of it or none."""
    part = path.with_name(f"{path.name}.part")
    if path.exists() and not path.is_file():  # a pipe, a device
        part = path
    try:
        with part.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        part.replace(path)
    except BaseException:
        if part != path:
            part.unlink(missing_ok=True)
        raise
    print(visible(f"written to {path}"), file=sys.stderr)


def _say_what_is_open(db: sqlite3.Connection, chosen: Selection) -> None:
    count = sum(len(queries.open_spans(db, each)) for each in chosen.trace_ids)
    if count:
        are = (
            "span has not ended, and is"
            if count == 1
            else "spans have not ended, and are"
        )
        print(f"{count} {are} left out", file=sys.stderr)


# The formats ------------------------------------------------------------------------


def _otlp(db: sqlite3.Connection, chosen: Selection) -> Pieces:
    for trace_ids in chosen.with_verdicts(db):
        yield otlp_json.write(stored.request_of(db, trace_ids)) + b"\n"


def _protobuf(db: sqlite3.Connection, chosen: Selection) -> Pieces:
    # Requests one after the other are one request.
    for trace_ids in chosen.with_verdicts(db):
        yield stored.request_of(db, trace_ids).SerializeToString()


def _jaeger(db: sqlite3.Connection, chosen: Selection) -> Pieces:
    separator = b'{"data":['
    for trace_ids in chosen.with_verdicts(db):
        for trace in to_jaeger(stored.request_of(db, trace_ids))["data"]:
            yield separator + json.dumps(trace, ensure_ascii=False).encode()
            separator = b","
    yield b"]}\n"


def _lines(
    make: Callable[[sqlite3.Connection, list[str]], Iterator[str]],
) -> Callable[[sqlite3.Connection, Selection], Pieces]:
    def pieces(db: sqlite3.Connection, chosen: Selection) -> Pieces:
        for line in make(db, chosen.trace_ids):
            yield f"{line}\n".encode("utf-8", "replace")

    return pieces


def _read_by(module: str, function: str) -> Callable[..., Pieces]:
    """Return what writes one trace by a function of `hudtrace.transcript`."""

    def pieces(db: sqlite3.Connection, chosen: Selection) -> Pieces:
        made = importlib.import_module(f"hudtrace.transcript.{module}")
        written = getattr(made, function)(db, chosen.trace_ids[0])
        if not isinstance(written, str):
            written = json.dumps(written, ensure_ascii=False)
        yield written.encode("utf-8", "replace")

    return pieces


_FORMATS: dict[str, Callable[[sqlite3.Connection, Selection], Pieces]] = {
    "otlp": _otlp,
    "jaeger": _jaeger,
    "perfetto": _read_by("perfetto", "trace_events"),
    "jsonl": _lines(records.json_lines),
    "csv": _lines(records.csv_lines),
    "md": _read_by("markdown", "text"),
    "html": _read_by("page", "html"),
    "openai-messages": _lines(records.openai_lines),
}
