"""The stream of changes for browsers, and the same for those that ask now and then."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from hudtrace.viewer.encoding import encode
from hudtrace.viewer.endpoints import ROOT, Endpoint, Number

if TYPE_CHECKING:
    from starlette.requests import Request

    from hudtrace.viewer.desk import Viewer
    from hudtrace.viewer.endpoints import Json
    from hudtrace.viewer.live import Live

SINCE = Number("since", "the `seq` after which changes are wanted")
_DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)


def changes(live: Live, since: int | None) -> Json:
    """Return what has changed since, or `reset` where that is too long ago."""
    found = live.since(live.seq if since is None else since)
    if found is None:
        return {"seq": live.seq, "traces": [], "jobs": [], "more": True, "reset": True}
    return {**found, "reset": False}


def stream(live: Live, since: int | None) -> AsyncIterator[bytes]:
    """Stream what changes, from `since` or `Last-Event-ID` on, or from now on."""
    return live.stream(since)


CHANGES = Endpoint("/changes", changes, parameters=(SINCE,))
EVENTS = Endpoint("/events", stream, parameters=(SINCE,), media="text/event-stream")


def event_routes(viewer: Viewer) -> list[Route]:
    """Return the routes of both, which ask no thread and read no store."""

    async def told(request: Request) -> Response:
        since = CHANGES.read({}, request.query_params)["since"]
        return Response(
            encode(changes(viewer.live, since)), media_type="application/json"
        )

    async def events(request: Request) -> Response:
        since = EVENTS.read({}, request.query_params)["since"]
        last = request.headers.get("last-event-id", "")
        if _DIGITS.fullmatch(last):
            since = int(last)
        viewer.live.check_room()
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        if request.method == "HEAD":
            return Response(media_type=EVENTS.media, headers=headers)
        return StreamingResponse(
            stream(viewer.live, since), media_type=EVENTS.media, headers=headers
        )

    return [
        Route(f"{ROOT}{CHANGES.path}", told, methods=["GET"]),
        Route(f"{ROOT}{EVENTS.path}", events, methods=["GET"]),
    ]
