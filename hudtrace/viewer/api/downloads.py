"""A trace as a file: for a program, another viewer, or somebody to read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from hudtrace.interchange import jaeger, otlp_json, stored
from hudtrace.store import queries
from hudtrace.transcript import markdown, page, perfetto
from hudtrace.viewer.desk import Desk
from hudtrace.viewer.encoding import encode
from hudtrace.viewer.endpoints import TRACE_ID, Endpoint, Text
from hudtrace.viewer.problems import Problem


def _json(desk: Desk, trace_id: str) -> bytes:
    episode = queries.episode(desk.db, trace_id)
    spans = []
    for span in queries.spans(desk.db, trace_id):
        data, said = span.to_dict(), queries.conversation(desk.db, span)
        if said is not None:
            data["conversation"] = dataclasses.asdict(said)
        spans.append(data)
    verdicts = map(dataclasses.asdict, queries.verdicts(desk.db, trace_id))
    data = {
        "episode": None if episode is None else episode.to_dict(),
        "verdicts": list(verdicts),
        "spans": spans,
    }
    return json.dumps(data, default=_plain).encode()


def _plain(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _otlp(desk: Desk, trace_id: str) -> bytes:
    request: Any = stored.request_of(desk.db, [trace_id])
    return otlp_json.write(request)


def _jaeger(desk: Desk, trace_id: str) -> bytes:
    return encode(jaeger.to_jaeger(stored.request_of(desk.db, [trace_id])))


def _perfetto(desk: Desk, trace_id: str) -> bytes:
    return encode(perfetto.trace_events(desk.db, trace_id))


def _markdown(desk: Desk, trace_id: str) -> bytes:
    return markdown.text(desk.db, trace_id).encode("utf-8", "replace")


def _page(desk: Desk, trace_id: str) -> bytes:
    return page.html(desk.db, trace_id).encode("utf-8", "replace")


#: By the last word of the address: how it is made, its kind, and its file's ending.
FORMATS: dict[str, tuple[Callable[[Desk, str], bytes], str, str]] = {
    "json": (_json, "application/json", "json"),
    "otlp": (_otlp, "application/json", "otlp.json"),
    "jaeger": (_jaeger, "application/json", "jaeger.json"),
    "perfetto": (_perfetto, "application/json", "perfetto.json"),
    "md": (_markdown, "text/markdown", "md"),
    "html": (_page, "text/html", "html"),
}
FORMAT = Text("format", "which kind of file", choices=tuple(FORMATS), pattern=".*")


def download(desk: Desk, trace_id: str, format: str) -> Response:
    """Return a trace as a file."""
    if not queries.find_traces(desk.db, trace_id, 1):
        raise Problem(404, f"the store has no spans of {trace_id} (yet)")
    make, media, ending = FORMATS[format]
    headers = {
        "content-disposition": f'attachment; filename="hudtrace-{trace_id[:12]}.{ending}"',
        "content-security-policy": "default-src 'none'; sandbox",
    }
    return Response(make(desk, trace_id), headers=headers, media_type=media)


ENDPOINTS = (
    Endpoint(
        "/trace/{trace_id}/{format}",
        download,
        (TRACE_ID, FORMAT),
        media="application/octet-stream",
        root="",
    ),
)
