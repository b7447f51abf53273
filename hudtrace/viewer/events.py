"""The stream of changes for browsers, and the same for those that ask now and then."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from hudtrace.viewer.endpoints import ROOT, Endpoint, Number

if TYPE_CHECKING:
    from starlette.requests import Request

    from hudtrace.viewer.desk import Desk, Viewer
    from hudtrace.viewer.endpoints import Json

SINCE = Number("since", "the `seq` after which changes are wanted")
_DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)


def changes(desk: Desk, since: int | None) -> Json:
    """Return what has changed since, or `reset` where that is too long ago."""
    live = desk.viewer.live
    found = live.since(live.seq if since is None else since)
    if found is None:
        return {"seq": live.seq, "traces": [], "jobs": [], "more": True, "reset": True}
    return {**found, "reset": False}


CHANGES = Endpoint("/changes", changes, parameters=(SINCE,))
EVENTS = Endpoint("/events", changes, parameters=(SINCE,), media="text/event-stream")


def event_routes(viewer: Viewer) -> list[Route]:
    """Return the route of the stream, which no thread waits for."""

    async def events(request: Request) -> Response:
        since = EVENTS.read({}, request.query_params)["since"]
        last = request.headers.get("last-event-id", "")
        if _DIGITS.fullmatch(last):
            since = int(last)
        viewer.live.check_room()
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        if request.method == "HEAD":
            return Response(media_type="text/event-stream", headers=headers)
        return StreamingResponse(
            viewer.live.stream(since), media_type="text/event-stream", headers=headers
        )

    return [Route(f"{ROOT}/events", events, methods=["GET"])]
