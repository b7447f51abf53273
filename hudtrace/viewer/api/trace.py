"""The head of a trace: what it is, how it stands, what came of it, where it went."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, NamedTuple

from hudtrace import semconv
from hudtrace.index import jobs
from hudtrace.store import queries
from hudtrace.store.queries import StoredSpan
from hudtrace.transcript.foreign import OPERATIONS
from hudtrace.viewer import addresses
from hudtrace.viewer.api.delivery import delivery
from hudtrace.viewer.api.episodes import episode_data
from hudtrace.viewer.api.messages import transcript
from hudtrace.viewer.api.stored import find, service
from hudtrace.viewer.api.verdicts import read_by_grader, verdicts
from hudtrace.viewer.desk import Desk
from hudtrace.viewer.endpoints import TRACE_ID, Endpoint, Json

_LARGE = 2_000  # spans


class _Figures(NamedTuple):
    """What one look at all spans of a trace tells; `sources` is JSON."""

    stored: int
    errors: int
    started: int | None
    ended: int | None
    seq: int
    calls: int
    graded: int
    sources: str


def head(desk: Desk, trace_id: str) -> Json:
    """Return all about a trace but its spans; one that is unknown is waited for."""
    db = desk.db
    episode = queries.episode(db, trace_id)
    figures, unfinished = _figures(db, trace_id), queries.open_spans(db, trace_id)
    root = _root(db, trace_id, unfinished)
    state = _state(episode, figures, unfinished)
    starts = [span.start for span in unfinished]
    if figures.started is not None:
        starts.append(figures.started)
    started, ended = min(starts, default=None), figures.ended
    if state in ("running", "waiting"):
        ended = None
    return {
        "trace_id": trace_id,
        "url": addresses.trace(trace_id),
        "state": state,
        "episode": None if episode is None else episode_data(episode),
        "name": _name(episode, root),
        "started": _time(started),
        "ended": _time(ended),
        "seconds": (ended - started) / 1e9 if ended and started else None,
        "span_count": figures.stored + len(unfinished),
        "error_count": figures.errors,
        "services": _services(db, figures.sources),
        "verdicts": verdicts(db, trace_id),
        "read": read_by_grader(db, trace_id) if figures.graded else [],
        **_about(root),
        "error": _error(db, trace_id, root),
        **_said(desk, trace_id, figures),
        "job": _job(desk, episode),
        "links": desk.viewer.links.of(trace_id, root.span_id if root else ""),
        "delivery": delivery(desk, trace_id, figures.stored),
        "orphans": _orphans(db, trace_id),
        "seq": figures.seq,
    }


def _said(desk: Desk, trace_id: str, figures: _Figures) -> Json:
    """Count calls and messages; of a large trace only what is counted at once."""
    if figures.stored <= _LARGE:
        found = transcript(desk, trace_id)
        return {"calls": len(found.calls), "messages": found.messages}
    return {"calls": figures.calls, "messages": None}


def _figures(db: sqlite3.Connection, trace_id: str) -> _Figures:
    marks = ",".join("?" * len(OPERATIONS))
    row = db.execute(
        "SELECT count(*), coalesce(sum(status = 2), 0), min(start), max(end), "
        f"coalesce(max(id), 0), coalesce(sum(operation IN ({marks})), 0), "
        "coalesce(sum(phase = ?), 0), json_group_array(DISTINCT source) "
        "FROM spans WHERE trace_id = ?",
        (*OPERATIONS, semconv.PHASE_GRADE, bytes.fromhex(trace_id)),
    ).fetchone()
    return _Figures(*row)


def _root(
    db: sqlite3.Connection, trace_id: str, unfinished: Iterable[StoredSpan]
) -> StoredSpan | None:
    """Return the span without a parent, the first if there are several."""
    row = db.execute(
        "SELECT span_id FROM spans WHERE trace_id = ? AND parent_id IS NULL "
        "ORDER BY start LIMIT 1",
        (bytes.fromhex(trace_id),),
    ).fetchone()
    if row is not None:
        return find(db, trace_id, row[0].hex())
    return next((span for span in unfinished if span.parent_id is None), None)


def _state(
    episode: queries.Episode | None,
    figures: _Figures,
    unfinished: Iterable[StoredSpan],
) -> str:
    if episode is not None:
        return episode.state
    states = {span.state for span in unfinished}
    if "running" in states:
        return "running"
    if states:
        return "interrupted"
    return "done" if figures.stored else "waiting"


def _name(episode: queries.Episode | None, root: StoredSpan | None) -> str | None:
    if episode is not None:
        return episode.label
    return None if root is None else root.name


def _about(root: StoredSpan | None) -> Json:
    """Return what the root says: the prompt, the answer, the code that it is of."""
    said = {} if root is None else root.attributes
    file = said.get("code.file.path") or said.get("code.filepath")
    line = said.get("code.line.number") or said.get("code.lineno")
    return {
        "prompt": said.get(semconv.INPUT_VALUE),
        "answer": said.get(semconv.ANSWER),
        "source": {"file": file, "line": line} if file else None,
    }


def _error(
    db: sqlite3.Connection, trace_id: str, root: StoredSpan | None
) -> Json | None:
    """Return what has ended the trace, if an error has."""
    if root is None or root.status != 2:
        return None
    key = bytes.fromhex(trace_id)
    rows = db.execute(
        "SELECT span_id FROM spans WHERE trace_id = ? AND status = 2 "
        "ORDER BY parent_id IS NOT NULL, start LIMIT 20",
        (key,),
    ).fetchall()
    kind = root.attributes.get(semconv.ERROR_TYPE)
    for (span_id,) in rows:
        span = find(db, trace_id, span_id.hex())
        if span is not None and (said := _exception(span)) is not None:
            return said
    return {
        "type": kind,
        "message": root.status_message or None,
        "stacktrace": None,
        "span_id": root.span_id,
    }


def _exception(span: StoredSpan) -> Json | None:
    for event in span.events:
        if event.name == semconv.EXCEPTION_EVENT:
            said = event.attributes
            return {
                "type": said.get(semconv.EXCEPTION_TYPE),
                "message": said.get(semconv.EXCEPTION_MESSAGE),
                "stacktrace": said.get(semconv.EXCEPTION_STACKTRACE),
                "span_id": span.span_id,
            }
    return None


def _services(db: sqlite3.Connection, sources: str) -> list[str]:
    rows = db.execute(
        "SELECT resource FROM sources WHERE id IN (SELECT value FROM json_each(?))",
        (sources,),
    )
    return sorted({service(resource) for (resource,) in rows})


def _job(desk: Desk, episode: queries.Episode | None) -> Json | None:
    if episode is None or episode.job_id is None:
        return None
    return {
        "id": episode.job_id,
        "name": jobs.name_of(desk.index, episode.job_id) or episode.job_id,
        "url": addresses.job(episode.job_id),
    }


def _orphans(db: sqlite3.Connection, trace_id: str) -> int:
    """Count the spans whose parent has not been received."""
    (count,) = db.execute(
        "SELECT count(*) FROM spans AS s WHERE trace_id = ?1 AND parent_id IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM spans AS p WHERE p.trace_id = ?1 "
        "AND p.span_id = s.parent_id) AND NOT EXISTS ("
        "SELECT 1 FROM open_spans AS o WHERE o.span_id = s.parent_id)",
        (bytes.fromhex(trace_id),),
    ).fetchone()
    return int(count)


def _time(time_ns: Any) -> str | None:
    return None if time_ns is None else str(time_ns)


ENDPOINTS = (Endpoint("/trace/{trace_id}", head, (TRACE_ID,)),)
