"""The conversation of a trace, a page of it at a time, and single messages whole."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from hudtrace.store import queries
from hudtrace.transcript import conversation, foreign, history, parts
from hudtrace.transcript.conversation import Transcript
from hudtrace.transcript.rows import detail
from hudtrace.viewer.desk import Desk
from hudtrace.viewer.endpoints import SPAN_ID, TRACE_ID, Endpoint, Json, Number, Text
from hudtrace.viewer.problems import Problem

MESSAGE = Text("message", "the hash of a message, in hex", pattern="[0-9a-f]{32,128}")
PLACE = Text(
    "place", "a part's number, or two: 1.0", pattern=r"[0-9]{1,6}(\.[0-9]{1,6})?"
)
NUMBER = Text("number", "the number of a message, from 0", pattern="[0-9]{1,6}")
_PAGE = (
    Number("from", "the first item", default=0, most=10_000_000),
    Number("limit", "items at most", default=50, least=1, most=200),
)
#: What a browser may show of its own; SVG, for one, can run scripts.
_PICTURES = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"}
)


def transcript(desk: Desk, trace_id: str) -> Transcript:
    """Return the skeleton of a conversation, kept as long as nothing comes to it."""
    key = bytes.fromhex(trace_id)
    state = desk.db.execute(
        "SELECT (SELECT max(id) FROM spans WHERE trace_id = ?1),"
        " (SELECT count(*) FROM spans WHERE trace_id = ?1),"
        " (SELECT count(*) FROM verdicts WHERE trace_id = ?1)",
        (key,),
    ).fetchone()
    unfinished = queries.open_spans(desk.db, trace_id)
    going_on = tuple((span.span_id, span.state) for span in unfinished)
    return desk.reading.kept(
        (trace_id, *state, going_on), lambda: conversation.read(desk.db, trace_id)
    )


def paged(
    desk: Desk,
    trace_id: str,
    limit: int,
    span: str | None,
    message: int | None,
    **page: int,
) -> Json:
    """Return a page of the conversation: calls with their new messages, rewards, errors.

    `span` and `message` ask for the page that has them, wherever it begins.
    """
    found, start = transcript(desk, trace_id), page["from"]
    place = None
    if span is not None:
        place = found.item_of_span(span)
    elif message is not None:
        place = found.item_of_message(message)
    if place is not None:
        start = place // limit * limit
    return {
        "total_items": len(found.entries),
        "total_messages": found.messages,
        "total_calls": len(found.calls),
        "from": start,
        "items": conversation.page(desk.db, found, start, limit),
    }


def given(desk: Desk, trace_id: str, span_id: str, limit: int, **page: int) -> Json:
    """Return what one model call was given and answered, a page of it at a time."""
    start = page["from"]
    found = history.history(desk.db, trace_id, span_id, start, limit)
    if found is None:
        raise Problem(404, f"the span {span_id} has no conversation")
    total, messages = found
    return {"total": total, "from": start, "messages": messages}


def whole(desk: Desk, message: str) -> Json:
    """Return a message as it was stored."""
    return _message(desk, message)


def blob(desk: Desk, message: str, place: str) -> Response:
    """Return the bytes of an image or a file in a message."""
    return _bytes_of(_message(desk, message), place)


def foreign_whole(desk: Desk, trace_id: str, span_id: str, number: str) -> Json:
    """Return a message that is in a span's own attributes."""
    return _foreign(desk, trace_id, span_id, number)


def foreign_blob(
    desk: Desk, trace_id: str, span_id: str, number: str, place: str
) -> Response:
    """Return the bytes of an image or a file in a span's own attributes."""
    return _bytes_of(_foreign(desk, trace_id, span_id, number), place)


def _message(desk: Desk, message: str) -> Json:
    key = bytes.fromhex(message) if len(message) % 2 == 0 else b""
    row = desk.db.execute("SELECT body FROM messages WHERE hash = ?", (key,)).fetchone()
    if row is None:
        raise Problem(404, f"there is no message {message}")
    try:
        found = json.loads(row[0])
    except (ValueError, RecursionError):
        found = row[0].decode("utf-8", "replace")
    return found if isinstance(found, dict) else {"role": None, "content": found}


def _foreign(desk: Desk, trace_id: str, span_id: str, number: str) -> Json:
    known = detail(desk.db, trace_id, span_id)
    said: Any = foreign.messages_of(known.attributes, known.events) or ((), ())
    every = [*said[0], *said[1]]
    if int(number) >= len(every):
        raise Problem(404, f"the span {span_id} has no message {number}")
    return dict(every[int(number)])


def _bytes_of(message: Json, place: str) -> Response:
    found = parts.blob(message, place)
    if found is None:
        raise Problem(404, f"the message has no file at {place}")
    kind, data = found
    kind = kind.partition(";")[0].strip().lower()
    shown = kind in _PICTURES
    headers = {
        "content-security-policy": "default-src 'none'; sandbox",
        "content-disposition": "inline" if shown else "attachment",
    }
    media = kind if shown else "application/octet-stream"
    return Response(data, headers=headers, media_type=media)


_SPAN = "/trace/{trace_id}/span/{span_id}"
ENDPOINTS = (
    Endpoint(
        "/trace/{trace_id}/messages",
        paged,
        (TRACE_ID,),
        (
            *_PAGE,
            Text("span", "the page that has this span", pattern="[0-9a-f]{16}"),
            Number("message", "the page that has message n", least=1),
        ),
    ),
    Endpoint(f"{_SPAN}/messages", given, (TRACE_ID, SPAN_ID), _PAGE),
    Endpoint("/message/{message}", whole, (MESSAGE,), immutable=True),
    Endpoint(
        "/message/{message}/blob/{place}",
        blob,
        (MESSAGE, PLACE),
        immutable=True,
        media="application/octet-stream",
    ),
    Endpoint(
        f"{_SPAN}/message/{{number}}",
        foreign_whole,
        (TRACE_ID, SPAN_ID, NUMBER),
        immutable=True,
    ),
    Endpoint(
        f"{_SPAN}/message/{{number}}/blob/{{place}}",
        foreign_blob,
        (TRACE_ID, SPAN_ID, NUMBER, PLACE),
        immutable=True,
        media="application/octet-stream",
    ),
)
