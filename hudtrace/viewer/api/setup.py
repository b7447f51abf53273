"""How to send spans here, and what the viewer reads and where from."""

from __future__ import annotations

from urllib.parse import quote

from hudtrace.store import queries
from hudtrace.store.store import bytes_on_disk
from hudtrace.viewer.desk import Desk
from hudtrace.viewer.endpoints import Endpoint, Json


def setup(desk: Desk) -> Json:
    """Return the store, the index, the addresses, and what to set to send spans."""
    from hudtrace import __version__

    viewer, options = desk.viewer, desk.viewer.options
    return {
        "version": __version__,
        "store": _store(desk),
        "index": _index(desk),
        "urls": {
            "ui": viewer.url,
            "otlp": next((r["url"] for r in viewer.receivers if r["url"]), None),
            "jaeger": f"{viewer.url}/jaeger",
        },
        "env": [] if options.read_only else _variables(desk),
        "receivers": viewer.receivers,
        "links": [
            {"name": name, "url": template}
            for name, template in viewer.links.templates.items()
        ],
    }


def _store(desk: Desk) -> Json:
    path = desk.viewer.options.store
    count = "SELECT (SELECT count(*) FROM episodes), (SELECT count(*) FROM spans)"
    episodes, spans = desk.db.execute(count).fetchone()
    alive = [writer for writer in queries.writers(desk.db) if writer.alive]
    return {
        "path": str(path),
        "exists": desk.reading.exists,
        "bytes": bytes_on_disk(path),
        "episodes": episodes,
        "spans": spans,
        "read_only": desk.viewer.options.read_only,
        "writers": [{"pid": writer.pid, "host": writer.host} for writer in alive],
    }


def _index(desk: Desk) -> Json:
    if not desk.reading.exists:
        return {"path": None, "lag": 0}
    return {"path": str(desk.index.path), "lag": desk.index.lag()}


def _variables(desk: Desk) -> list[str]:
    """Return the lines that have any OpenTelemetry SDK send its spans here."""
    viewer, options = desk.viewer, desk.viewer.options
    http = [r["url"] for r in viewer.receivers if r["protocol"] == "http" and r["url"]]
    lines = [
        f"export OTEL_EXPORTER_OTLP_ENDPOINT={(http or [viewer.url])[0]}",
        "export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
    ]
    if options.token is not None:
        value = quote(f"Bearer {options.token}", safe="")
        lines.append(f'export OTEL_EXPORTER_OTLP_HEADERS="authorization={value}"')
    return lines


ENDPOINTS = (Endpoint("/setup", setup),)
